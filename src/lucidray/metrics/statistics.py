"""Tests and intervals of areas and of pairs: DeLong, McNemar, sign flips, paired t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import as_measurement
from lucidray.metrics.inputs import Int, Samples, as_float, binary_samples, encode_groups, ratio
from lucidray.metrics.intervals import normal_quantile
from lucidray.metrics.statistics_effects import patient_means
from lucidray.records import Float64, Measurement


@dataclass(frozen=True)
class Comparison:
    """A difference of two models, with its test.

    Args:
        name: What is compared, for example ``"auc"``.
        difference: First minus second model, with its interval.
        p_value: Two-sided, of no difference; nan = undefined.
        test: The test's name.
    """

    name: str
    difference: Measurement
    p_value: float
    test: str


def delong_covariance(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, groups: npt.ArrayLike | None = None
) -> tuple[Float64, Float64]:
    """Return areas under ROC curves and their covariance.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        scores: ``(N,)`` or ``(M, N)``, one row a model, on the same images.
        groups: ``(N,)`` patient keys; None: each image is its own patient (DeLong's case).

    Returns:
        Areas ``(M,)`` and covariance ``(M, M)``; nan where a class is absent, and the covariance
        also where all of a class comes from one patient.

    Source: DeLong et al., Biometrics 44:837 (1988), with the midranks of Sun & Xu, IEEE SPL
        21:1389 (2014); several images a patient: Obuchowski, Biometrics 53:567 (1997).
    """
    rows = np.atleast_2d(as_float(scores, "scores"))
    models = [binary_samples(labels, row, groups=groups) for row in rows]
    first = models[0]
    placed = [_placements(model) for model in models]
    upper = np.stack([pair[0] for pair in placed])
    lower = np.stack([pair[1] for pair in placed])
    positive = first.positive
    areas = ratio(upper.sum(axis=1), positive.sum())
    up = _excess(upper, areas, first.cluster[positive], first.clusters)
    down = _excess(lower, areas, first.cluster[~positive], first.clusters)
    sizes = positive.sum(), (~positive).sum()
    holders = [len(np.unique(first.cluster[side])) for side in (positive, ~positive)]
    return areas, _obuchowski(up, down, sizes, holders, len(np.unique(first.cluster)))


def _placements(samples: Samples) -> tuple[Float64, Float64]:
    """Return for each positive (negative) the share of the others that it is ordered right to."""
    positive = samples.positive
    size = positive.sum(), (~positive).sum()
    together = stats.rankdata(samples.scores)
    above = together[positive] - stats.rankdata(samples.scores[positive])
    below = together[~positive] - stats.rankdata(samples.scores[~positive])
    return ratio(above, size[1]), 1 - ratio(below, size[0])


def _excess(placements: Float64, areas: Float64, cluster: Int, clusters: int) -> Float64:
    centered = placements - areas[:, None]
    sums = [np.bincount(cluster, row, minlength=clusters) for row in centered]
    return np.stack(sums)


def _obuchowski(
    up: Float64, down: Float64, sizes: tuple[int, int], holders: list[int], patients: int
) -> Float64:
    if min(holders) < 2:
        return np.full((len(up), len(up)), np.nan)
    m, n = sizes
    positive = holders[0] / (holders[0] - 1) * (up @ up.T) / m**2
    negative = holders[1] / (holders[1] - 1) * (down @ down.T) / n**2
    crossed = patients / (patients - 1) * (up @ down.T) / (m * n)
    return np.asarray(positive + negative + crossed + crossed.T)


def delong(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Measurement:
    """Return the AUC with DeLong's interval on the logit scale.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        scores: ``(N,)``: higher speaks for the finding.
        groups: ``(N,)`` patient keys, for several images a patient (Obuchowski); None: DeLong.
        level: Coverage.

    Returns:
        The measurement; its interval is nan where the area is 0, 1 or undefined.

    Source: as `delong_covariance`; logit interval: Pepe, The Statistical Evaluation of Medical
        Tests (2003), section 5.2.
    """
    samples = binary_samples(labels, scores, groups=groups)
    areas, covariance = delong_covariance(labels, scores, groups=groups)
    area, error = float(areas[0]), float(np.sqrt(covariance[0, 0]))
    ends = np.full(2, np.nan)
    if 0 < area < 1:
        reach = normal_quantile(level) * error / (area * (1 - area))
        ends = 1 / (1 + np.exp(-(np.log(area / (1 - area)) + np.array([-reach, reach]))))
    return as_measurement(
        "auc",
        area,
        samples.shares,
        low=float(ends[0]),
        high=float(ends[1]),
        count=len(samples),
        undefined=samples.unlabeled,
    )


def delong_test(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Comparison:
    """Test whether two models have the same AUC on the same images.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        first: ``(N,)`` scores of one model.
        second: ``(N,)`` scores of the other.
        groups: ``(N,)`` patient keys, for several images a patient; None: DeLong.
        level: Coverage of the difference's interval.

    Returns:
        First minus second. Where both models order all pairs alike, the p-value is 1.

    Source: as `delong_covariance`.
    """
    areas, cov = delong_covariance(
        labels,
        np.stack([as_float(first, "first scores"), as_float(second, "second scores")]),
        groups=groups,
    )
    difference = float(areas[0] - areas[1])
    variance = float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    error = float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else float("nan")
    p_value = 1.0 if difference == 0 else float(2 * stats.norm.sf(abs(ratio(difference, error))))
    reach = normal_quantile(level) * error
    samples = binary_samples(labels, first)
    measured = Measurement(
        "auc difference",
        difference,
        True,
        difference - reach,
        difference + reach,
        len(samples),
        0.0,
        samples.unlabeled,
    )
    return Comparison("auc", measured, p_value, "DeLong" if groups is None else "Obuchowski")


def mcnemar(
    first_right: npt.ArrayLike,
    second_right: npt.ArrayLike,
    *,
    method: Literal["exact", "mid-p"] = "mid-p",
) -> float:
    """Test whether two models are right equally often on the same images, one a patient.

    Args:
        first_right: bool ``(N,)``, where the first model is right.
        second_right: bool ``(N,)``, where the second is.
        method: ``"exact"`` binomial, or ``"mid-p"``, which is less conservative.

    Returns:
        The two-sided p-value; 1 where they never differ. With several images a patient use
        `comparison.permutation_test`.

    Raises:
        ShapeError: The arrays are not both ``(N,)``.
        MetricError: The method is unknown.

    Source: Fagerland et al., BMC Med. Res. Methodol. 13:91 (2013).
    """
    one, two = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if one.ndim != 1 or one.shape != two.shape:
        raise ShapeError(f"right answers are {one.shape} and {two.shape}; both must be (N,)")
    if method not in ("exact", "mid-p"):
        raise MetricError(f"method is '{method}'; choose 'exact' or 'mid-p'")
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    differing, smaller = only_first + only_second, min(only_first, only_second)
    if not differing:
        return 1.0
    exact = min(1.0, 2 * float(stats.binom.cdf(smaller, differing, 0.5)))
    return exact if method == "exact" else exact - float(stats.binom.pmf(smaller, differing, 0.5))


def sign_flip_test(
    differences: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
) -> float:
    """Test whether paired differences have mean zero, by flipping the sign of whole patients.

    Args:
        differences: ``(N,)`` one value an image, for example IoU of two maps; nan = left out.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        n_permutations: Number of random flips.
        seed: Same seed, same p-value.

    Returns:
        The two-sided p-value, at least ``1 / (n_permutations + 1)``; nan without differences.

    Raises:
        ShapeError: Differences are not ``(N,)``.

    Source: Fisher 1935; the added one: Phipson & Smyth 2010.
    """
    values = as_float(differences, "differences")
    if values.ndim != 1:
        raise ShapeError(f"differences are {values.shape}; expected (N,)")
    cluster, clusters = encode_groups(groups, len(values))
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    sums = np.bincount(cluster[known], values[known], minlength=clusters)
    rng, extreme, bar = np.random.default_rng(seed), 0, abs(sums.sum())
    bar -= 1e-12 * np.abs(sums).sum()
    for start in range(0, n_permutations, 500):
        size = min(500, n_permutations - start)
        signs = rng.integers(0, 2, size=(size, clusters), dtype=np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ sums) >= bar).sum())
    return (extreme + 1) / (n_permutations + 1)


def paired_t_test(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    level: float = 0.95,
    name: str = "mean",
) -> Comparison:
    """Test whether two models have the same mean on the same images, by Student's paired t.

    Args:
        first: ``(N,)`` of one model; a pair with nan is left out.
        second: ``(N,)`` of the other.
        groups: ``(N,)`` patient keys, whose images are averaged first; None: each its own.
        level: Coverage of the difference's interval.
        name: What is compared.

    Returns:
        First minus second, of patients; the p-value is nan where fewer than two are left or the
        differences do not vary. Take `statistics_effects.cohen_dz` for the size of the effect.

    Raises:
        ShapeError: The two are not both ``(N,)``.

    Source: Student, Biometrika 6:1 (1908).
    """
    one, two = as_float(first, "first values"), as_float(second, "second values")
    if one.ndim != 1 or one.shape != two.shape:
        raise ShapeError(f"values are {one.shape} and {two.shape}; both must be (N,)")
    normal_quantile(level)
    means = patient_means(np.stack([one, two], axis=1), groups)
    gaps = means[:, 0] - means[:, 1]
    count, missing = len(gaps), int(np.isnan(one - two).sum())
    middle = float(gaps.mean()) if count else float("nan")
    p_value = reach = float("nan")
    if count > 1 and np.ptp(gaps) > 1e-14 * np.abs(gaps).max():
        error = float(gaps.std(ddof=1) / np.sqrt(count))
        p_value = float(2 * stats.t.sf(abs(middle) / error, count - 1))
        reach = float(stats.t.ppf(0.5 + level / 2, count - 1)) * error
    ends = middle - reach, middle + reach
    measured = Measurement(f"{name} difference", middle, None, *ends, count, 0.0, missing)
    return Comparison(name, measured, p_value, "paired t")
