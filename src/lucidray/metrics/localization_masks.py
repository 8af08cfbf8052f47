"""Heat maps cut into masks and boxes, and how well those cover the true ones.

The scaled map (negative values 0, maximum 1) is cut where it lies above a threshold: a fixed one,
one tuned on validation images, or Otsu's for each map. The cut belongs to the measure: an IoU
without its threshold rule says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.images.components import boxes_of
from lucidray.metrics.catalog import NO_CHANCE
from lucidray.metrics.detection import box_iou_matrix
from lucidray.metrics.inputs import ratio
from lucidray.metrics.localization import map_metric
from lucidray.metrics.localization_batch import (
    MapBatch,
    MapOptions,
    Work,
    apply,
    as_maps,
    blocks,
    make_batch,
    measure,
)
from lucidray.records import Bool, Float64

Threshold: TypeAlias = float | Literal["otsu"]

#: Thresholds that are tried where none is given.
_GRID = np.linspace(0, 0.95, 20)


def cut(batch: MapBatch, threshold: Threshold) -> Bool:
    """Cut maps into masks, ``(B, P)``; a map without positive evidence has an empty one."""
    levels, factor = _levels(batch, threshold)
    masks = np.zeros(batch.maps.shape, bool)
    for row, (values, level) in enumerate(zip(batch.scaled(batch.maps), levels, strict=True)):
        scaled = values * factor
        masks[row] = (scaled >= level + 1) if factor == 255 else (scaled > level)
    return masks & batch.evidence[:, None]


def _levels(batch: MapBatch, threshold: Threshold) -> tuple[npt.NDArray[np.floating], int]:
    """Return the level of each map and what a scaled map is multiplied with to compare with it."""
    if threshold == "otsu":
        return batch.otsu, 255
    return np.full(len(batch), threshold, dtype=batch.maps.dtype), 1


def iou_work(batch: MapBatch, options: MapOptions) -> Float64:
    """Return the IoU of each map, cut, with its mask."""
    levels, factor = _levels(batch, options.threshold)
    counts = []
    for values in (batch.inside, batch.ordered):
        pairs = zip(batch.scaled(values), levels, strict=True)
        if factor == 255:
            counts.append([len(v) - np.searchsorted(v * factor, t + 1) for v, t in pairs])
        else:
            counts.append([len(v) - np.searchsorted(v, t, side="right") for v, t in pairs])
    inside, every = (np.where(batch.evidence, np.array(count), 0) for count in counts)
    return ratio(inside, batch.area + every - inside)


@map_metric("map_iou", iou_work, source="Saporta et al., Nature Mach. Intell. 4:867 (2022), mIoU")
def map_iou(maps: npt.ArrayLike, masks: npt.ArrayLike, *, threshold: Threshold = "otsu") -> Float64:
    """Return the intersection over union of the map, cut at a threshold, with the mask.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0, the maximum as 1.
        masks: Same shape, True inside; of several readers or boxes, their union.
        threshold: Pixels strictly above it are taken: a number in [0, 1), or ``"otsu"``, which
            works on 256 levels and takes all of a constant map.

    Returns:
        In [0, 1], higher is better; 0 without positive evidence; nan where the mask is empty or the
        map not finite. Its mean over images is the mIoU.

    Raises:
        MetricError: The threshold is out of range.

    Deviates: CheXlocalize subtracts the minimum first, so that a map without evidence gets a
        mask and a constant one nan, and fills contours.

    >>> map_iou([[1.0, 0.6], [0.2, -1.0]], [[True, False], [False, False]], threshold=0.5)
    array(0.5)
    """
    return measure(iou_work, maps, masks, MapOptions(threshold=threshold))


def map_iou_curve(maps: npt.ArrayLike, masks: npt.ArrayLike, thresholds: npt.ArrayLike) -> Float64:
    """Return the IoU of each map at many thresholds at once.

    Args:
        maps: ``(N, H, W)``, raw.
        masks: Same shape, True inside.
        thresholds: ``(K,)`` in [0, 1).

    Returns:
        float64 ``(N, K)``, each column as `map_iou` gives it.
    """
    values, truth, cuts = as_maps(maps), np.asarray(masks), np.asarray(thresholds, np.float64)
    if values.ndim != 3 or truth.shape != values.shape:
        raise ShapeError(f"maps are {values.shape}, masks {truth.shape}; both must be (N, H, W)")
    for threshold in cuts:
        MapOptions(threshold=float(threshold))
    size = values.shape[1] * values.shape[2]
    batches = (make_batch(values[p], truth[p]) for p in blocks(len(values), size))
    return np.concatenate([np.empty((0, len(cuts))), *(_curve(b, cuts) for b in batches)])


def _curve(batch: MapBatch, thresholds: Float64) -> Float64:
    inside, every = batch.above(thresholds, strictly=True)
    found = ratio(inside, batch.area[:, None] + every - inside)
    known = batch.finite & (batch.area > 0)
    return np.where(known[:, None], found, np.nan)


def tune_threshold(
    maps: npt.ArrayLike, masks: npt.ArrayLike, *, thresholds: npt.ArrayLike | None = None
) -> float:
    """Return the threshold with the highest mean IoU on validation images.

    Args:
        maps: ``(N, H, W)`` of one method and finding, raw.
        masks: Same shape. Use no image that is later measured.
        thresholds: Those tried; None: 0, 0.05, ..., 0.95.

    Returns:
        The lowest of the best.

    Raises:
        MetricError: The IoU is defined for no image.
    """
    tried = _GRID if thresholds is None else np.sort(np.asarray(thresholds, dtype=np.float64))
    curve = map_iou_curve(maps, masks, tried)
    known = ~np.isnan(curve).any(axis=1)
    if not known.any():
        raise MetricError("no validation image has both a mask and a finite map; none to tune on")
    return float(tried[int(curve[known].mean(axis=0).argmax())])


def boxes_from_masks(masks: npt.ArrayLike, shape: tuple[int, int]) -> list[Float64]:
    """Return the box around the largest component of each mask, ``(1, 4)`` or ``(0, 4)``."""
    rows = np.asarray(masks, dtype=bool).reshape(-1, *shape)
    return [np.array(boxes_of(row)[:1], dtype=np.float64).reshape(-1, 4) for row in rows]


def mask_from_boxes(boxes: npt.ArrayLike, shape: tuple[int, int]) -> Bool:
    """Return the union of boxes as a mask.

    Args:
        boxes: ``(G, 4)``: ``(x_min, y_min, x_max, y_max)`` in pixels, half-open; a pixel is inside
            where its center is, and parts beyond the image are cut off.
        shape: ``(H, W)``.

    Raises:
        MetricError: A side of a box is negative or not finite.

    >>> mask_from_boxes([[1, 0, 3, 1]], (2, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    mask = np.zeros(shape, bool)
    for x_min, y_min, x_max, y_max in as_boxes(boxes):
        left, top, right, bottom = np.ceil([x_min - 0.5, y_min - 0.5, x_max - 0.5, y_max - 0.5])
        mask[max(int(top), 0) : max(int(bottom), 0), max(int(left), 0) : max(int(right), 0)] = True
    return mask


def as_boxes(boxes: npt.ArrayLike) -> Float64:
    """Return boxes as float64 ``(G, 4)``; None or nothing as ``(0, 4)``.

    Raises:
        ShapeError: A box has not four numbers.
        MetricError: A side of a box is negative or not finite.
    """
    values = np.asarray(boxes, dtype=np.float64)
    values = values.reshape(0, 4) if not values.size else np.atleast_2d(values)
    if values.ndim != 2 or values.shape[1] != 4:
        raise ShapeError(f"boxes are {values.shape}; expected (G, 4): x_min, y_min, x_max, y_max")
    if not np.isfinite(values).all() or (values[:, 2:] < values[:, :2]).any():
        raise MetricError("a box is not finite or ends before it starts; expected x_min <= x_max")
    return values


def box_iou_work(batch: MapBatch, options: MapOptions) -> Float64:
    """Return the IoU of the box around each map's largest region with the best true box."""
    key = ("box_iou", options.threshold)
    if key not in batch.memo:
        found = boxes_from_masks(cut(batch, options.threshold), batch.shape)
        truth = _true_boxes(batch) if batch.boxes is None else batch.boxes
        pairs = zip(found, truth, strict=True)
        batch.memo[key] = np.array([box_iou_matrix(a, b).max(initial=0.0) for a, b in pairs])
    return batch.memo[key]


def _true_boxes(batch: MapBatch) -> Sequence[Float64]:
    rows = batch.masks.reshape(-1, *batch.shape)
    return [np.array(boxes_of(row), dtype=np.float64).reshape(-1, 4) for row in rows]


def box_hit_work(least: float) -> Work:
    """Return the work of whether the box reaches an IoU."""

    def work(batch: MapBatch, options: MapOptions) -> Float64:
        return (box_iou_work(batch, options) >= least).astype(np.float64)

    return work


@map_metric(
    "box_iou",
    box_iou_work,
    source="Choe et al., CVPR 2020, MaxBoxAcc before its threshold",
    chance=NO_CHANCE,
)
def box_iou(
    maps: npt.ArrayLike,
    masks: npt.ArrayLike,
    *,
    boxes: Sequence[npt.ArrayLike] | None = None,
    threshold: Threshold = "otsu",
) -> Float64:
    """Return the IoU of the box around the map's largest region with the best true box.

    Args:
        maps: ``(N, H, W)``, raw; cut as in `map_iou`.
        masks: Same shape, True inside.
        boxes: ``(G, 4)`` for each image; None: those around the connected components of the masks.
        threshold: As in `map_iou`.

    Returns:
        In [0, 1], higher is better; 0 without positive evidence; nan where the mask is empty or the
        map not finite.

    >>> mask = np.zeros((1, 4, 4), bool)
    >>> mask[0, 1:3, 1:3] = True
    >>> box_iou(mask * 2.0, mask)
    array([1.])
    """
    given = None if boxes is None else [as_boxes(each) for each in boxes]
    if given is not None and len(given) != len(np.asarray(maps)):
        raise ShapeError(f"{len(given)} lists of boxes for {len(np.asarray(maps))} maps")
    return apply(box_iou_work, make_batch(maps, masks, given), MapOptions(threshold=threshold))


def box_hit(
    maps: npt.ArrayLike,
    masks: npt.ArrayLike,
    *,
    at: float,
    boxes: Sequence[npt.ArrayLike] | None = None,
    threshold: Threshold = "otsu",
) -> Float64:
    """Return whether `box_iou` reaches a value: 1, 0, or nan where that is nan.

    Args:
        maps: As in `box_iou`.
        masks: As in `box_iou`.
        at: The IoU that counts as a hit, usually 0.1, 0.3 or 0.5.
        boxes: As in `box_iou`.
        threshold: As in `map_iou`.
    """
    found = box_iou(maps, masks, boxes=boxes, threshold=threshold)
    return np.where(np.isnan(found), np.nan, found >= at)


def _register(at: float) -> None:
    name = f"box_hit_{round(100 * at)}"
    source = "Choe et al., CVPR 2020, MaxBoxAcc"

    def hit(maps: npt.ArrayLike, masks: npt.ArrayLike, **options: object) -> Float64:
        return box_hit(maps, masks, at=at, **options)  # type: ignore[arg-type]

    hit.__doc__ = f"Return whether the box around the map's largest region has an IoU of {at}."
    map_metric(name, box_hit_work(at), source=source, chance=NO_CHANCE)(hit)


for _at in (0.1, 0.3, 0.5):
    _register(_at)
