"""Compare two models on the same images: paired bootstrap and a permutation test by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import choose, metrics
from lucidray.metrics.inputs import (
    Samples,
    Statistic,
    as_float,
    binary_samples,
    encode_groups,
    ratio,
)
from lucidray.metrics.intervals import holm
from lucidray.metrics.panels import binary_panel
from lucidray.metrics.ranking import (
    sensitivity_at_specificity_statistic,
    specificity_at_sensitivity_statistic,
)
from lucidray.metrics.resampling import (
    Estimate,
    Interval,
    Key,
    Progress,
    bootstrap_p_value,
    estimate,
)
from lucidray.metrics.statistics import Comparison
from lucidray.records import Bool, Float64, Measurement


def compare_binary(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    thresholds: tuple[float, float] | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Comparison]:
    """Compare two models on one finding, each at its own operating point.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        first: ``(N,)`` probabilities of one model.
        second: ``(N,)`` probabilities of the other, same images.
        thresholds: Operating point of each, chosen on validation data; None: only measures that
            need none.
        groups: ``(N,)`` patient keys, resampled whole; None: each image is its own patient.
        n_boot: Replicates, at least 1.
        seed: Same seed, same intervals.
        interval: ``"percentile"`` or ``"bca"``.
        level: Coverage.
        only: Names of the registered measures wanted; None: all.
        progress: Called with replicates done and in all.

    Returns:
        First minus second for each measure, with the interval and p-value of the paired
        bootstrap. Adjust p-values for several measures with `intervals.holm`.

    Raises:
        ShapeError, MetricError: As in `classification.measure_binary`.
    """
    one, two = _pair(labels, first, second, groups)
    needs = ("scores", "probabilities") if thresholds is None else ("counts", *_SCORES)
    names = choose(None if only is None else list(only), *needs)
    cuts = thresholds or (None, None)
    left = binary_panel(one, cuts[0], names)
    right = binary_panel(two, cuts[1], names)

    def panel(weights: Float64) -> dict[Key, Float64]:
        other = right(weights)
        return {key: value - other[key] for key, value in left(weights).items()}

    found = estimate(
        panel,
        one.clusters,
        n_boot=n_boot,
        seed=seed,
        interval=interval,
        level=level,
        progress=progress,
    )
    return {name: _comparison(name, found["", name], one) for name in names}


def compare_means(
    values: Mapping[str, npt.ArrayLike],
    *,
    name: str = "mean",
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    progress: Progress | None = None,
) -> dict[tuple[str, str], Comparison]:
    """Compare a measure of single images, for example mIoU, between every two models or methods.

    Args:
        values: ``(N,)`` of each model, on the same images; nan = undefined there. An image counts
            for a pair of models where both are defined.
        name: What is compared; a registered measure gives the direction.
        groups: ``(N,)`` patient keys, resampled whole; None: each image is its own patient.
        n_boot: Replicates, at least 1.
        seed: Same seed, same intervals; all pairs see the same patients.
        interval: ``"percentile"`` or ``"bca"``.
        level: Coverage of each interval.
        progress: Called with replicates done and in all.

    Returns:
        First minus second of each pair, in the order given, with the interval of the paired
        bootstrap; p-values are Holm-adjusted for the number of pairs.

    Raises:
        ShapeError: The models do not all have ``(N,)``.
        MetricError: There are fewer than two models or no replicate.
    """
    columns = {key: as_float(column, "values") for key, column in values.items()}
    shapes = {column.shape for column in columns.values()}
    if len(columns) < 2:
        raise MetricError("there is one model only; at least two are needed to compare")
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ShapeError(f"values are {sorted(shapes)}; expected one (N,) for all models")
    cluster, clusters = encode_groups(groups, len(next(iter(columns.values()))))
    pairs = list(combinations(columns, 2))
    gaps = np.stack([columns[one] - columns[two] for one, two in pairs])
    known = ~np.isnan(gaps)
    sums, counts = (
        np.stack([np.bincount(cluster, row, minlength=clusters) for row in rows])
        for rows in (np.where(known, gaps, 0), known.astype(np.float64))
    )

    def panel(weights: Float64) -> dict[Key, Float64]:
        return dict(zip(pairs, ratio(sums @ weights, counts @ weights), strict=True))

    found = estimate(
        panel,
        clusters,
        n_boot=n_boot,
        seed=seed,
        interval=interval,
        level=level,
        progress=progress,
    )
    p_values = holm([_p_value(found[pair]) for pair in pairs])
    return {
        pair: _mean_comparison(name, found[pair], row, p_value)
        for pair, row, p_value in zip(pairs, known, p_values, strict=True)
    }


def measure_matched(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Measurement:
    """Measure sensitivity at a given specificity, or specificity at a given sensitivity.

    The threshold is set anew on these very images (and in every replicate), so the figure compares
    models at one point of their ROC curves; it is no operating point for use.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        specificity: Match this specificity and measure sensitivity; or
        sensitivity: match this sensitivity and measure specificity. Exactly one of the two.
        groups: ``(N,)`` patient keys, resampled whole; None: each image is its own patient.
        n_boot: Replicates; 0: no interval.
        seed: Same seed, same interval.
        level: Coverage.

    Returns:
        Higher is better; chance is one minus the matched rate; nan where a class is absent.

    Raises:
        MetricError: Not exactly one rate is given, or it lies outside [0, 1].
    """
    samples = binary_samples(labels, probabilities, groups=groups, probabilities=True)
    name, statistic, chance = _matched(samples, specificity, sensitivity)
    found = estimate(
        lambda weights: {("", name): statistic(weights)},
        samples.clusters,
        n_boot=n_boot,
        seed=seed,
        level=level,
    )["", name]
    ends = (np.nan, np.nan) if found.degenerate else (found.low, found.high)
    return Measurement(name, found.value, True, *ends, len(samples), chance, samples.unlabeled)


def compare_matched(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Compare two models at one specificity or one sensitivity of both.

    Args as in `measure_matched`, with the probabilities ``(N,)`` of two models.

    Returns:
        First minus second, with the interval and p-value of the paired bootstrap.

    Raises:
        MetricError: As in `measure_matched`.
    """
    one, two = _pair(labels, first, second, groups)
    name, left, _ = _matched(one, specificity, sensitivity)
    right = _matched(two, specificity, sensitivity)[1]
    found = estimate(
        lambda weights: {("", name): left(weights) - right(weights)},
        one.clusters,
        n_boot=n_boot,
        seed=seed,
        level=level,
    )["", name]
    return _comparison(name, found, one)


def permutation_test(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    metric: str = "auc",
    thresholds: tuple[float, float] | None = None,
    groups: npt.ArrayLike | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> float:
    """Test whether two models differ, by exchanging their answers for whole patients.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        first: ``(N,)`` probabilities of one model.
        second: ``(N,)`` probabilities of the other, same images.
        metric: A registered measure that needs counts or scores.
        thresholds: Operating point of each, for a measure that needs counts.
        groups: ``(N,)`` patient keys, exchanged whole; None: each image is its own patient.
        n_permutations: Number of random exchanges.
        seed: Same seed, same p-value.

    Returns:
        The two-sided p-value, at least ``1 / (n_permutations + 1)``; nan where the measure is
        undefined. Valid with several images a patient, where McNemar's test is not.

    Raises:
        MetricError: The measure asks for probabilities, whose scale an exchange of two models
            does not keep, or for thresholds that are not given.

    Source: Bandos et al., Stat. Med. 24:2873 (2005): ranks are exchanged, so that models of any
        scale compare; the added one: Phipson & Smyth 2010.
    """
    needs = metrics.entry(metric).facts.get("needs")
    one, two = _pair(labels, first, second, groups)
    if needs == "counts" and thresholds is not None:
        values = [one.scores >= thresholds[0], two.scores >= thresholds[1]]
        cut: float | None = 0.5
    elif needs == "scores":
        values = [stats.rankdata(one.scores), stats.rankdata(two.scores)]
        cut = None
    else:
        raise MetricError(
            f"'{metric}' cannot be permuted so; choose a measure of scores, or one of counts "
            "together with thresholds"
        )
    both = Samples(
        np.concatenate([one.positive, one.positive]),
        np.concatenate(values).astype(np.float64),
        np.concatenate([one.cluster, one.cluster + one.clusters]),
        2 * one.clusters,
    )
    panel = binary_panel(both, cut, [metric])
    return _permute(lambda w: panel(w)["", metric], one.clusters, n_permutations, seed)


_SCORES = ("scores", "probabilities")


def _permute(statistic: Statistic, clusters: int, n_permutations: int, seed: int) -> float:
    def gap(kept: Float64) -> Float64:
        return statistic(np.vstack([kept, 1 - kept])) - statistic(np.vstack([1 - kept, kept]))

    bar = abs(float(gap(np.ones((clusters, 1)))[0]))
    if np.isnan(bar):
        return float("nan")
    rng, extreme = np.random.default_rng(seed), 0
    step = max(1, min(512, 2**21 // clusters))
    for start in range(0, n_permutations, step):
        size = min(step, n_permutations - start)
        kept = rng.integers(0, 2, size=(size, clusters), dtype=np.int8).T.astype(np.float64)
        gaps = np.abs(gap(np.ascontiguousarray(kept)))
        extreme += int((gaps >= bar - 1e-12).sum())
    return (extreme + 1) / (n_permutations + 1)


def _pair(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike | None,
) -> tuple[Samples, Samples]:
    if np.shape(first) != np.shape(second):
        raise ShapeError(f"models gave {np.shape(first)} and {np.shape(second)}; both must be (N,)")
    one = binary_samples(labels, first, groups=groups, probabilities=True)
    return one, binary_samples(labels, second, groups=groups, probabilities=True)


def _matched(
    samples: Samples, specificity: float | None, sensitivity: float | None
) -> tuple[str, Statistic, float]:
    if specificity is not None and sensitivity is None:
        statistic = sensitivity_at_specificity_statistic(samples, specificity)
        return f"sensitivity at specificity {specificity:g}", statistic, 1 - specificity
    if sensitivity is not None and specificity is None:
        statistic = specificity_at_sensitivity_statistic(samples, sensitivity)
        return f"specificity at sensitivity {sensitivity:g}", statistic, 1 - sensitivity
    raise MetricError("give either the specificity or the sensitivity to match, not both")


def _comparison(name: str, found: Estimate, samples: Samples) -> Comparison:
    better = metrics.entry(name).facts["higher_is_better"] if name in metrics else True
    measured = Measurement(
        f"{name} difference",
        found.value,
        better,
        found.low,
        found.high,
        len(samples),
        0.0,
        samples.unlabeled,
    )
    return Comparison(name, measured, _p_value(found), "paired bootstrap")


def _mean_comparison(name: str, found: Estimate, known: Bool, p_value: float) -> Comparison:
    better = metrics.entry(name).facts["higher_is_better"] if name in metrics else None
    count, title = int(known.sum()), f"{name} difference"
    left_out = known.size - count
    measured = Measurement(title, found.value, better, found.low, found.high, count, 0.0, left_out)
    return Comparison(name, measured, float(p_value), "paired bootstrap, Holm")


def _p_value(found: Estimate) -> float:
    return float("nan") if np.isnan(found.value) else bootstrap_p_value(found.replicates)
