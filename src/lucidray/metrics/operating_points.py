"""Where to cut: operating points, chosen on validation data and frozen.

A threshold is laid midway, in log odds, between the two scores that it parts, never on a score:
it then means the same in single precision, and a little noise does not flip an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from lucidray.errors import MetricError
from lucidray.metrics.calibration import logit
from lucidray.metrics.confusion import Counts, f_beta
from lucidray.metrics.inputs import Samples, binary_samples
from lucidray.metrics.intervals import normal_quantile, wilson_interval
from lucidray.records import Bool, Float64, Measurement


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with what it did on the validation data that it was chosen on.

    Args:
        name: For example ``"youden"``.
        threshold: A finding counts as present at and above it.
        chosen_by: The rule in words.
        sensitivity: On validation, with Wilson's interval over patients.
        specificity: On validation, with Wilson's interval over patients. Both are optimistic, since
            the threshold was chosen there.
        positives: Positive images in validation.
        negatives: Negative images in validation.
    """

    name: str
    threshold: float
    chosen_by: str
    sensitivity: Measurement
    specificity: Measurement
    positives: int
    negatives: int


@dataclass(frozen=True)
class _Sweep:
    """All cuts between distinct scores, from calling everything positive upward."""

    samples: Samples
    levels: Float64
    counts: Counts
    patients: tuple[int, int]

    @property
    def rates(self) -> tuple[Float64, Float64]:
        sensitivity = self.counts.tp / self.counts.positives
        return sensitivity, self.counts.tn / self.counts.negatives


def youden(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> OperatingPoint:
    """Choose the threshold at which sensitivity plus specificity is largest.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        groups: ``(N,)`` patient keys, for the intervals; None: each image is its own patient.

    Raises:
        MetricError: A class is absent.

    Source: Youden, Cancer 3:32 (1950). Of equal cuts the median one is taken.
    """
    sweep = _sweep(labels, probabilities, groups)
    sensitivity, specificity = sweep.rates
    index = sensitivity + specificity - 1
    cut = _middle(np.flatnonzero(index >= index.max() - 1e-12))
    return _point("youden", "largest sensitivity + specificity - 1", sweep, cut)


def robust_youden(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> OperatingPoint:
    """Choose the middle of the plateau around the best sum of sensitivity and specificity.

    The plateau reaches from the lowest to the highest threshold whose sum is within one standard
    error of the best; its middle is taken in log odds. A threshold that sits on the peak of one
    hospital's noise, or at the edge of the gap between its two classes, does not travel. Should
    the middle fall into a valley, two standard errors deep, between two peaks, then only the
    unbroken stretch around the best threshold counts.

    Args and Raises as in `youden`.

    Source: the one-standard-error rule, Breiman et al., Classification and Regression Trees
        (1984), section 3.4.3.

    Deviates: from Youden, which takes the peak.
    """
    sweep = _sweep(labels, probabilities, groups)
    sensitivity, specificity = sweep.rates
    index = sensitivity + specificity - 1
    best = _middle(np.flatnonzero(index >= index.max() - 1e-12))
    error = _youden_error(sensitivity[best], specificity[best], sweep.patients)
    flat = index >= index[best] - error
    cuts = np.flatnonzero(flat)
    threshold = _center(sweep, int(cuts[0]), int(cuts[-1]))
    if index[_cut_at(sweep, threshold)] < index[best] - 2 * error:
        threshold = _center(sweep, *_run_around(flat, best))
    rule = "middle, in log odds, of the thresholds within one standard error of the best Youden"
    return _point("robust_youden", rule, sweep, None, threshold)


def best_f_beta(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    beta: float = 1.0,
    groups: npt.ArrayLike | None = None,
) -> OperatingPoint:
    """Choose the threshold at which F-beta is largest.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        beta: How many times as much sensitivity counts as precision; 1 gives F1, 2 gives F2.
        groups: ``(N,)`` patient keys, for the intervals; None: each image is its own patient.

    Raises:
        MetricError: A class is absent or beta is not above zero.

    Source: van Rijsbergen 1979. Of equal cuts the median one is taken.
    """
    sweep = _sweep(labels, probabilities, groups)
    values = f_beta(sweep.counts, beta)
    cut = _middle(np.flatnonzero(values >= values.max() - 1e-12))
    return _point(f"f{beta:g}", f"largest F{beta:g}", sweep, cut)


def sensitivity_constrained(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    target: float = 0.95,
    level: float = 0.95,
    groups: npt.ArrayLike | None = None,
) -> OperatingPoint:
    """Choose the most specific threshold whose sensitivity surely reaches a target.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        target: The lower end of Wilson's interval of the sensitivity must reach it.
        level: Coverage of that two-sided interval.
        groups: ``(N,)`` patient keys: the interval counts patients, not images.

    Raises:
        MetricError: A class is absent, the target is not in (0, 1), or there are too few
            positives to be that sure of anything; the message says how many it takes.
    """
    if not 0 < target < 1:
        raise MetricError(f"the target is {target}; it must lie between 0 and 1, for example 0.95")
    sweep = _sweep(labels, probabilities, groups)
    sensitivity, _ = sweep.rates
    patients = sweep.patients[0]
    low, _ = wilson_interval(
        sensitivity * patients, np.full(len(sensitivity), patients), level=level
    )
    enough = np.flatnonzero(low >= target)
    if not enough.size:
        needed = int(np.ceil(normal_quantile(level) ** 2 * target / (1 - target)))
        raise MetricError(
            f"with {patients} positive patients even a sensitivity of 1 is not surely above "
            f"{target:g}; that takes {needed}. Lower the target or validate on more patients"
        )
    rule = (
        f"largest specificity with the {level:.0%} lower bound of sensitivity at least {target:g}"
    )
    return _point(f"sensitivity_{target:g}", rule, sweep, int(enough[-1]))


def at_threshold(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float,
    *,
    name: str = "fixed",
    groups: npt.ArrayLike | None = None,
) -> OperatingPoint:
    """Return the operating point of a threshold that was fixed beforehand.

    Args:
        labels: ``(N,)`` of validation images: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        threshold: The threshold.
        name: Its name.
        groups: ``(N,)`` patient keys, for the intervals; None: each image is its own patient.

    Raises:
        MetricError: A class is absent.
    """
    sweep = _sweep(labels, probabilities, groups)
    return _point(name, "fixed beforehand", sweep, None, float(threshold))


def _sweep(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, groups: npt.ArrayLike | None
) -> _Sweep:
    samples = binary_samples(labels, probabilities, groups=groups, probabilities=True)
    positive = samples.positive
    if not positive.any() or positive.all():
        raise MetricError(
            f"validation has {positive.sum()} positives and {(~positive).sum()} negatives; "
            "an operating point needs both"
        )
    levels, rows = np.unique(samples.scores, return_inverse=True)
    missed = np.cumsum(np.bincount(rows[positive], minlength=len(levels)))[:-1]
    clear = np.cumsum(np.bincount(rows[~positive], minlength=len(levels)))[:-1]
    fn = np.concatenate([[0], missed]).astype(np.float64)
    tn = np.concatenate([[0], clear]).astype(np.float64)
    counts = Counts(positive.sum() - fn, (~positive).sum() - tn, fn, tn)
    patients = [len(np.unique(samples.cluster[side])) for side in (positive, ~positive)]
    floor = np.array([min(levels[0], expit(logit(levels[0]) - 1.0))])
    return _Sweep(samples, np.concatenate([floor, levels]), counts, (patients[0], patients[1]))


def _point(
    name: str, rule: str, sweep: _Sweep, cut: int | None, threshold: float = float("nan")
) -> OperatingPoint:
    """Cut k lies between levels k and k + 1 of the sweep, whose first level is a floor."""
    if cut is not None:
        lower, upper = sweep.levels[cut], sweep.levels[cut + 1]
        middle = float(expit(logit(np.array([lower, upper])).mean()))
        threshold = middle if lower < middle <= upper else float(upper)
    samples = sweep.samples
    called, positive = samples.scores >= threshold, samples.positive
    hits, clear = float(called[positive].mean()), float((~called[~positive]).mean())
    sizes = int(positive.sum()), int((~positive).sum())
    return OperatingPoint(
        name,
        threshold,
        rule,
        _rate("sensitivity", hits, sizes[0], sweep.patients[0], samples.unlabeled),
        _rate("specificity", clear, sizes[1], sweep.patients[1], samples.unlabeled),
        *sizes,
    )


def _rate(name: str, value: float, size: int, patients: int, unlabeled: int) -> Measurement:
    low, high = wilson_interval(value * patients, patients)
    return Measurement(name, value, True, float(low), float(high), size, undefined=unlabeled)


def _youden_error(sensitivity: float, specificity: float, patients: tuple[int, int]) -> float:
    """Return the standard error of the index, with the rates drawn in from 0 and 1.

    Deviates: adds two successes and two failures (Agresti & Coull 1998), so that a perfect
        separation of few patients is not taken as certain.
    """
    spread = 0.0
    for rate, size in zip((sensitivity, specificity), patients, strict=True):
        drawn = (rate * size + 2) / (size + 4)
        spread += drawn * (1 - drawn) / (size + 4)
    return float(np.sqrt(spread))


def _center(sweep: _Sweep, first: int, last: int) -> float:
    """Return the middle, in log odds, of all thresholds from one cut to another."""
    ends = logit(np.array([sweep.levels[first], sweep.levels[last + 1]]))
    return float(expit(ends.mean()))


def _cut_at(sweep: _Sweep, threshold: float) -> int:
    return int(np.clip(np.searchsorted(sweep.levels, threshold) - 1, 0, len(sweep.levels) - 2))


def _run_around(flat: Bool, best: int) -> tuple[int, int]:
    outside = np.flatnonzero(~flat)
    left, right = outside[outside < best], outside[outside > best]
    first = int(left[-1]) + 1 if left.size else 0
    return first, int(right[0]) - 1 if right.size else len(flat) - 1


def _middle(cuts: npt.NDArray[np.int64]) -> int:
    return int(cuts[len(cuts) // 2])
