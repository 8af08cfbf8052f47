"""The band around a ROC curve: how far it moves when other patients had been seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.metrics.inputs import Samples, binary_samples, cluster_matrix
from lucidray.metrics.resampling import bootstrap_weights
from lucidray.records import Float64
from lucidray.report.curves import Curve

_POINTS = 201


def roc_band(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    label: str = "",
    mark: tuple[float, float] | None = None,
) -> Curve:
    """Return a ROC curve with its pointwise bootstrap band.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        scores: ``(N,)`` or, for several models of one kind, ``(S, N)``: their curves are averaged
            vertically, in every replicate.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        n_boot: Replicates; 0: no band.
        seed: Same seed, same band.
        level: Coverage of the band at each false positive rate.
        label: What a legend says.
        mark: An operating point to mark.

    Returns:
        Sensitivity at 201 false positive rates from 0 to 1, without interpolation: the largest
        that a threshold with at most that rate reaches; nan where a class is absent.

    Source: vertical averaging: Fawcett, Pattern Recognition Letters 27:861 (2006).
    """
    rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    models = [binary_samples(labels, row, groups=groups) for row in rows]
    grid = np.linspace(0.0, 1.0, _POINTS)
    clusters = models[0].clusters
    middle = _average(models, grid, np.ones((clusters, 1)))[:, 0]
    if n_boot == 0:
        return Curve(label, grid, middle, mark=mark)
    parts = [_average(models, grid, w) for w in bootstrap_weights(clusters, n_boot, seed)]
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(np.concatenate(parts, axis=1), [tail, 100 - tail], axis=1)
    return Curve(label, grid, middle, low, high, mark)


def _average(models: list[Samples], grid: Float64, weights: Float64) -> Float64:
    return np.asarray(
        np.mean([_sensitivities(samples, grid, weights) for samples in models], axis=0)
    )


def _sensitivities(samples: Samples, grid: Float64, weights: Float64) -> Float64:
    """Return ``(G, B)``: the sensitivity at each false positive rate, for each replicate."""
    levels, rows = np.unique(-samples.scores, return_inverse=True)
    shape = (len(levels), samples.clusters)
    positive = samples.positive
    hits = cluster_matrix(rows[positive], samples.cluster[positive], shape)
    alarms = cluster_matrix(rows[~positive], samples.cluster[~positive], shape)
    rise, run = _shares(hits @ weights), _shares(alarms @ weights)
    found = np.empty((len(grid), weights.shape[1]))
    for column in range(weights.shape[1]):
        last = np.searchsorted(run[:, column], grid + 1e-9, side="right") - 1
        found[:, column] = rise[last, column]
    return found


def _shares(mass: Float64) -> Float64:
    total = np.cumsum(mass, axis=0)
    whole = np.where(total[-1] > 0, total[-1], np.nan)
    return np.asarray(np.concatenate([np.zeros((1, mass.shape[1])), total / whole]))
