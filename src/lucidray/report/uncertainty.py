"""What a bundle's card says of its certainty, drawn: calibration, conformal sets, referral."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lucidray.bundle.card import Calibration, Card, Estimate, Reliability
from lucidray.bundle.uncertainty import Evidence, RiskCurve, UncertaintyRule
from lucidray.metrics.intervals import wilson_interval
from lucidray.report.curves import Curve, Values, reliability_figure
from lucidray.report.document import Block, Figure, Note, Row, Section, Table
from lucidray.report.style import MUTED, PAPER, SERIES, color, drawing, to_svg

_BINS = 15
_DRAWN = 6
_LEAST = 12
_VERSIONS = {"before": "before", "after": "calibrated"}
_RISKS = {"error": "wrong calls", "balanced_error": "wrong calls, labels balanced"}


def uncertainty_section(card: Card) -> Section | None:
    """Assemble what a card says of its calibration and uncertainty.

    Args:
        card: Of the bundle.

    Returns:
        None where it says nothing of either.
    """
    fit, rule = card.calibration, card.uncertainty
    figures = list(calibration_figures(fit))
    blocks: list[Block] = []
    if fit.measurements:
        blocks.append(_calibration_table(fit))
    if rule is not None:
        curve = referral_figure(rule.evidence)
        figures += [] if curve is None else [curve]
        blocks += _rule_blocks(rule)
    if figures:
        blocks.insert(0, Row(tuple(figures)))
    return Section("Calibration and uncertainty", tuple(blocks)) if blocks else None


def calibration_figures(fit: Calibration, *, most: int = _DRAWN) -> tuple[Figure, ...]:
    """Draw how often stated probabilities come true, before and after calibration, by finding.

    Args:
        fit: The card's calibration; nothing is drawn where it has no reliability curves.
        most: Findings that are drawn at most.
    """
    names = list(dict.fromkeys(name for part in fit.reliability.values() for name in part))
    return tuple(_reliability(fit, name) for name in names[:most])


def _reliability(fit: Calibration, finding: str) -> Figure:
    curves, counts = [], []
    for version, words in _VERSIONS.items():
        bins = fit.reliability.get(version, {}).get(finding)
        if bins is not None:
            curves.append(_line(bins, f"{words}, ECE {_calibration_error(bins):.3f}"))
            counts.append(_histogram(bins))
    unseen = " Calibrated: each image by a fit without its patient." if len(curves) > 1 else ""
    caption = (
        f"{counts[0].sum():,.0f} validation images; bars: 95 % Wilson intervals; neighboring bins "
        f"are joined up to {_LEAST} images.{unseen}"
    )
    return reliability_figure(curves, counts=counts, caption=caption, title=finding)


def _line(bins: Reliability, label: str) -> Curve:
    """Join neighboring bins until each point rests on enough images to be read."""
    count = np.array(bins.count, dtype=float)
    before = np.cumsum(count) - count
    starts = [0]
    for index in range(1, len(count)):
        rest = count.sum() - before[index]
        if before[index] - before[starts[-1]] >= _LEAST and rest >= _LEAST:
            starts.append(index)
    size = np.add.reduceat(count, starts)
    hits = np.add.reduceat(count * bins.observed, starts).round()
    mean = np.add.reduceat(count * bins.predicted, starts) / size
    low, high = wilson_interval(hits, size)
    return Curve(label, mean, hits / size, low, high)


def _calibration_error(bins: Reliability) -> float:
    gaps = np.abs(np.subtract(bins.predicted, bins.observed))
    return float(np.average(gaps, weights=bins.count))


def _histogram(bins: Reliability) -> Values:
    place = np.minimum((np.array(bins.predicted) * _BINS).astype(int), _BINS - 1)
    return np.bincount(place, bins.count, minlength=_BINS).astype(np.float64)


def referral_figure(
    evidence: Evidence, *, title: str = "What referral gains", caption: str = ""
) -> Figure | None:
    """Draw the risk–coverage curve, with what the referral rule did on unseen patients.

    Args:
        evidence: Of an uncertainty rule.
        title: The drawing's heading.
        caption: What to see; empty: said in general.

    Returns:
        None where no call could be judged.
    """
    if evidence.curve is None:
        return None
    with drawing() as canvas:
        axes = canvas.subplots()
        _draw_risk(axes, evidence.curve, evidence.images)
        point = _draw_rule(axes, evidence)
        axes.set(xlabel="share of images kept", ylabel=f"share of {_RISKS[evidence.risk]}")
        axes.set(xlim=(0, 1.02), title=title)
        top = _ceiling(evidence)
        axes.set_ylim(bottom=0, top=top)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top > 0.06 else 1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.legend(loc="upper left")
        alt = f"Risk by coverage: {evidence.curve.risk[-1]:.1%} of calls on all images are wrong"
        alt += f"; {point}" if point else ""
        usual = "The surest images first; band: 95 %, over patients. Dotted: any other order."
        return Figure(to_svg(canvas, alt), caption or usual, alt)


def _draw_risk(axes: Axes, curve: RiskCurve, images: int) -> None:
    x, y = np.array(curve.coverage), np.array(curve.risk)
    axes.axhline(y[-1], color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
    enough = (x * images >= _LEAST) | (x == x[-1])
    low, high = (np.array(line, dtype=float) for line in (curve.low, curve.high))
    if low.size and high.size:
        band = (part[enough] for part in (x, low, high))
        axes.fill_between(*band, color=color(0), alpha=0.16, linewidth=0)
    area = "" if curve.aurc is None else f", area {curve.aurc:.3f}"
    axes.plot(x[enough], y[enough], color=color(0), label=f"validation{area}")


def _draw_rule(axes: Axes, evidence: Evidence) -> str:
    referred, after = evidence.referred, evidence.risk_after
    if referred is None or after is None or referred.value is None or after.value is None:
        return ""
    kept = 1 - referred.value
    told = f"rule on unseen patients: {referred.value:.1%} referred, {after.value:.1%} wrong"
    if after.low is not None and after.high is not None:
        axes.vlines(kept, after.low, after.high, color=SERIES[1], linewidth=1.4)
    axes.plot(
        kept, after.value, "o", color=SERIES[1], markeredgecolor=PAPER, markersize=7, label=told
    )
    return told


def _ceiling(evidence: Evidence) -> float:
    """Leave room above the curve for the legend; a wide band of few images may be cut."""
    tops = [max(evidence.curve.risk)] if evidence.curve else []
    tops += [
        each.high for each in (evidence.risk_before, evidence.risk_after) if each and each.high
    ]
    return min(1.35 * max([*tops, 0.01]), 1.02)


def _calibration_table(fit: Calibration) -> Table:
    names = {
        "ece": "ECE, 15 bins of equal width",
        "ece_equal_mass": "ECE, 15 bins of equal size",
        "brier": "Brier score",
        "log_loss": "log loss",
    }
    versions = {"before": "before", "after": fit.method.capitalize(), "temperature": "temperature"}
    shown = {
        k: v for k, v in versions.items() if any(f"{n}_{k}" in fit.measurements for n in names)
    }
    rows = tuple(
        (words, *(_cell(fit.measurements.get(f"{name}_{key}"), digits=3) for key in shown))
        for name, words in names.items()
    )
    caption = (
        f"Means over findings on {fit.images:,} validation images; lower is better. All but "
        "“before” by fits without the image's patient."
    )
    return Table(("Calibration", *shown.values()), rows, caption, stacked=True)


def _rule_blocks(rule: UncertaintyRule) -> list[Block]:
    evidence = rule.evidence
    blocks: list[Block] = [Note(f"Referred to a person are {rule.chosen_by}.", "Referral")]
    if evidence.referred is not None:
        blocks.append(_referral_table(evidence, evidence.referred))
    if evidence.sets:
        blocks.append(_sets_table(rule))
    return blocks


def _referral_table(evidence: Evidence, referred: Estimate) -> Table:
    ends = (referred.value, referred.high, referred.low)
    value, low, high = (None if each is None else 1 - each for each in ends)
    rows = (
        ("all", "100%", _cell(evidence.risk_before, percent=True)),
        (
            "not referred",
            _cell(Estimate(value, low, high), percent=True),
            _cell(evidence.risk_after, percent=True),
        ),
        ("referred", _cell(referred, percent=True), _cell(evidence.risk_referred, percent=True)),
    )
    columns = ("Images", "share", _RISKS[evidence.risk])
    caption = f"{evidence.images:,} validation images, by rules fixed without the image's patient."
    return Table(columns, rows, caption, stacked=True)


def _sets_table(rule: UncertaintyRule) -> Table:
    columns = {
        "coverage": "Coverage",
        "coverage_present": "of present",
        "coverage_absent": "of absent",
        "set_size": "Labels in a set",
        "both": "several",
        "neither": "none",
    }
    sets = rule.evidence.sets
    shown = [key for key in columns if any(key in each for each in sets.values())]
    rows = tuple(
        (name, *(_cell(each.get(key), percent=key != "set_size") for key in shown))
        for name, each in sets.items()
    )
    caption = (
        f"Conformal sets that miss at most {rule.alpha:.0%} of each label, measured on patients "
        "that they were not fixed on."
    )
    return Table(("Finding", *(columns[key] for key in shown)), rows, caption, stacked=True)


def _cell(found: Estimate | None, *, percent: bool = False, digits: int = 2) -> str:
    if found is None or found.value is None:
        return "–"
    ends: Sequence[float] = ()
    if found.low is not None and found.high is not None:
        ends = (found.low, found.high)
    value, *bounds = (f"{x:.1%}" if percent else f"{x:.{digits}f}" for x in (found.value, *ends))
    return f"{value} [{bounds[0]}, {bounds[1]}]" if bounds else value
