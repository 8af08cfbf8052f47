"""Measure a classifier of one finding or of many, with intervals.

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
from lucidray.metrics.catalog import as_measurement, choose, metrics
from lucidray.metrics.confusion import Counts, count
from lucidray.metrics.inputs import (
    binary_samples,
    finding_samples,
)
from lucidray.metrics.intervals import wilson_interval
from lucidray.metrics.multiclass import class_samples, matrix_statistic
from lucidray.metrics.panels import (
    AveragedPanel,
    BinaryPanel,
    binary_panel,
    micro_panel,
    supports,
)
from lucidray.metrics.resampling import Estimate, Interval, Key, Progress, estimate
from lucidray.records import Float64, Measurement

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
    check_names(findings, len(parts))
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
    panel = AveragedPanel(singles, micro_panel(parts, singles, names), supports(parts))
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


def check_names(names: Sequence[str], count: int) -> None:
    """Check the names of findings or classes.

    Args:
        names: Names of the columns.
        count: Number of columns.

    Raises:
        ShapeError: There is not one name a column.
        MetricError: Names repeat, or take the name of an average.
    """
    if len(names) != count:
        raise ShapeError(f"{len(names)} names but {count} columns; give one name a column")
    if len(set(names)) != count or set(names) & set(_AVERAGES):
        raise MetricError(f"names must differ and not be one of {', '.join(_AVERAGES)}")


def _as_list(only: Sequence[str] | None) -> list[str] | None:
    return None if only is None else list(only)
