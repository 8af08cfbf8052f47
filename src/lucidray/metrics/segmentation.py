"""Measures of masks: overlap and distance of borders, image by image, then over patients.

Overlap is counted as everywhere else, in `Counts` of pixels; all images go through one line.
Nothing to find and nothing found is undefined (nan), not perfect: such an image tells nothing of
how well a border is drawn, and is left out of a mean and counted in `Measurement.undefined`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import as_measurement, metric, metrics
from lucidray.metrics.confusion import Counts
from lucidray.metrics.inputs import Int, as_float, encode_groups, ratio
from lucidray.metrics.resampling import Key, estimate
from lucidray.records import Bool, Float64, Measurement

#: Cells that lie in memory at once while medians are resampled (8 MB).
_CELLS = 2**20


def count_pixels(truth: Bool, found: Bool) -> Counts:
    """Count hits and misses of each mask by pixels.

    Args:
        truth: bool ``(..., H, W)``.
        found: bool of the same shape.

    Returns:
        Counts of shape ``(...)``.

    Raises:
        ShapeError: The two do not share one pixel grid.
        MetricError: They are no masks.
    """
    check_masks(truth, found)
    both, axes = truth & found, (-2, -1)
    tp, positives, called = (each.sum(axes, dtype=np.float64) for each in (both, truth, found))
    pixels = truth.shape[-2] * truth.shape[-1]
    return Counts(tp, called - tp, positives - tp, pixels - positives - called + tp)


def check_masks(truth: Bool, found: Bool) -> None:
    """Refuse what is no pair of masks on one grid.

    Raises:
        ShapeError: The two do not share one pixel grid.
        MetricError: They are not bool.
    """
    if truth.shape != found.shape or truth.ndim < 2:
        raise ShapeError(
            f"the true mask is {truth.shape}, the found one {found.shape}; both must be "
            "(..., H, W) on one grid. Map one with geometry.mask_to_source first."
        )
    if truth.dtype != np.bool_ or found.dtype != np.bool_:
        raise MetricError(
            f"masks are {truth.dtype} and {found.dtype}; expected bool. Cut probabilities first."
        )


@metric("dice", source="Dice 1945, doi:10.2307/1932409", needs="mask_counts")
def dice(counts: Counts) -> Float64:
    """Twice the common area over the sum of both; nan where both are empty."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


@metric(
    "mask_iou", source="Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x", needs="mask_counts"
)
def mask_iou(counts: Counts) -> Float64:
    """Common area over the area of the union; nan where both are empty."""
    return ratio(counts.tp, counts.tp + counts.fp + counts.fn)


@metric(
    "hd95",
    source="Huttenlocher et al. 1993, doi:10.1109/34.232073, at the 95th percentile",
    needs="mask_borders",
    higher_is_better=False,
    bounds=(0.0, float("inf")),
)
def hd95(to_found: Float64, to_truth: Float64) -> float:
    """The larger of the two 95th percentiles of border distances; nan where a mask is empty."""
    if not (len(to_found) and len(to_truth)):
        return float("nan")
    return float(max(np.percentile(to_found, 95), np.percentile(to_truth, 95)))


@metric(
    "surface_distance",
    source="Heimann et al. 2009, doi:10.1109/TMI.2009.2013851 (average symmetric surface distance)",
    needs="mask_borders",
    higher_is_better=False,
    bounds=(0.0, float("inf")),
)
def surface_distance(to_found: Float64, to_truth: Float64) -> float:
    """Mean distance of the points of both borders to the other; nan where a mask is empty."""
    if not (len(to_found) and len(to_truth)):
        return float("nan")
    return float(np.concatenate([to_found, to_truth]).mean())


def border_distances(
    truth: Bool, found: Bool, spacing: tuple[float, float] = (1.0, 1.0)
) -> tuple[Float64, Float64]:
    """Measure how far the borders of two masks lie from each other.

    Args:
        truth: bool ``(H, W)``.
        found: bool ``(H, W)``.
        spacing: ``(row, column)`` distance of pixels, which gives the result its unit.

    Returns:
        From each border pixel of the true mask to the found border, and from each of the found to
        the true one. Both are empty where either mask is. A border pixel is one of the mask with
        one of its four neighbors outside (or outside the image).

    >>> mask = np.zeros((5, 9), bool); mask[1:4, 1:4] = True
    >>> to_found, to_truth = border_distances(mask, np.roll(mask, 2, axis=1))
    >>> float(to_found.max()), float(to_found.min())
    (2.0, 0.0)
    """
    check_masks(truth, found)
    if not (truth.any() and found.any()):
        return np.empty(0), np.empty(0)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, found)]
    away = [ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders]
    return away[1][borders[0]], away[0][borders[1]]


def measure_mask(truth: Bool, found: Bool) -> dict[str, float]:
    """Measure one mask by every registered measure; distances are in pixels.

    Args:
        truth: bool ``(H, W)``.
        found: bool ``(H, W)``.
    """
    counts, distances = count_pixels(truth, found), border_distances(truth, found)
    given = {"mask_counts": (counts,), "mask_borders": distances}
    needs = {entry.name: entry.facts["needs"] for entry in metrics.entries()}
    return {name: float(metrics[name](*given[n])) for name, n in needs.items() if n in given}


def measure_masks(
    values: Mapping[str, npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> dict[str, Measurement]:
    """Average the measures of many masks, with intervals over patients.

    Args:
        values: By measure ``(N,)``, as `measure_mask` gives them one by one; nan = undefined.
        groups: ``(N,)`` patient keys; None: each image is its own patient.
        n_boot: Bootstrap replicates; 0: no intervals.
        seed: Same seed, same intervals.

    Returns:
        By measure its mean, and as ``median_...`` its median.

    Raises:
        ShapeError: The measures are not all ``(N,)``.
        UnknownNameError: A measure is not registered.
    """
    columns = {name: as_float(column, name) for name, column in values.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ShapeError(f"measures are {sorted(shapes)}; each must be (N,), one value an image.")
    cluster, clusters = encode_groups(groups, next(iter(shapes))[0])

    def panel(weights: Float64) -> dict[Key, Float64]:
        means = {("mean", name): _mean(c, cluster, weights) for name, c in columns.items()}
        medians = {("median", name): _median(c, cluster, weights) for name, c in columns.items()}
        return means | medians

    found = estimate(panel, clusters, n_boot=n_boot, seed=seed)
    measured = {}
    for (kind, name), value in found.items():
        known = int(np.isfinite(columns[name]).sum())
        rest = {"low": value.low, "high": value.high, "count": known}
        rest["undefined"] = len(columns[name]) - known
        single = as_measurement(name, value.value, np.full(2, np.nan), **rest)
        title = name if kind == "mean" else f"median_{name}"
        measured[title] = Measurement(**{**vars(single), "name": title})
    return measured


def _mean(values: Float64, cluster: Int, weights: Float64) -> Float64:
    known = np.isfinite(values)
    of_images = weights[cluster[known]]
    return ratio(values[known] @ of_images, of_images.sum(axis=0))


def _median(values: Float64, cluster: Int, weights: Float64) -> Float64:
    """Return weighted medians ``(B,)``: the middle of the two values where weights halve."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return np.full(weights.shape[1], np.nan)
    order = known[np.argsort(values[known])]
    ranked, wide = values[order], max(_CELLS // len(order), 1)
    parts = []
    for start in range(0, weights.shape[1], wide):
        grown = np.cumsum(weights[cluster[order], start : start + wide], axis=0)
        low = (grown >= grown[-1] / 2).argmax(axis=0)
        high = (grown > grown[-1] / 2).argmax(axis=0)
        middle = (ranked[low] + ranked[high]) / 2
        parts.append(np.where(grown[-1] > 0, middle, np.nan))
    return np.concatenate(parts)
