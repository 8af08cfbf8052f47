"""How unsure an answer is, by rules that were fixed on validation images. NumPy alone.

Fitted by `lucidray.export.uncertainty`, carried in the card, applied to every reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from lucidray.bundle.estimate import Estimate
from lucidray.errors import BundleError, ConfigError
from lucidray.records import Float32, Float64, Uncertainty

#: What the referral rule looks at; all lie in [0, 1], 1 = most unsure.
Score = Literal["entropy", "margin", "mean_entropy", "mean_margin"]
Risk = Literal["error", "balanced_error"]

_LENIENT = {"extra": "ignore"}
_SMALLEST = 1e-7


@dataclass(frozen=True)
class RiskCurve:
    """How many calls are wrong among the images that are kept, the surest first.

    Args:
        coverage: ``(K,)`` shares of the images that are kept, rising.
        risk: ``(K,)`` shares of wrong calls among them.
        low: ``(K,)`` lower ends of 95 % intervals over patients.
        high: ``(K,)`` upper ends.
        aurc: Area under the curve; lower is better.
        excess_aurc: What of it a perfect order of the same calls would not have.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _LENIENT

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    aurc: float | None = None
    excess_aurc: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What an uncertainty rule does on validation images.

    Conformal sets and referral are measured by cross-fitting: each image by a rule that was fitted
    without its patient. The curve is that of the images that the rule was fixed on.

    Args:
        fitted_on: The images.
        images: How many.
        patients: Of how many patients.
        folds: Parts into which the patients were cut for cross-fitting; 0: too few patients.
        sets: By finding: ``coverage_present`` and ``coverage_absent`` (share of the images of that
            label whose set holds it), ``set_size``, ``both`` and ``neither`` (shares of images).
        risk: ``"error"``: share of wrong calls; ``"balanced_error"``: the same were each finding
            as often present as absent.
        referred: Share of images handed to a person.
        risk_before: Of the calls on all images.
        risk_after: Of the calls on images that are not referred.
        risk_referred: Of the calls on images that are.
        curve: Risk by share kept.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _LENIENT

    fitted_on: str = ""
    images: int = 0
    patients: int = 0
    folds: int = 0
    sets: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    risk: Risk = "error"
    referred: Estimate | None = None
    risk_before: Estimate | None = None
    risk_after: Estimate | None = None
    risk_referred: Estimate | None = None
    curve: RiskCurve | None = None


@dataclass(frozen=True)
class UncertaintyRule:
    """How an answer's uncertainty is told, fixed on validation images.

    Args:
        alpha: Share of the images of each label whose conformal set may miss that label.
        present_from: ``(F,)`` probability at and above which the set of a finding holds "present";
            0: always, for too few such images were there.
        absent_to: ``(F,)`` probability at and below which it holds "absent"; 1: always. Unused
            where findings exclude each other.
        score: ``"entropy"``: largest normalized entropy of the judged findings (of all together
            where they exclude each other); ``"margin"``: the same once the log odds of each
            operating point are put at zero, so 1 at the operating point (where findings exclude
            each other: one less the gap of the two likeliest); ``"mean_entropy"`` and
            ``"mean_margin"``: means over the judged findings instead.
        threshold: An image whose score reaches it is referred.
        judged: Findings that the score looks at; empty: all.
        chosen_by: How score and threshold were chosen, in words.
        evidence: What the rule does.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _LENIENT

    alpha: float
    present_from: tuple[float, ...]
    absent_to: tuple[float, ...]
    score: Score
    threshold: float
    judged: tuple[str, ...] = ()
    chosen_by: str = ""
    evidence: Evidence = field(default_factory=Evidence)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ConfigError(f"alpha is {self.alpha}; it must lie between 0 and 1.")
        if self.score not in get_args(Score):
            raise ConfigError(f"score is '{self.score}'; expected {', '.join(get_args(Score))}.")
        if len(self.present_from) != len(self.absent_to):
            raise ConfigError(
                f"present_from has {len(self.present_from)} entries, absent_to "
                f"{len(self.absent_to)}; both need one a finding."
            )


def rule_from(values: Mapping[str, Any] | None) -> UncertaintyRule | None:
    """Build the rule from a card's plain values, its evidence left out.

    Raises:
        BundleError: Something is missing or of the wrong type.
    """
    if values is None:
        return None
    try:
        return UncertaintyRule(
            float(values["alpha"]),
            tuple(map(float, values["present_from"])),
            tuple(map(float, values["absent_to"])),
            values["score"],
            float(values["threshold"]),
            tuple(values["judged"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the card's uncertainty rule is not valid: {error!r}. Get the bundle again."
        ) from error


def apply(
    rule: UncertaintyRule,
    probabilities: Float32,
    *,
    findings: Sequence[str],
    operating_points: Mapping[str, float],
    exclusive: bool,
) -> Uncertainty:
    """Say how unsure an answer is.

    Args:
        rule: Of the bundle.
        probabilities: float32 ``(F,)``, as the bundle gives them.
        findings: F names.
        operating_points: By finding.
        exclusive: Whether exactly one finding holds.

    >>> rule = UncertaintyRule(0.1, (0.2,), (0.6,), "entropy", 0.95)
    >>> answer = np.array([0.5], np.float32)
    >>> told = apply(rule, answer, findings=["Mass"], operating_points={}, exclusive=False)
    >>> bool(told.may_be_present[0]), bool(told.may_be_absent[0]), told.refer
    (True, True, True)
    """
    values = np.asarray(probabilities, dtype=np.float64)
    present = values >= np.array(rule.present_from)
    margin = rule.score.endswith("margin")
    if exclusive:
        absent = (present.sum() - present) > 0
        unsure = _class_entropy(values)
        scores = _class_nearness(values) if margin else unsure
    else:
        absent = values <= np.array(rule.absent_to)
        unsure = _entropy(values)
        points = [operating_points.get(name) for name in findings]
        scores = _entropy(_centered(values, points)) if margin else unsure
    if rule.judged:
        scores = scores[[name in rule.judged for name in findings]]
    score = scores.mean() if rule.score.startswith("mean") else scores.max()
    return Uncertainty(unsure.astype(np.float32), present, absent, bool(score >= rule.threshold))


def _entropy(values: Float64) -> Float64:
    p = np.stack([values, 1 - values])
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=0).clip(-1, 0))


def _class_entropy(values: Float64) -> Float64:
    if len(values) < 2:
        return np.zeros(len(values))
    entropy = -(values * np.log(np.where(values > 0, values, 1))).sum() / np.log(len(values))
    return np.full(len(values), entropy.clip(0, 1))


def _class_nearness(values: Float64) -> Float64:
    ordered = np.sort(values)
    gap = ordered[-1] - ordered[-2] if len(values) > 1 else 1.0
    return np.full(len(values), 1 - gap)


def _centered(values: Float64, points: Sequence[float | None]) -> Float64:
    """Put each operating point at one half, by moving log odds; without one, leave it there."""
    centers = np.array([0.5 if point is None else point for point in points])
    line = [np.clip(each, _SMALLEST, 1 - _SMALLEST) for each in (values, centers)]
    odds = [np.log(each) - np.log1p(-each) for each in line]
    return np.asarray(1 / (1 + np.exp(odds[1] - odds[0])))
