"""Measure a classifier: one finding, many findings, or one class out of K, with intervals.

Every rate of one table comes from one confusion matrix, and every number from the same resampled
patients. A measure that is undefined is nan, and so is its interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.bootstrap import Estimate, Interval, Key, Panel, Progress, estimate
from lucidray.metrics.calibration import ece_statistic, mean_statistic
from lucidray.metrics.catalog import as_measurement, choose, metrics, names_of
from lucidray.metrics.confusion import Counts, count
from lucidray.metrics.inputs import (
    Int,
    Samples,
    binary_samples,
    cluster_matrix,
    encode_groups,
    finding_samples,
    pool,
)
from lucidray.metrics.intervals import wilson_interval
from lucidray.metrics.multiclass import class_samples, matrix_statistic
from lucidray.metrics.panels import AveragedPanel, BinaryPanel, assemble, binary_panel
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
_AVERAGES = ("macro", "weighted", "micro", "overall")


def evaluate(
    name: str,
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    threshold: float | None = None,
) -> float:
    """Return one registered measure of classification, without interval.

    Args:
        name: A registered measure.
        labels: ``(N,)``: 1, 0 or nan; class indices for the measures of K classes.
        probabilities: ``(N,)``, or ``(N, K)`` for the measures of K classes.
        threshold: The operating point, for measures that need one.

    Returns:
        The value; nan where it is undefined.

    Raises:
        UnknownNameError: No such measure.
        MetricError: The measure needs a threshold, or something else than labels and
            probabilities.

    >>> evaluate("sensitivity", [1, 1, 0], [0.9, 0.3, 0.2], threshold=0.5)
    0.5
    """
    entry = metrics.entry(name)
    needs = entry.facts.get("needs")
    if needs == "counts":
        if threshold is None:
            raise MetricError(f"'{name}' needs a threshold, chosen on validation data")
        return float(entry.value(count(labels, probabilities, threshold=threshold)))
    if needs == "matrix":
        truth, values, _ = class_samples(labels, probabilities)
        one, k = np.arange(len(truth)), values.shape[1]
        cells = matrix_statistic(truth, values.argmax(axis=1), one, len(truth), k)
        return float(entry.value(cells(np.ones((len(truth), 1)))[:, :, 0]))
    if needs in ("scores", "probabilities", "class_probabilities"):
        return float(entry.value(labels, probabilities))
    raise MetricError(f"'{name}' is no measure of classification")


def measure_binary(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    threshold: float | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Measurement]:
    """Measure one finding.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out and counted as `undefined`).
        probabilities: ``(N,)`` in [0, 1].
        threshold: The operating point, chosen on validation data; None: only measures that need
            none.
        groups: ``(N,)`` patient keys, resampled whole; None: each image is its own patient.
        n_boot: Replicates; 0: no intervals.
        seed: Same seed, same intervals.
        interval: ``"percentile"`` or ``"bca"``.
        level: Coverage.
        only: Names of the registered measures wanted; None: all.
        progress: Called with replicates done and in all.

    Returns:
        Measurements by name. Replicates in which a measure is undefined are left out. Where all
        replicates agree (a rate of 0 or 1) the bootstrap tells nothing: a proportion then gets
        Wilson's interval over the patients that it rests on, anything else none (nan).

    Raises:
        ShapeError, MetricError: As in `inputs.binary_samples`; also where a measure asked for by
            name needs a threshold and there is none.
    """
    needs = ("scores", "probabilities") if threshold is None else ("counts", *_SCORES)
    names = choose(_as_list(only), *needs)
    samples = binary_samples(labels, probabilities, groups=groups, probabilities=True)
    panel = binary_panel(samples, threshold, names)
    found = estimate(
        panel,
        samples.clusters,
        n_boot=n_boot,
        seed=seed,
        interval=interval,
        level=level,
        progress=progress,
    )
    return {name: panel_measurement(panel, name, found["", name], level) for name in names}


def measure_multilabel(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    findings: Sequence[str],
    thresholds: Mapping[str, float] | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    interval: Interval = "percentile",
    level: float = 0.95,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, Measurement]]:
    """Measure several findings of which any number may be present.

    Args:
        labels: ``(N, F)``: 1, 0 or nan (left out for that finding only).
        probabilities: ``(N, F)`` in [0, 1].
        findings: F names.
        thresholds: Operating points by finding; findings without one get no rates.
        groups, n_boot, seed, interval, level, only, progress: As in `measure_binary`.

    Returns:
        Measurements by finding and name, then ``"macro"``, ``"weighted"`` (by positives) and
        ``"micro"`` (all pairs of image and finding pooled). An average is over the findings for
        which the measure is defined; its `undefined` counts the others.

    Raises:
        ShapeError, MetricError: As in `measure_binary`.
    """
    parts = finding_samples(labels, probabilities, groups)
    _check_names(findings, len(parts))
    given = dict(thresholds or {})
    unknown = sorted(set(given) - set(findings))
    if unknown:
        raise MetricError(f"thresholds for {', '.join(unknown)}, which are no findings here")
    needs = ("counts", *_SCORES) if given else _SCORES
    names = choose(_as_list(only), *needs)
    singles = tuple(
        binary_panel(part, given.get(finding), names, of=finding)
        for part, finding in zip(parts, findings, strict=True)
    )
    panel = AveragedPanel(singles, _micro(parts, singles, names), _supports(parts))
    found = estimate(
        panel,
        parts[0].clusters,
        n_boot=n_boot,
        seed=seed,
        interval=interval,
        level=level,
        progress=progress,
    )
    return averaged_measurements(panel, found, level)


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
    _check_names(classes, values.shape[1])
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


def panel_measurement(
    panel: BinaryPanel, name: str, found: Estimate, level: float = 0.95
) -> Measurement:
    """Return one estimate of a binary panel as a `Measurement`.

    Args:
        panel: What was measured.
        name: The registered measure.
        found: Its estimate.
        level: Coverage of Wilson's interval, which stands in where replicates do not vary.
    """
    denominator = metrics.entry(name).facts.get("denominator")
    size, low, high = panel.labeled, found.low, found.high
    if found.degenerate:
        low = high = float("nan")
    if denominator is not None and panel.cells is not None:
        rests_on = denominator(Counts(*panel.cells))
        size = int(rests_on.sum())
        if found.degenerate and size:
            low, high = _wilson(found.value, int((rests_on > 0).sum()), level)
    return as_measurement(
        name, found.value, panel.shares, low=low, high=high, count=size, undefined=panel.unlabeled
    )


def averaged_measurements(
    panel: AveragedPanel, found: Mapping[Key, Estimate], level: float
) -> dict[str, dict[str, Measurement]]:
    """Return the estimates of several findings and their averages as measurements."""
    single = {
        part.of: {n: panel_measurement(part, n, found[part.of, n], level) for n in part.names}
        for part in (*panel.parts, panel.micro)
    }
    micro = single.pop("micro")
    support = panel.supports.sum(axis=1)
    averages: dict[str, dict[str, Measurement]] = {"macro": {}, "weighted": {}, "micro": micro}
    for name in panel.micro.names:
        parts = [single[part.of][name] for part in panel.parts]
        averages["macro"][name] = _average(parts, np.ones(len(parts)), found["macro", name])
        averages["weighted"][name] = _average(parts, support, found["weighted", name])
    return single | averages


_SCORES: tuple[Any, ...] = ("scores", "probabilities")


def _average(parts: list[Measurement], weights: Float64, found: Estimate) -> Measurement:
    defined = np.array([not np.isnan(part.value) for part in parts])
    chances = np.array([part.chance for part in parts])[defined]
    kept = weights[defined]
    chance = float(chances @ kept / kept.sum()) if kept.sum() > 0 else float("nan")
    low, high = (np.nan, np.nan) if found.degenerate else (found.low, found.high)
    return replace(
        parts[0],
        value=found.value,
        low=float(low),
        high=float(high),
        chance=chance,
        count=max(part.count for part in parts),
        undefined=int((~defined).sum()),
    )


def _wilson(rate: float, patients: int, level: float) -> tuple[float, float]:
    low, high = wilson_interval(rate * patients, patients, level=level)
    return float(low), float(high)


def _supports(parts: list[Samples]) -> Float64:
    rows = [np.bincount(p.cluster[p.positive], minlength=p.clusters) for p in parts]
    return np.stack(rows).astype(np.float64)


def _micro(
    parts: list[Samples], singles: tuple[BinaryPanel, ...], names: Sequence[str]
) -> BinaryPanel:
    counted = [panel.cells for panel in singles if panel.cells is not None]
    cells = np.sum(counted, axis=0) if counted else None
    return assemble(pool(parts), cells, names, of="micro")


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
    micro = _micro(parts, tuple(singles), CLASS_METRICS)
    return AveragedPanel(tuple(singles), micro, _supports(parts))


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


def _check_names(names: Sequence[str], count: int) -> None:
    if len(names) != count:
        raise ShapeError(f"{len(names)} names but {count} columns; give one name a column")
    if len(set(names)) != count or set(names) & set(_AVERAGES):
        raise MetricError(f"names must differ and not be one of {', '.join(_AVERAGES)}")


def _as_list(only: Sequence[str] | None) -> list[str] | None:
    return None if only is None else list(only)
