"""Measure a choice of one class out of K, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lucidray.metrics.calibration import ece_statistic, mean_statistic
from lucidray.metrics.catalog import as_measurement, metrics, names_of
from lucidray.metrics.classification import averaged_measurements, check_names
from lucidray.metrics.inputs import Int, Samples, cluster_matrix, encode_groups
from lucidray.metrics.multiclass import class_samples, matrix_statistic
from lucidray.metrics.panels import AveragedPanel, assemble, micro_panel, supports
from lucidray.metrics.resampling import Estimate, Interval, Key, Panel, Progress, estimate
from lucidray.records import Float64, Measurement

#: Measures of each class, and of their averages, where exactly one class is right.
CLASS_METRICS = (
    "sensitivity",
    "specificity",
    "precision",
    "npv",
    "f1",
    "auc",
    "average_precision",
)


def measure_multiclass(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    classes: Sequence[str],
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    progress: Progress | None = None,
) -> dict[str, dict[str, Measurement]]:
    """Measure a choice of one class out of K; the most probable class is chosen.

    Args:
        labels: ``(N,)`` class indices or ``(N, K)`` one-hot; nan = left out.
        probabilities: ``(N, K)``, rows summing to one.
        classes: K names.
        groups, n_boot, seed, interval, level, progress: As in `measure_binary`.

    Returns:
        ``"overall"`` (accuracy, balanced accuracy, kappa, MCC, log loss, Brier, calibration), then
        each class against the rest, then their ``"macro"``, ``"weighted"`` and ``"micro"``
        averages. Micro sensitivity, precision and F1 all equal the accuracy.

    Raises:
        ShapeError, MetricError: As in `multiclass.class_samples`.
    """
    truth, values, known = class_samples(labels, probabilities)
    check_names(classes, values.shape[1])
    codes, clusters = encode_groups(groups, len(known))
    cluster, left_out = codes[known], int((~known).sum())
    panel = _class_panel(truth, values, cluster, clusters, classes)
    overall = _overall_panel(truth, values, cluster, clusters)

    def both(weights: Float64) -> dict[Key, Float64]:
        return {**overall(weights), **panel(weights)}

    found = estimate(
        both,
        clusters,
        n_boot=n_boot,
        seed=seed,
        interval=interval,
        level=level,
        progress=progress,
    )
    shares = np.bincount(truth, minlength=len(classes)) / max(len(truth), 1)
    result = {"overall": _overall_measurements(found, shares, len(truth), left_out)}
    return result | averaged_measurements(panel, found, level)


def _class_panel(
    truth: Int, values: Float64, cluster: Int, clusters: int, classes: Sequence[str]
) -> AveragedPanel:
    called = values.argmax(axis=1)
    parts, singles = [], []
    for k, name in enumerate(classes):
        samples = Samples(truth == k, values[:, k], cluster, clusters)
        rows = np.where(called == k, 0, 2) + np.where(truth == k, 0, 1)
        cells = cluster_matrix(rows, cluster, (4, clusters)).toarray()
        parts.append(samples)
        singles.append(assemble(samples, cells, CLASS_METRICS, of=name))
    micro = micro_panel(parts, tuple(singles), CLASS_METRICS)
    return AveragedPanel(tuple(singles), micro, supports(parts))


def _overall_panel(truth: Int, values: Float64, cluster: Int, clusters: int) -> Panel:
    k = values.shape[1]
    cells = matrix_statistic(truth, values.argmax(axis=1), cluster, clusters, k)
    top = Samples(values.argmax(axis=1) == truth, values.max(axis=1), cluster, clusters)
    each = [ece_statistic(Samples(truth == j, values[:, j], cluster, clusters)) for j in range(k)]
    top_ece = ece_statistic(top)
    losses = {
        name: mean_statistic(top, metrics.entry(name).facts["per_image"](truth, values))
        for name in names_of("class_probabilities")
        if "per_image" in metrics.entry(name).facts
    }

    def panel(weights: Float64) -> dict[Key, Float64]:
        matrix = cells(weights)
        found = {("overall", n): metrics[n](matrix) for n in names_of("matrix")}
        found |= {("overall", n): loss(weights) for n, loss in losses.items()}
        found["overall", "multiclass_ece"] = top_ece(weights)
        found["overall", "classwise_ece"] = np.mean([one(weights) for one in each], axis=0)
        return found

    return panel


def _overall_measurements(
    found: Mapping[Key, Estimate], shares: Float64, size: int, left_out: int
) -> dict[str, Measurement]:
    result = {}
    for (of, name), value in found.items():
        if of != "overall":
            continue
        low, high = (np.nan, np.nan) if value.degenerate else (value.low, value.high)
        short = name.removeprefix("multiclass_")
        measured = as_measurement(
            name, value.value, shares, low=low, high=high, count=size, undefined=left_out
        )
        result[short] = replace(measured, name=short)
    return result
