"""What an uncertainty rule does on patients that it was not fixed on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucidray.bundle.estimate import Estimate
from lucidray.bundle.uncertainty import Evidence, RiskCurve, Score
from lucidray.export.calibration import folds_of
from lucidray.export.uncertainty_rules import Answers, UncertaintySettings, choose_rule, fit_sets
from lucidray.metrics.conformal import measure_sets
from lucidray.metrics.selective import aurc, excess_aurc, risk_coverage
from lucidray.metrics.shares import mean_estimates
from lucidray.records import Bool, Float64

_DIGITS = 5
_POINTS = 40
_SAME = 1e-12


def gather_evidence(
    answers: Answers,
    findings: Sequence[str],
    score: Score,
    settings: UncertaintySettings,
    *,
    images: str,
) -> Evidence:
    """Measure conformal sets and referral by cross-fitting, and draw the risk–coverage curve.

    Args:
        answers: Of validation images.
        findings: F names.
        score: What the rule looks at.
        settings: What was asked of it.
        images: What the images are, in words.
    """
    size, fold = len(answers.labels), folds_of(answers.labels, answers.groups)
    patients = size if answers.groups is None else len(np.unique(answers.groups))
    curve = _curve(answers, score, settings.n_boot)
    if fold is None:
        return Evidence(images, size, patients, risk=settings.risk, curve=curve)
    present, absent = np.zeros((2, *answers.labels.shape), dtype=bool)
    referred = np.zeros(size, dtype=bool)
    for number in np.unique(fold):
        held = fold == number
        sets = fit_sets(answers, ~held, settings.alpha)
        present[held], absent[held] = sets.apply(answers.probabilities[held])
        chosen, referral = choose_rule(answers, ~held, settings)
        referred[held] = answers.scores[chosen][held] >= referral.threshold
    if answers.exclusive:
        measured = _class_sets(answers, findings, present, settings.n_boot)
    else:
        measured = _finding_sets(answers, findings, present, absent, settings.n_boot)
    return Evidence(
        images,
        size,
        patients,
        int(fold.max()) + 1,
        measured,
        settings.risk,
        *_referral(answers, referred, settings.n_boot),
        curve,
    )


def _finding_sets(
    answers: Answers, findings: Sequence[str], present: Bool, absent: Bool, n_boot: int
) -> dict[str, dict[str, Estimate]]:
    measured = {}
    for index, name in enumerate(findings):
        found = measure_sets(
            answers.labels[:, index],
            present[:, index],
            absent[:, index],
            groups=answers.groups,
            n_boot=n_boot,
        )
        measured[name] = {
            key: _estimate(each.value, each.low, each.high, each.count)
            for key, each in found.items()
        }
    return measured


def _class_sets(
    answers: Answers, findings: Sequence[str], present: Bool, n_boot: int
) -> dict[str, dict[str, Estimate]]:
    """Measure sets of findings that exclude each other: ``present`` says all."""
    known = np.isfinite(answers.labels).all(axis=1)
    truth = np.nan_to_num(answers.labels)
    held = (present * truth).sum(axis=1)
    size = present.sum(axis=1)
    parts = {
        ("overall", "coverage"): (held, known),
        ("overall", "set_size"): (size, known),
        ("overall", "both"): (size > 1, known),
        ("overall", "neither"): (size == 0, known),
    }
    parts |= {
        (name, "coverage_present"): (held, truth[:, index] == 1)
        for index, name in enumerate(findings)
    }
    named = {f"{group}/{key}": pair for (group, key), pair in parts.items()}
    found = mean_estimates(named, groups=answers.groups, n_boot=n_boot)
    measured: dict[str, dict[str, Estimate]] = {}
    for (group, key), (_, weight) in parts.items():
        each = found[f"{group}/{key}"]
        told = _estimate(each.value, each.low, each.high, int(weight.sum()))
        measured.setdefault(group, {})[key] = told
    return measured


def _referral(
    answers: Answers, referred: Bool, n_boot: int
) -> tuple[Estimate | None, Estimate | None, Estimate | None, Estimate | None]:
    """Return share referred, and risk of all, of the rest and of the referred."""
    sizes = answers.sizes
    parts = {
        "referred": (referred, np.ones(len(referred))),
        "before": (answers.losses, sizes),
        "after": (answers.losses, sizes * ~referred),
        "sent": (answers.losses, sizes * referred),
    }
    found = mean_estimates(parts, groups=answers.groups, n_boot=n_boot)
    counts = {name: int((weight > 0).sum()) for name, (_, weight) in parts.items()}
    share, *risks = (
        _estimate(found[name].value, found[name].low, found[name].high, counts[name])
        for name in parts
    )
    before, after, sent = risks if sizes.any() else (None, None, None)
    return share, before, after, sent


def _curve(answers: Answers, score: Score, n_boot: int) -> RiskCurve | None:
    losses, unsure, sizes = answers.losses, answers.scores[score], answers.sizes
    if not sizes.any():
        return None
    found = risk_coverage(
        losses, unsure, sizes=sizes, groups=answers.groups, points=_POINTS, n_boot=n_boot
    )
    return RiskCurve(
        tuple(found.coverage.tolist()),
        tuple(found.risk.round(_DIGITS).tolist()),
        _bounds(found.low),
        _bounds(found.high),
        round(aurc(losses, unsure, sizes=sizes), _DIGITS),
        round(excess_aurc(losses, unsure, sizes=sizes), _DIGITS),
    )


def _bounds(line: Float64) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(each) else round(each, _DIGITS) for each in line.tolist())


def _estimate(value: float, low: float, high: float, count: int) -> Estimate:
    """Return what the card keeps; replicates that all agree tell nothing of the spread."""
    if not high - low > _SAME:
        low = high = float("nan")
    known = [float(each) if np.isfinite(each) else None for each in (value, low, high)]
    return Estimate(known[0], known[1], known[2], count)
