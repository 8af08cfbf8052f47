"""A model's card as pages show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lucidray.bundle.comparison import Comparison
from lucidray_clinic.analyses.models import ModelBundle, Reading
from lucidray_clinic.analyses.telling import trust_words

#: Measures that a card's table shows, where it has them.
MEASURES = ("auc", "sensitivity", "specificity", "ece")


def summary(bundle: ModelBundle) -> dict[str, Any]:
    """Return what a list shows of a model.

    Args:
        bundle: The model.
    """
    return {
        "bundle": bundle,
        "findings": [_(name) for name in bundle.findings],
        "images": sum(one["images"] for one in bundle.card["performance"]),
        "readings": Reading.objects.filter(bundle=bundle).count(),
    }


def card_page(bundle: ModelBundle) -> dict[str, Any]:
    """Return what the page of a model shows.

    Args:
        bundle: The model.
    """
    card = bundle.card
    refused = (card.get("gate") or {}).get("refused", {})
    return {
        "bundle": bundle,
        "card": card,
        "findings": [_finding(bundle, name) for name in bundle.findings],
        "performance": [_performance(one, bundle.findings) for one in card["performance"]],
        "gate": card.get("gate"),
        "accepted": _rates((card.get("gate") or {}).get("accepted", {})),
        "refused": _rates({key: one for key, one in refused.items() if one["value"] != 1}),
        "always": [key.replace("_", " ") for key, one in refused.items() if one["value"] == 1],
        "evidence": (card.get("uncertainty") or {}).get("evidence"),
    }


def comparison_page(
    first: ModelBundle, second: ModelBundle, comparison: Comparison
) -> dict[str, Any]:
    """Return what the page of two models shows.

    Args:
        first: One.
        second: The other.
        comparison: In what they differ.
    """
    both = (first, second)
    names = list(dict.fromkeys(name for one in both for name in one.findings))
    return {
        "first": first,
        "second": second,
        "same_weights": comparison.same_weights,
        "facts": [
            {"title": title, "values": [read(one.card) for one in both]} for title, read in _FACTS
        ],
        "findings": [
            {"name": _(name), "values": [_of_finding(one, name) for one in both]} for name in names
        ],
        "differences": [
            {"field": one.field, "values": [_short(one.first), _short(one.second)]}
            for one in comparison.differences
        ],
        "changes": sorted(comparison.probability_change.items(), key=lambda one: -one[1]),
    }


def estimate(told: dict[str, Any] | None) -> str:
    """Return a measured number with its interval.

    Args:
        told: An estimate of a card; None: not measured.

    >>> estimate({"value": 0.9, "low": 0.85, "high": 0.94, "count": 40})
    '0.900 (0.850–0.940)'
    """
    if not told or told.get("value") is None:
        return "–"
    text = f"{told['value']:.3f}"
    if told.get("low") is None or told.get("high") is None:
        return text
    return f"{text} ({told['low']:.3f}–{told['high']:.3f})"


def _finding(bundle: ModelBundle, name: str) -> dict[str, Any]:
    point = bundle.card["operating_points"].get(name)
    return {
        "name": _(name),
        "threshold": None if point is None else point["threshold"],
        "chosen_by": "" if point is None else point["chosen_by"],
        "trust": trust_words(bundle, name),
    }


def _performance(told: dict[str, Any], findings: list[str]) -> dict[str, Any]:
    measured = told["measurements"]
    shown = [one for one in MEASURES if any(one in measured.get(name, {}) for name in findings)]
    rows = [
        {"name": _(name), "values": [estimate(measured[name].get(one)) for one in shown]}
        for name in findings
        if name in measured
    ]
    return {
        "about": told,
        "measures": [one.upper() if one in ("auc", "ece") else one for one in shown],
        "rows": rows,
    }


def _rates(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(kind.replace("_", " "), estimate(one)) for kind, one in told.items()]


def _of_finding(bundle: ModelBundle, name: str) -> dict[str, Any]:
    if name not in bundle.findings:
        return {}
    measured = next((one["measurements"].get(name) for one in bundle.card["performance"]), None)
    told = {measure: estimate((measured or {}).get(measure)) for measure in MEASURES[:3]}
    return told | {"threshold": bundle.thresholds.get(name), "trust": trust_words(bundle, name)}


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) < 120 else f"{text[:118]} …"


_FACTS: tuple[tuple[Any, Callable[[dict[str, Any]], Any]], ...] = (
    (gettext_lazy("Summary"), lambda card: card["summary"]),
    (gettext_lazy("Network"), lambda card: card["network"]),
    (gettext_lazy("Learned from"), lambda card: card["training"]["data"]),
    (gettext_lazy("Films learned from"), lambda card: card["training"]["images"]),
    (gettext_lazy("Arithmetic"), lambda card: card["precision"]),
    (gettext_lazy("Limits"), lambda card: card["limits"]),
)
