"""Whether a model serves all alike: measures by sex, age, view, source, and their gaps.

For underdiagnosis (Seyyed-Kalantari et al., Nat. Med. 27:2176, 2021) measure the label
"No Finding": its false positive rate is the share of the ill who are called well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import metrics
from lucidray.metrics.classification import panel_measurement
from lucidray.metrics.inputs import Samples, as_float, binary_samples, is_missing
from lucidray.metrics.panels import BinaryPanel, binary_panel
from lucidray.metrics.resampling import Estimate, Key, Progress, estimate
from lucidray.records import Float64, Measurement

#: What is measured of each subgroup; those that need a threshold only where there is one.
SUBGROUP_METRICS = ("auc", "sensitivity", "specificity", "fnr", "fpr", "ece")
_BANDS_YEARS = (0, 18, 40, 60, 80)


@dataclass(frozen=True)
class Subgroup:
    """One subgroup.

    Args:
        value: For example ``"F"`` or ``"40-59"``.
        images: Labeled images.
        positives: Those with the finding.
        measurements: By name, with intervals; nan where a class is absent.
    """

    value: str
    images: int
    positives: int
    measurements: dict[str, Measurement]


@dataclass(frozen=True)
class Gap:
    """The widest gap between two subgroups in one measure.

    Args:
        metric: The registered measure.
        best: The subgroup with the best value.
        worst: The subgroup with the worst.
        difference: Best minus worst, its sign that of the measure's direction, with the interval
            for this pair. The pair was picked as the widest, so with many small subgroups some
            gap is to be expected; an interval that holds zero is no evidence of one.
    """

    metric: str
    best: str
    worst: str
    difference: Measurement


@dataclass(frozen=True)
class SubgroupTable:
    """All subgroups of one attribute.

    Args:
        rows: One a subgroup, by name.
        gaps: By measure; a measure that fewer than two subgroups define has none.
        unknown: Labeled images whose attribute is missing; they are in no row.
    """

    rows: tuple[Subgroup, ...]
    gaps: dict[str, Gap]
    unknown: int


def age_bands(
    ages_years: npt.ArrayLike, *, edges: Sequence[float] = _BANDS_YEARS
) -> npt.NDArray[np.object_]:
    """Return the age band of each patient.

    Args:
        ages_years: ``(N,)`` ages in years; nan = unknown.
        edges: Lower ends of the bands, rising; the last band is open.

    Returns:
        ``(N,)`` names such as ``"18-39"`` and ``"80+"``; None where unknown or below all bands.

    Raises:
        MetricError: The edges do not rise.

    >>> age_bands([17.5, 18, 95, float("nan")]).tolist()
    ['00-17', '18-39', '80+', None]
    """
    if len(edges) < 1 or list(edges) != sorted(set(edges)):
        raise MetricError(f"age bands {tuple(edges)} do not rise; expected for example 0, 18, 40")
    ages = as_float(ages_years, "ages")
    names = [f"{low:02g}-{high - 1:02g}" for low, high in pairwise(edges)]
    names.append(f"{edges[-1]:02g}+")
    bands = np.full(ages.shape, None, dtype=object)
    known = ~np.isnan(ages) & (ages >= edges[0])
    places = np.searchsorted(np.asarray(edges, dtype=float), ages[known], side="right") - 1
    bands[known] = np.array(names, dtype=object)[places]
    return bands


def measure_subgroups(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    attribute: npt.ArrayLike,
    *,
    threshold: float | None = None,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> SubgroupTable:
    """Measure one finding in each subgroup, and the gaps between them.

    Args:
        labels: ``(N,)``: 1, 0 or nan (left out).
        probabilities: ``(N,)`` in [0, 1].
        attribute: ``(N,)`` sex, age band, view position, source or any other grouping; None, nan
            and "" = unknown.
        threshold: The operating point; None: only AUC and calibration.
        groups: ``(N,)`` patient keys, resampled whole over all subgroups, so that one patient in
            two subgroups (two views) is not counted as two; None: each image is its own patient.
        n_boot: Replicates; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage.
        progress: Called with replicates done and in all.

    Raises:
        ShapeError: There is not one attribute an image.
        MetricError: As in `inputs.binary_samples`.
    """
    samples = binary_samples(labels, probabilities, groups=groups, probabilities=True)
    values = _values(attribute, as_float(labels, "labels"))
    names = [
        n
        for n in SUBGROUP_METRICS
        if threshold is not None or metrics.entry(n).facts["needs"] != "counts"
    ]
    panels = [
        binary_panel(_where(samples, values == value), threshold, names, of=value)
        for value in sorted(set(values) - {""})
    ]

    def panel(weights: Float64) -> dict[Key, Float64]:
        return {key: found for part in panels for key, found in part(weights).items()}

    found = estimate(
        panel, samples.clusters, n_boot=n_boot, seed=seed, level=level, progress=progress
    )
    rows = tuple(_row(part, found, level) for part in panels)
    gaps = {name: gap for name in names if (gap := _gap(name, rows, found, level)) is not None}
    return SubgroupTable(rows, gaps, int((values == "").sum()))


def _values(attribute: npt.ArrayLike, labels: Float64) -> npt.NDArray[np.str_]:
    given = np.asarray(attribute, dtype=object)
    if given.shape != labels.shape:
        raise ShapeError(f"attributes are {given.shape} but labels {labels.shape}; give one each")
    known = given[~np.isnan(labels)]
    return np.array(["" if is_missing(v) else str(v) for v in known], dtype=np.str_)


def _where(samples: Samples, mask: npt.NDArray[np.bool_]) -> Samples:
    return Samples(
        samples.positive[mask], samples.scores[mask], samples.cluster[mask], samples.clusters
    )


def _row(panel: BinaryPanel, found: dict[Key, Estimate], level: float) -> Subgroup:
    measured = {n: panel_measurement(panel, n, found[panel.of, n], level) for n in panel.names}
    positives = round(panel.labeled * float(panel.shares[1]))
    return Subgroup(panel.of, panel.labeled, positives, measured)


def _gap(
    name: str, rows: tuple[Subgroup, ...], found: dict[Key, Estimate], level: float
) -> Gap | None:
    defined = [row for row in rows if not np.isnan(row.measurements[name].value)]
    if len(defined) < 2:
        return None
    higher = bool(metrics.entry(name).facts["higher_is_better"])
    ordered = sorted(defined, key=lambda row: row.measurements[name].value, reverse=higher)
    best, worst = ordered[0], ordered[-1]
    gap = found[best.value, name].replicates - found[worst.value, name].replicates
    known = gap[~np.isnan(gap)]
    low, high = float("nan"), float("nan")
    if 2 * known.size > gap.size:
        low, high = (float(x) for x in np.quantile(known, [(1 - level) / 2, (1 + level) / 2]))
    value = best.measurements[name].value - worst.measurements[name].value
    size = best.images + worst.images
    return Gap(
        name,
        best.value,
        worst.value,
        Measurement(f"{name} gap", value, not higher, low, high, size, 0.0),
    )
