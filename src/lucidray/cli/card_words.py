"""A bundle's card on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lucidray.bundle.card import Card, Estimate, Performance
from lucidray.bundle.comparison import Comparison
from lucidray.bundle.ensemble import EnsembleRule
from lucidray.bundle.gaze import GazeFacts
from lucidray.bundle.metadata import MetadataRule
from lucidray.cli.console import add_row, new_table, out, say, say_wrapped, shown

#: Measures shown of each finding, in this order; the card itself may hold more.
_MEASURES = (
    *("auc", "average_precision", "balanced_accuracy", "accuracy", "sensitivity", "specificity"),
    *("f1", "ece", "dice", "iou"),
)
_MOST_COLUMNS = 4
_LONGEST_VALUE = 60


def show_card(card: Card, digest: str, size: int) -> None:
    """Print all that one must know before one believes what a bundle says.

    Args:
        card: The card.
        digest: The bundle's.
        size: Bytes of its file.
    """
    say(f"{shown(card.name)}: {escape(card.summary)}")
    if card.experimental:
        say("[bold red]Experimental: do not rely on it.[/]")
    _show_pairs((*_identity(card, digest, size), *_data(card)))
    _show_findings(card)
    for measured in card.performance:
        _show_performance(measured)
    _show_group("Calibration", _calibration(card))
    _show_group("Uncertainty", _uncertainty(card))
    if card.ensemble is not None:
        _show_group("Ensemble", _ensemble(card.ensemble))
    if card.metadata is not None:
        _show_group("Metadata beside the film", _metadata(card.metadata))
    _show_group("Refusal", _refusal(card))
    if card.explanation_trust:
        trust = ((name, estimate(each)) for name, each in card.explanation_trust.items())
        _show_group("Trust in the heat maps", trust)
    if card.gaze is not None:
        _show_group("Predicted gaze", _gaze(card.gaze))
    _show_group("Use", (("for", card.intended_use), ("limits", card.limits)))


def estimate(value: Estimate | None) -> str:
    """Return a figure with its interval.

    >>> estimate(Estimate(0.9, 0.85, 0.94, 100)), estimate(Estimate(None))
    ('0.900 [0.850, 0.940]', 'undefined')
    """
    if value is None or value.value is None:
        return "undefined"
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def show_comparison(found: Comparison) -> None:
    """Print what differs between two bundles."""
    one, other = found.names
    which = "the same" if found.same_weights else "other"
    say(f"{shown(one)} and {shown(other)} hold {which} weights.")
    if found.differences:
        table = new_table("field", one, other)
        table.columns[0].overflow = "fold"
        for each in found.differences:
            add_row(table, each.field, _short(each.first), _short(each.second))
        out.print(table)
    else:
        say("Their cards are the same.")
    if found.probability_change:
        say("Largest change of a probability on the reference images of both:")
        for name, change in found.probability_change.items():
            say(f"  {escape(name):24} {change:.2g}")
    else:
        say("They judge no finding in common.")


def _identity(card: Card, digest: str, size: int) -> Iterator[tuple[str, str]]:
    members = f", {card.members} members" if card.members > 1 else ""
    flip = ", averaged with the mirror image" if card.flip else ""
    how = card.preprocessing
    yield "digest", digest
    yield "network", f"{card.network}{members}{flip}; {card.precision}; {size / 1e6:.1f} MB"
    yield "input", f"any size; {how.fit} to {how.size} x {how.size}, {how.normalization}"
    yield "heat maps", f"{card.map_shape[0]} x {card.map_shape[1]}; {card.explanation}"
    if card.region:
        yield "second look", card.region
    yield "license", "; ".join(each for each in (card.license, card.authors, card.source) if each)


def _data(card: Card) -> Iterator[tuple[str, str]]:
    learned = card.training
    many = f", {learned.images:,} images" if learned.images else ""
    chosen = f"; {learned.validation_images:,} for thresholds" if learned.validation_images else ""
    yield "trained on", f"{learned.data}{many}{chosen}"
    yield "its terms", learned.terms


def _gaze(facts: GazeFacts) -> Iterator[tuple[str, str]]:
    yield "learned from", facts.readers
    if facts.images:
        yield "measured on", f"{facts.images:,} images"
    for name, value in facts.measurements.items():
        yield name, estimate(value)


def _show_findings(card: Card) -> None:
    table = new_table("finding", "counts from", "sensitivity", "specificity", "SNOMED CT", "RadLex")
    for finding in card.findings:
        point = card.operating_points.get(finding.name)
        cells = ["none", "", ""]
        if point is not None:
            rates = (point.sensitivity, point.specificity)
            cells = [f"{point.threshold:.3f}", *("" if r is None else estimate(r) for r in rates)]
        add_row(table, finding.name, *cells, finding.snomed or "", finding.radlex or "")
    say("")
    out.print(table)
    rules = {point.chosen_by for point in card.operating_points.values() if point.chosen_by}
    if rules:
        say_wrapped(f"Thresholds were chosen on validation images: {'; '.join(sorted(rules))}.")


def _show_performance(measured: Performance) -> None:
    patients = f" of {measured.patients:,} patients" if measured.patients else ""
    say(f"\n[bold]On {escape(measured.data)}[/]: {measured.images:,} images{patients}")
    groups = measured.measurements
    names = [name for name in _MEASURES if any(name in values for values in groups.values())]
    if len(groups) <= _MOST_COLUMNS:
        table = new_table("", *groups)
        for name in names:
            cells = (estimate(v[name]) if name in v else "" for v in groups.values())
            add_row(table, name.replace("_", " "), *cells)
    else:
        brief = names[:3]
        table = new_table("finding", *(name.replace("_", " ") for name in brief))
        for group, values in groups.items():
            add_row(table, group, *(estimate(values[n]) if n in values else "" for n in brief))
    out.print(table)
    for attribute, found in measured.subgroups.items():
        _show_subgroups(attribute, found)


def _show_subgroups(attribute: str, values: Mapping[str, Mapping[str, Estimate]]) -> None:
    names = list(dict.fromkeys(name for found in values.values() for name in found))[:3]
    table = new_table(f"by {attribute}", *(name.replace("_", " ") for name in names))
    for value, found in values.items():
        add_row(table, value, *(estimate(found.get(name)) for name in names))
    out.print(table)


def _calibration(card: Card) -> Iterator[tuple[str, str]]:
    known = card.calibration
    yield "method", known.method if known.calibrated else f"{known.method}: not calibrated"
    if known.fitted_on:
        yield "fitted on", f"{known.images:,} {known.fitted_on}"
    for name in ("ece", "ece_mass", "brier", "log_loss"):
        pair = [known.measurements.get(f"{name}_{when}") for when in ("before", "after")]
        if all(pair):
            yield name.replace("_", " "), " → ".join(estimate(each) for each in pair)


def _uncertainty(card: Card) -> Iterator[tuple[str, str]]:
    rule = card.uncertainty
    if rule is None:
        yield "none", "unsure answers are not marked"
        return
    yield "conformal", f"sets that miss at most {rule.alpha:.0%} of the images of each label"
    yield "referral", rule.chosen_by or f"{rule.score} from {rule.threshold:.3f} on"
    found = rule.evidence
    if found.referred is not None:
        yield "referred", estimate(found.referred)
    if found.risk_before is not None and found.risk_after is not None:
        told = f"{estimate(found.risk_before)} → {estimate(found.risk_after)} of those kept"
        yield "wrong calls", told


def _ensemble(rule: EnsembleRule) -> Iterator[tuple[str, str]]:
    fitted = f", weights fitted on {rule.images:,} {rule.fitted_on}" if rule.fitted_on else ""
    yield "joined by", f"{rule.how} of {len(rule.members)} runs{fitted}"
    yield "log loss", f"{estimate(rule.log_loss)} together; AUC {_all_of(rule.auc)}"
    for number, (member, row) in enumerate(zip(rule.members, rule.weights, strict=True), start=1):
        weights = ", ".join(f"{each:.2f}" for each in sorted(set(row)))
        alone = f"log loss {estimate(member.log_loss)}, AUC {_all_of(member.auc)} alone"
        yield f"run {number}", f"{member.network} x {member.networks}: weight {weights}; {alone}"
    yield "disagreement", _all_of(rule.disagreement)
    if rule.disagreement_of_errors is not None:
        yield "tells errors", f"{estimate(rule.disagreement_of_errors)} (AUC; 0.5 = not at all)"


def _metadata(rule: MetadataRule) -> Iterator[tuple[str, str]]:
    shares = (f"{name} (known in {share:.0%})" for name, share in rule.known.items())
    yield "taken", ", ".join(shares)
    yield "fitted on", f"{rule.images:,} {rule.fitted_on}; what is missing counts as average"
    for kind, title in (("film", "film alone"), ("metadata", "no film"), ("together", "both")):
        yield title, f"AUC {_all_of(rule.auc.get(kind, {}))}"


def _all_of(values: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{name} {estimate(each)}" for name, each in values.items()) or "undefined"


def _refusal(card: Card) -> Iterator[tuple[str, str]]:
    gate = card.gate
    if gate is None:
        yield "none", "every image is judged, whatever it shows"
        return
    words = {
        "quality": "by image quality alone; a picture of something else is not recognized",
        "quality_and_likeness": "by image quality, then by likeness to the films learned from",
    }
    yield "how", words[gate.method]
    for what, shares in (("accepted", gate.accepted), ("refused", gate.refused)):
        for kind, share in shares.items():
            yield what, f"{kind}: {estimate(share)}"


def _show_group(title: str, rows: Any) -> None:
    say(f"\n[bold]{title}[/]")
    _show_pairs(rows)


def _show_pairs(rows: Any) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=12)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text(f"  {name}"), Text(text))
    out.print(table)


def _short(value: Any) -> str:
    if isinstance(value, dict) or (isinstance(value, list) and len(value) > _MOST_COLUMNS):
        return f"{len(value)} entries"
    text = "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
