"""Conformal sets: which labels an image may have, wrong for at most a share alpha of each label.

Split conformal prediction, one threshold a label (class-conditional, Mondrian): the promise holds
for the rare finding as for the frequent one. It is a promise over new patients of the same kind,
not for each of them, and none for images of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import as_float, binary_samples, encode_groups
from lucidray.metrics.multiclass import class_samples
from lucidray.metrics.resampling import Progress
from lucidray.metrics.shares import mean_estimates
from lucidray.records import Bool, Float64, Measurement

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Conformal:
    """Thresholds of conformal sets, fitted on calibration images.

    Args:
        alpha: Share of the images of each label whose set may miss it.
        present_from: float64 ``(F,)``: the set of a finding holds "present" at and above this
            probability; 0 (always) where calibration images are too few.
        absent_to: float64 ``(F,)``: it holds "absent" at and below this one; 1 (always) likewise.
        exclusive: Whether exactly one finding holds: then the set is one of findings, those at or
            above their `present_from`, and a finding may be absent where another is in the set.
    """

    alpha: float
    present_from: Float64
    absent_to: Float64
    exclusive: bool = False

    def apply(self, probabilities: npt.ArrayLike) -> tuple[Bool, Bool]:
        """Return bool ``(N, F)`` twice: may be present, may be absent.

        Args:
            probabilities: ``(N, F)``.

        Raises:
            ShapeError: There is not one column a finding.
        """
        values = as_float(probabilities, "probabilities")
        if values.ndim != 2 or values.shape[1] != len(self.present_from):
            raise ShapeError(
                f"probabilities are {values.shape}; expected (N, {len(self.present_from)})"
            )
        present = values >= self.present_from
        if self.exclusive:
            return present, present.sum(axis=1, keepdims=True) > present
        return present, values <= self.absent_to


def conformal_quantile(
    scores: npt.ArrayLike, *, alpha: float, groups: npt.ArrayLike | None = None
) -> float:
    """Return the bound that the score of a new image of this kind stays within.

    Args:
        scores: ``(N,)``, higher = stranger, of calibration images.
        alpha: Chance that a new score exceeds the bound; in (0, 1).
        groups: ``(N,)`` patient keys: patients then weigh the same, whatever their number of
            images, and the promise is for an image of a new patient; None: each image is its own.

    Returns:
        Without groups the ``ceil((N + 1) (1 - alpha))``-th smallest score; infinite where there are
        fewer than ``1 / alpha - 1`` images (patients).

    Raises:
        MetricError: Alpha is out of range or a score is nan.

    Source: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); several
        images a patient: Lee, Barber & Willett, Distribution-free inference with hierarchical
        data, arXiv:2306.06342.

    >>> conformal_quantile(range(1, 20), alpha=0.1)
    18.0
    >>> conformal_quantile(range(1, 9), alpha=0.1)
    inf
    """
    values = as_float(scores, "scores").ravel()
    if not 0 < alpha < 1:
        raise MetricError(f"alpha is {alpha}; it must lie between 0 and 1, for example 0.1")
    if np.isnan(values).any():
        raise MetricError("some scores are nan; mend the model")
    cluster, clusters = encode_groups(groups, len(values))
    order = np.argsort(values, kind="stable")
    weight = 1 / np.bincount(cluster, minlength=clusters)[cluster]
    reached = np.cumsum(weight[order]) >= (clusters + 1) * (1 - alpha) - _ROUNDING
    first = int(np.argmax(reached)) if reached.any() else -1
    return float(values[order[first]]) if first >= 0 else float("inf")


def fit_conformal(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    alpha: float = 0.1,
    groups: npt.ArrayLike | None = None,
) -> Conformal:
    """Fit the sets of findings that do not exclude each other, each with two labels.

    Args:
        labels: ``(N, F)`` of calibration images: 1, 0 or nan (left out).
        probabilities: ``(N, F)`` in [0, 1]. A rising transformation of them gives the same sets,
            so it does not matter whether they were calibrated on these images.
        alpha: Share of the images of each label whose set may miss it.
        groups: ``(N,)`` patient keys, see `conformal_quantile`.

    Raises:
        ShapeError: The arrays are not both ``(N, F)``.
        MetricError: A label, a probability or alpha is out of range.

    Source: least ambiguous sets with class-conditional coverage: Sadinle, Lei & Wasserman, JASA
        114:223 (2019); Mondrian: Vovk et al. 2005, section 4.5.
    """
    truth, values = _same_shape(labels, probabilities)
    lowest, highest = np.zeros(truth.shape[1]), np.ones(truth.shape[1])
    for index, (column, chance) in enumerate(zip(truth.T, values.T, strict=True)):
        binary_samples(column, chance, probabilities=True)
        present = -_quantile_of(-chance, column == 1, alpha, groups)
        lowest[index] = max(present, 0.0)
        highest[index] = min(_quantile_of(chance, column == 0, alpha, groups), 1.0)
    return Conformal(alpha, lowest, highest)


def fit_class_conformal(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    alpha: float = 0.1,
    groups: npt.ArrayLike | None = None,
) -> Conformal:
    """Fit the sets of findings of which exactly one holds.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = left out.
        probabilities: ``(N, K)``, rows summing to one, best not calibrated on these very images.
        alpha: Share of the images of each class whose set may miss it.
        groups: ``(N,)`` patient keys, see `conformal_quantile`.

    Raises and Source as in `fit_conformal`.
    """
    truth, values, known = class_samples(labels, probabilities)
    keys = None if groups is None else np.asarray(groups)[known]
    lowest = [-_quantile_of(-values[:, k], truth == k, alpha, keys) for k in range(values.shape[1])]
    return Conformal(alpha, np.clip(lowest, 0, 1), np.ones(len(lowest)), exclusive=True)


def measure_sets(
    labels: npt.ArrayLike,
    may_be_present: npt.ArrayLike,
    may_be_absent: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Measurement]:
    """Measure the conformal sets of one finding on images that they were not fitted on.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        may_be_present: bool ``(N,)``: whether the set holds "present".
        may_be_absent: bool ``(N,)``: whether it holds "absent".
        groups: ``(N,)`` patient keys, for the intervals; None: each image is its own patient.
        n_boot: Bootstrap replicates; 0: no intervals.
        seed: Same seed, same intervals.
        progress: Called with replicates done and in all.

    Returns:
        ``coverage`` (share of sets that hold the label), the same among images of one label in
        ``coverage_present`` and ``coverage_absent``, ``set_size`` (mean number of labels, 0 to 2),
        ``both`` and ``neither`` (shares of sets with two labels and with none). A large coverage
        and a small set are good; nan where there is no such image.

    Raises:
        ShapeError: The arrays are not all ``(N,)``.
        MetricError: A label is out of range.
    """
    present, absent = np.asarray(may_be_present, bool), np.asarray(may_be_absent, bool)
    samples = binary_samples(labels, present.astype(np.float64), groups=groups)
    if absent.shape != present.shape:
        raise ShapeError(f"sets are {present.shape} and {absent.shape}; both must be (N,)")
    known = ~np.isnan(as_float(labels, "labels"))
    parts = _parts(samples.positive, present[known], absent[known])
    found = mean_estimates(
        parts, groups=samples.cluster, n_boot=n_boot, seed=seed, progress=progress
    )
    return {
        name: Measurement(
            name,
            found[name].value,
            name.startswith("coverage"),
            found[name].low,
            found[name].high,
            int(chosen.sum()),
            undefined=samples.unlabeled,
        )
        for name, (_, chosen) in parts.items()
    }


def _parts(truth: Bool, present: Bool, absent: Bool) -> dict[str, tuple[Float64, Bool]]:
    """Return what is averaged over which images."""
    everywhere = np.ones(len(truth), dtype=bool)
    values = {
        "coverage": (np.where(truth, present, absent), everywhere),
        "coverage_present": (present, truth),
        "coverage_absent": (absent, ~truth),
        "set_size": (present.astype(np.int64) + absent, everywhere),
        "both": (present & absent, everywhere),
        "neither": (~present & ~absent, everywhere),
    }
    return {name: (value.astype(np.float64), chosen) for name, (value, chosen) in values.items()}


def _quantile_of(
    scores: Float64, chosen: Bool, alpha: float, groups: npt.ArrayLike | None
) -> float:
    keys = None if groups is None else np.asarray(groups)[chosen]
    return conformal_quantile(scores[chosen], alpha=alpha, groups=keys)


def _same_shape(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[Float64, Float64]:
    truth, values = as_float(labels, "labels"), as_float(probabilities, "probabilities")
    if truth.ndim != 2 or truth.shape != values.shape:
        raise ShapeError(
            f"labels are {truth.shape} and probabilities {values.shape}; both must be (N, F)"
        )
    return truth, values
