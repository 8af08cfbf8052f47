"""Fix on validation images how a bundle tells unsure answers: conformal sets and referral.

What a rule promises is measured by cross-fitting: patients are cut into parts, rules are fixed on
all parts but one and judged on that one. Only the operating points, which the run chose on these
images, are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lucidray.bundle.card import Calibration, OperatingPoint
from lucidray.bundle.uncertainty import Score, UncertaintyRule
from lucidray.errors import ExportError
from lucidray.export.uncertainty_evidence import gather_evidence
from lucidray.export.uncertainty_rules import (
    UncertaintySettings,
    choose_rule,
    fit_sets,
    gather_answers,
)
from lucidray.metrics.referral import Referral
from lucidray.records import Float32

__all__ = ["UncertaintySettings", "fit_uncertainty"]

_DEFAULT = UncertaintySettings()


def fit_uncertainty(
    findings: Sequence[str],
    logits: Float32,
    labels: Float32,
    calibration: Calibration,
    points: Mapping[str, OperatingPoint],
    *,
    exclusive: bool,
    groups: npt.ArrayLike | None = None,
    settings: UncertaintySettings = _DEFAULT,
    images: str = "validation images of the training",
) -> UncertaintyRule | None:
    """Fix how unsure answers are told.

    Args:
        findings: F names.
        logits: ``(N, F)`` of validation images.
        labels: ``(N, F)``: 1, 0 or nan.
        calibration: How the bundle turns logits into probabilities.
        points: Operating points by finding, on those probabilities.
        exclusive: Whether exactly one finding holds; the likeliest one then is the call.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        settings: What is asked of the rule.
        images: What the images are, in words.

    Returns:
        The rule with its evidence; None where no image is labeled. Conformal sets of findings that
        do not exclude each other depend on the order of images alone, which calibration keeps;
        where findings exclude each other, they are fitted on probabilities that were calibrated
        without the image's patient.

    Raises:
        ExportError: A finding to look at has no operating point.
        MetricError: A setting is out of range.
    """
    if not np.isfinite(labels).any():
        return None
    judged = _judged(findings, labels, points, settings) if not exclusive else tuple(findings)
    answers = gather_answers(
        logits,
        labels,
        calibration,
        thresholds=np.array([points[n].threshold if n in points else np.nan for n in findings]),
        judged=[name in judged for name in findings],
        exclusive=exclusive,
        groups=groups,
        risk=settings.risk,
    )
    everything = np.ones(len(labels), dtype=bool)
    score, referral = choose_rule(answers, everything, settings)
    sets = fit_sets(answers, everything, settings.alpha)
    return UncertaintyRule(
        settings.alpha,
        tuple(sets.present_from.tolist()),
        tuple(sets.absent_to.tolist()),
        score,
        referral.threshold,
        () if exclusive else judged,
        _in_words(score, referral, settings, counted=bool(answers.sizes.any())),
        gather_evidence(answers, findings, score, settings, images=images),
    )


def _judged(
    findings: Sequence[str],
    labels: Float32,
    points: Mapping[str, OperatingPoint],
    settings: UncertaintySettings,
) -> tuple[str, ...]:
    for name in settings.findings:
        if name not in findings or name not in points:
            known = ", ".join(each for each in findings if each in points) or "none"
            raise ExportError(
                f"referral cannot look at '{name}', which has no operating point; "
                f"findings that have one: {known}."
            )
    both = [{0.0, 1.0} <= set(column.tolist()) for column in labels.T]
    usual = [name for name, fits in zip(findings, both, strict=True) if fits and name in points]
    wanted = settings.findings or usual
    return tuple(name for name in findings if name in wanted)


def _in_words(
    score: Score, referral: Referral, settings: UncertaintySettings, *, counted: bool
) -> str:
    what = "nearness to the operating point" if score.endswith("margin") else "entropy"
    what = f"mean {what}" if score.startswith("mean") else what
    start = f"images whose {what} is at least {referral.threshold:.3g}: "
    if not counted or settings.share is not None:
        why = "" if counted else "; no call could be judged"
        return f"{start}the least certain {referral.referred:.1%} of the validation images{why}"
    risk = "wrong calls" if settings.risk == "error" else "wrong calls, both labels weighed equally"
    aim = f"{referral.target:.1%} {risk}"
    if settings.target is None:
        aim += f" (half of {referral.before:.1%})"
    if referral.referred == 0 and referral.met:
        return f"{start}less certain than any validation image, since these have at most {aim}"
    if referral.met:
        return f"{start}the fewest that leave at most {aim} on the other validation images"
    return (
        f"{start}those without which the validation images have the fewest {risk}, at most "
        f"{settings.most:.0%} of them; the aim of {aim} is out of reach"
    )
