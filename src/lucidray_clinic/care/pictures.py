"""Checks and comparisons as figures for templates, which draw them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.care.models import DriftAlert, DriftCheck

#: Size of a histogram and of a scatter, in units of the drawing.
WIDTH, HEIGHT, SIDE = 200, 60, 160

#: Checks that a line over time goes back.
CHECKS = 60

_TITLES = {
    ("refusals", ""): gettext_lazy("Films without a result"),
    ("agreement", ""): gettext_lazy("Cases in which the signed report agrees"),
    ("films", "mean"): gettext_lazy("Mean brightness"),
    ("films", "spread"): gettext_lazy("Contrast"),
    ("films", "dark"): gettext_lazy("Share of black"),
    ("films", "bright"): gettext_lazy("Share of white"),
}


def title_of(kind: str, what: str) -> str:
    """Return what a measure is called.

    Args:
        kind: As of `Measure`.
        what: As of `Measure`.
    """
    known = _TITLES.get((kind, what))
    return str(known) if known is not None else _("Score of %(finding)s") % {"finding": _(what)}


def told_alert(alert: DriftAlert) -> dict[str, Any]:
    """Return an alert as a page shows it.

    Args:
        alert: The alert.
    """
    about = _("Films") if alert.bundle is None else str(alert.bundle)
    return {"alert": alert, "about": about, "title": title_of(alert.kind, alert.what)}


def told_check(check: DriftCheck) -> dict[str, Any]:
    """Return a check as a page shows it: a figure for each measure.

    Args:
        check: The check.
    """
    history = list(DriftCheck.objects.filter(bundle=check.bundle)[:CHECKS])[::-1]
    return {
        "check": check,
        "bundle": check.bundle,
        "figures": [_figure(one, history) for one in check.measures],
    }


def histogram(before: Sequence[float], now: Sequence[float]) -> dict[str, Any] | None:
    """Return bars of now under a line of before; None where there is nothing.

    Args:
        before: Shares of equal parts from 0 to 1.
        now: The same.
    """
    top = max([*before, *now], default=0)
    if not top:
        return None
    step = WIDTH / max(len(before), len(now))
    bars = [
        {
            "x": round(number * step + 0.5, 1),
            "y": round(HEIGHT * (1 - share / top), 1),
            "width": round(step - 1, 1),
            "height": round(HEIGHT * share / top, 1),
        }
        for number, share in enumerate(now)
        if share
    ]
    corners = [
        f"{round((number + end) * step, 1):g} {round(HEIGHT * (1 - share / top), 1):g}"
        for number, share in enumerate(before)
        for end in (0, 1)
    ]
    line = "M" + "L".join(corners) if corners else ""
    return {"width": WIDTH, "height": HEIGHT, "bars": bars, "line": line}


def scatter(
    dots: Sequence[tuple[float, float, bool]], thresholds: tuple[float | None, float | None]
) -> dict[str, Any]:
    """Return probabilities of two models as dots in a square.

    Args:
        dots: Now, then, and whether the call differs.
        thresholds: Of both models; None: it has none.
    """
    lines = [None if one is None else round(SIDE * one, 1) for one in thresholds]
    return {
        "side": SIDE,
        "dots": [
            {"x": round(SIDE * now, 1), "y": round(SIDE * (1 - then), 1), "differs": differs}
            for now, then, differs in dots
        ],
        "now": lines[0],
        "then": None if lines[1] is None else SIDE - lines[1],
    }


def name_of(bundle: ModelBundle | None) -> str:
    """Return the name of a model; of the films where there is none.

    Args:
        bundle: The model.
    """
    return _("Films") if bundle is None else str(bundle)


def _figure(measure: dict[str, Any], history: list[DriftCheck]) -> dict[str, Any]:
    shown = dict(measure, title=title_of(measure["kind"], measure["what"]))
    shown["histogram"] = histogram(measure["bars_before"], measure["bars_now"])
    shown["line"] = _line(measure, history)
    shown["p"] = _told_p(measure["p_value"])
    if measure["kind"] in ("refusals", "agreement"):
        shown["percent"] = [
            None if measure[key] is None else round(100 * measure[key]) for key in ("before", "now")
        ]
    return shown


def _told_p(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _line(measure: dict[str, Any], history: list[DriftCheck]) -> str:
    """Return the path of a measure's mean or rate over the last checks, the latest at the end."""
    values = [_same(check, measure) for check in history]
    step, pen, parts = WIDTH / max(CHECKS - 1, 1), "M", []
    start = CHECKS - len(values)
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{round((start + number) * step, 1):g} {round(24 * (1 - value), 1):g}")
        pen = "L"
    return "".join(parts) if len(parts) > 1 else ""


def _same(check: DriftCheck, measure: dict[str, Any]) -> float | None:
    mark = (measure["kind"], measure["what"])
    found = (one["now"] for one in check.measures if (one["kind"], one["what"]) == mark)
    return next(found, None)
