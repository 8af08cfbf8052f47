"""Measures of one finding that need no threshold, and the curves behind them.

The area under the ROC curve is written as a sum over the rarer class: between two neighboring
scores of that class all samples of the other are alike, so they are summed by patient once and
each of thousands of replicates then costs two sparse products and a cumulative sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError
from lucidray.metrics.catalog import HALF, PREVALENCE, metric
from lucidray.metrics.inputs import (
    Int,
    Samples,
    Statistic,
    binary_samples,
    cluster_matrix,
    in_blocks,
    ratio,
)
from lucidray.records import Float64


@dataclass(frozen=True)
class Curve:
    """Points for plotting, one a threshold, from the highest threshold to the lowest.

    Args:
        x: float64 ``(K,)``: false positive rate (ROC) or sensitivity (precision–recall).
        y: float64 ``(K,)``: sensitivity (ROC) or precision (precision–recall).
        thresholds: float64 ``(K,)``: a finding counts as present at and above it; inf at the start
            of a ROC curve.
    """

    x: Float64
    y: Float64
    thresholds: Float64


def auc_statistic(samples: Samples) -> Statistic:
    """Return the statistic of the area under the ROC curve, ties counted half."""
    rarer = samples.positive if samples.positive.sum() * 2 <= len(samples) else ~samples.positive
    sign = 1.0 if rarer is samples.positive else -1.0
    levels, anchors = np.unique(samples.scores[rarer], return_inverse=True)
    shape = (len(levels), samples.clusters)
    anchor = cluster_matrix(anchors, samples.cluster[rarer], shape)
    below = _steps(levels, samples.scores[~rarer], samples.cluster[~rarer], shape)
    rare_sum = anchor.sum(axis=0)
    other_sum = cluster_matrix(
        np.zeros((~rarer).sum(), dtype=np.int64), samples.cluster[~rarer], (1, samples.clusters)
    ).toarray()[0]

    def work(weights: Float64) -> Float64:
        under = np.cumsum(below @ weights, axis=0)
        wins = np.einsum("gb,gb->b", anchor @ weights, under)
        share = ratio(wins, (rare_sum @ weights) * (other_sum @ weights))
        return share if sign > 0 else 1 - share

    return lambda weights: in_blocks(weights, work)


def _steps(levels: Float64, scores: Float64, cluster: Int, shape: tuple[int, int]) -> Any:
    """Return ``(levels, C)`` whose cumulative sum counts scores below each level, ties half."""
    low = np.searchsorted(levels, scores, side="left")
    tied = np.searchsorted(levels, scores, side="right") > low
    rows = np.concatenate([low, low[tied] + 1])
    values = np.concatenate([np.where(tied, 0.5, 1.0), np.full(tied.sum(), 0.5)])
    return cluster_matrix(rows, np.concatenate([cluster, cluster[tied]]), shape, values)


def average_precision_statistic(samples: Samples) -> Statistic:
    """Return the statistic of average precision."""
    positive = samples.positive
    falling, rows = np.unique(-samples.scores[positive], return_inverse=True)
    shape = (len(falling), samples.clusters)
    hits = cluster_matrix(rows, samples.cluster[positive], shape)
    first = np.searchsorted(falling, -samples.scores[~positive], side="left")
    alarms = cluster_matrix(first, samples.cluster[~positive], shape)

    def work(weights: Float64) -> Float64:
        gained = hits @ weights
        found = np.cumsum(gained, axis=0)
        called = found + np.cumsum(alarms @ weights, axis=0)
        earned = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        return ratio(np.einsum("gb,gb->b", gained, earned), gained.sum(axis=0))

    return lambda weights: in_blocks(weights, work)


def sensitivity_at_specificity_statistic(samples: Samples, specificity: float) -> Statistic:
    """Return the statistic of the sensitivity at the lowest threshold that keeps a specificity.

    Args:
        samples: Labeled images of one finding.
        specificity: The specificity that must be reached, in [0, 1]. There is no interpolation:
            the threshold is one that could be set.

    Raises:
        MetricError: The specificity lies outside [0, 1].
    """
    if not 0 <= specificity <= 1:
        raise MetricError(f"specificity is {specificity}; it must lie in [0, 1]")
    levels, rows = np.unique(samples.scores, return_inverse=True)
    positive, shape = samples.positive, (len(levels), samples.clusters)
    hits = cluster_matrix(rows[positive], samples.cluster[positive], shape)
    alarms = cluster_matrix(rows[~positive], samples.cluster[~positive], shape)

    def work(weights: Float64) -> Float64:
        clear = _cumulative(alarms @ weights)
        missed = _cumulative(hits @ weights)
        reached = clear >= specificity * clear[-1] - 1e-9
        cut = reached.argmax(axis=0)
        total = np.where(clear[-1] > 0, missed[-1], 0.0)
        return ratio(missed[-1] - missed[cut, np.arange(cut.size)], total)

    return lambda weights: in_blocks(weights, work)


def specificity_at_sensitivity_statistic(samples: Samples, sensitivity: float) -> Statistic:
    """Return the statistic of the specificity at the highest threshold that keeps a sensitivity.

    Args and Raises as in `sensitivity_at_specificity_statistic`, with the two classes exchanged.
    """
    if not 0 <= sensitivity <= 1:
        raise MetricError(f"sensitivity is {sensitivity}; it must lie in [0, 1]")
    swapped = Samples(
        ~samples.positive, -samples.scores, samples.cluster, samples.clusters, samples.unlabeled
    )
    return sensitivity_at_specificity_statistic(swapped, sensitivity)


@metric(
    "auc",
    source="Hanley & McNeil, Radiology 143:29 (1982)",
    needs="scores",
    chance=HALF,
    statistic=auc_statistic,
)
def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the ROC curve, ties counted half.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        scores: ``(N,)``: higher speaks for the finding; any unit.

    Returns:
        The chance that a positive scores above a negative; higher is better; nan where either
        class is absent.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _plain(auc_statistic, binary_samples(labels, scores))


@metric(
    "average_precision",
    source="scikit-learn average_precision_score: sum of precision over steps of recall",
    needs="scores",
    chance=PREVALENCE,
    statistic=average_precision_statistic,
)
def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the precision–recall curve, without interpolation.

    Args as in `auc`.

    Returns:
        Higher is better; its floor is the prevalence, so compare it only on the same images; nan
        where there is no positive.
    """
    return _plain(average_precision_statistic, binary_samples(labels, scores))


def roc_curve(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, max_points: int | None = None
) -> Curve:
    """Return the ROC curve: ``x`` false positive rate, ``y`` sensitivity.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        scores: ``(N,)``: higher speaks for the finding.
        max_points: Thin out to about so many points, ends kept; None: every threshold.

    Returns:
        The curve from (0, 0) to (1, 1); nan on an axis whose class is absent.
    """
    thresholds, hits, alarms = _sweep(binary_samples(labels, scores))
    zero = np.zeros(1)
    rise, run = np.concatenate([zero, hits]), np.concatenate([zero, alarms])
    curve = Curve(
        ratio(run, run[-1]), ratio(rise, rise[-1]), np.concatenate([[np.inf], thresholds])
    )
    return _thin(curve, max_points)


def precision_recall_curve(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, max_points: int | None = None
) -> Curve:
    """Return the precision–recall curve: ``x`` sensitivity, ``y`` precision.

    Args as in `roc_curve`.

    Returns:
        The curve, one point a threshold; empty where nothing is labeled; ``x`` is nan without
        positives.
    """
    thresholds, hits, alarms = _sweep(binary_samples(labels, scores))
    total = hits[-1] if hits.size else np.nan
    return _thin(Curve(ratio(hits, total), ratio(hits, hits + alarms), thresholds), max_points)


def _sweep(samples: Samples) -> tuple[Float64, Float64, Float64]:
    falling, rows = np.unique(-samples.scores, return_inverse=True)
    size = len(falling)
    hits = np.cumsum(np.bincount(rows[samples.positive], minlength=size)).astype(np.float64)
    alarms = np.cumsum(np.bincount(rows[~samples.positive], minlength=size)).astype(np.float64)
    return -falling, hits, alarms


def _thin(curve: Curve, max_points: int | None) -> Curve:
    count = len(curve.x)
    if max_points is None or count <= max_points:
        return curve
    keep = np.unique(np.linspace(0, count - 1, max(max_points, 2)).round().astype(np.int64))
    return Curve(curve.x[keep], curve.y[keep], curve.thresholds[keep])


def _cumulative(mass: Float64) -> Float64:
    """Return the mass below each level, and, as the last row, all of it."""
    return np.concatenate([np.zeros((1, mass.shape[1])), np.cumsum(mass, axis=0)])


def _plain(build: Any, samples: Samples) -> float:
    return float(build(samples)(np.ones((samples.clusters, 1)))[0])
