"""Heat maps in batches: checked once, sorted once, and every measure read off the sorted values.

A map is raw and signed. Three readings of it are used, and each measure says which: the *raw*
values and their ranks; the *heat*, negative values cut to 0; the *scaled* map, heat divided by the
map's maximum. Scaling by the minimum as well would turn a map without any evidence into one full
of it. What is sorted stays sorted under all three, so one sort of the image and one of the values
inside the mask answer thresholds, ranks, areas and sums alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.records import Bool, Float64

Floating: TypeAlias = npt.NDArray[np.floating[Any]]
Count: TypeAlias = npt.NDArray[np.intp]

#: What can keep a measure from being defined, the first that applies.
MapStatus = Literal["ok", "empty_mask", "not_finite", "no_positive_evidence"]

#: Pixels that are worked on at once.
_BLOCK = 2**22


@dataclass(frozen=True)
class MapOptions:
    """What the measures of heat maps leave open.

    Args:
        threshold: Where a scaled map is cut into a mask: a number in [0, 1), best tuned on
            validation images with `localization_masks.tune_threshold`, or ``"otsu"`` for each map.
        tolerance_px: How far from the mask the map's maximum still is a hit.
        steps: Number of equidistant thresholds of the effective heat ratio.
        scaling: ``"max"``: heat divided by the maximum; ``"minmax"``: raw values from minimum to
            maximum, as some publications do. Only `inside_outside_difference` follows it.

    Raises:
        MetricError: A value is out of range.
    """

    threshold: float | Literal["otsu"] = "otsu"
    tolerance_px: float = 0.0
    steps: int = 101
    scaling: Literal["max", "minmax"] = "max"

    def __post_init__(self) -> None:
        rule = self.threshold
        if rule != "otsu" and not (isinstance(rule, int | float) and 0 <= rule < 1):
            raise MetricError(f"threshold is {rule!r}; expected a number in [0, 1) or 'otsu'")
        if not 0 <= self.tolerance_px < np.inf:
            raise MetricError(f"tolerance_px is {self.tolerance_px}; expected 0 or more")
        if self.steps < 2:
            raise MetricError(f"steps is {self.steps}; expected at least 2 thresholds")
        if self.scaling not in ("max", "minmax"):
            raise MetricError(f"scaling is {self.scaling!r}; choose 'max' or 'minmax'")


@dataclass(frozen=True)
class MapBatch:
    """Heat maps of one size with the masks that they are measured against.

    Args:
        maps: ``(B, P)`` float32 or float64, P = H x W, finite; maps that were not are all zero.
        masks: bool ``(B, P)``.
        shape: ``(H, W)``.
        finite: bool ``(B,)``: whether the map came finite.
        boxes: float64 ``(G, 4)`` for each image: the true boxes; None: those around the connected
            components of the mask.
        memo: What several measures share, by its name and options.
    """

    maps: Floating
    masks: Bool
    shape: tuple[int, int]
    finite: Bool
    boxes: Sequence[Float64] | None = None
    memo: dict[Any, Float64] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.maps)

    @cached_property
    def top(self) -> Floating:
        """Largest raw value ``(B,)``."""
        return np.asarray(self.maps.max(axis=1))

    @cached_property
    def evidence(self) -> Bool:
        """Whether any value is positive ``(B,)``."""
        return np.asarray(self.top > 0)

    @cached_property
    def area(self) -> Count:
        """Pixels inside the mask ``(B,)``."""
        return np.asarray(np.count_nonzero(self.masks, axis=1))

    @cached_property
    def heat(self) -> Float64:
        """Sum of the heat ``(B,)``."""
        return np.asarray(np.maximum(self.maps, 0).sum(axis=1, dtype=np.float64))

    @cached_property
    def heat_inside(self) -> Float64:
        """Sum of the heat inside the mask ``(B,)``."""
        return np.array([np.maximum(v, 0).sum(dtype=np.float64) for v in self.inside_unsorted])

    @cached_property
    def ordered(self) -> Floating:
        """Raw values in rising order ``(B, P)``."""
        return np.sort(self.maps, axis=1)

    @cached_property
    def inside_unsorted(self) -> list[Floating]:
        """Raw values inside each mask, in reading order."""
        picked = np.compress(self.masks.ravel(), self.maps.ravel())
        return np.split(picked, np.cumsum(self.area)[:-1])

    @cached_property
    def inside(self) -> list[Floating]:
        """Raw values inside each mask, in rising order."""
        return [np.sort(values) for values in self.inside_unsorted]

    @cached_property
    def otsu(self) -> Floating:
        """Value of the scaled map above which Otsu's rule takes a pixel, ``(B,)``, in 255ths."""
        edges = np.arange(1, 256, dtype=self.maps.dtype)
        below = np.stack([np.searchsorted(255 * v, edges) for v in self.scaled(self.ordered)])
        counts = np.diff(below, axis=1, prepend=0, append=self.maps.shape[1])
        return otsu_levels(counts).astype(self.maps.dtype)

    def scaled(self, values: Floating | Sequence[Floating]) -> Iterator[Floating]:
        """Yield each image's values on the scaled map: heat divided by its maximum."""
        for row, top in zip(values, self.top, strict=True):
            yield np.maximum(row, 0) / top if top > 0 else np.zeros_like(row)

    def above(self, thresholds: npt.ArrayLike, *, strictly: bool) -> tuple[Count, Count]:
        """Count scaled pixels at and above thresholds, or strictly above.

        Args:
            thresholds: ``(K,)``; compared at the precision of the maps.
            strictly: Whether a pixel on the threshold is left out.

        Returns:
            Counts ``(B, K)`` inside the mask and in the whole image.
        """
        levels = np.asarray(thresholds, dtype=self.maps.dtype)
        side: Literal["left", "right"] = "right" if strictly else "left"
        pair = [
            [len(v) - np.searchsorted(v, levels, side=side) for v in self.scaled(values)]
            for values in (self.inside, self.ordered)
        ]
        return np.array(pair[0], dtype=np.intp), np.array(pair[1], dtype=np.intp)

    def statuses(self) -> list[MapStatus]:
        """Return why a measure may be undefined, one an image."""
        found = np.full(len(self), "ok", dtype=object)
        found[~self.evidence] = "no_positive_evidence"
        found[~self.finite] = "not_finite"
        found[self.area == 0] = "empty_mask"
        return list(found)


#: A measure of a batch: one value ``(B,)`` an image.
Work: TypeAlias = Callable[[MapBatch, MapOptions], Float64]


def otsu_levels(counts: Count) -> Count:
    """Return Otsu's threshold of histograms.

    Args:
        counts: int ``(B, L)``, pixels at each level.

    Returns:
        int ``(B,)``: the level above which a pixel is foreground, the lowest of equals; 0 where
        all pixels have one level.

    Source: Otsu, IEEE Trans. SMC 9:62 (1979), equation 18.
    """
    levels = np.arange(counts.shape[1])
    weight = np.cumsum(counts, axis=1).astype(np.float64)
    moment = np.cumsum(counts * levels, axis=1).astype(np.float64)
    total, sum_ = weight[:, -1:], moment[:, -1:]
    product = weight * (total - weight)
    between = np.zeros_like(weight)
    np.divide((sum_ * weight - moment * total) ** 2, product, out=between, where=product > 0)
    return np.asarray(between.argmax(axis=1))


def make_batch(
    maps: npt.ArrayLike, masks: npt.ArrayLike, boxes: Sequence[Float64] | None = None
) -> MapBatch:
    """Check maps and masks of one size.

    Args:
        maps: ``(B, H, W)``, raw and signed.
        masks: ``(B, H, W)``, True inside.
        boxes: ``(G, 4)`` for each image; None: those around the components of the masks.

    Raises:
        ShapeError: The two are not both ``(B, H, W)``, or are empty.
        MetricError: The maps are no real numbers.
    """
    values, inside = as_maps(maps), np.asarray(masks)
    if inside.shape != values.shape or values.ndim != 3 or not values.size:
        raise ShapeError(
            f"maps are {values.shape} and masks {inside.shape}; both must share one pixel grid "
            "(H, W), not empty. Bring both to source pixels with images.geometry first"
        )
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    if not finite.all():
        flat = np.where(finite[:, None], flat, flat.dtype.type(0))
    kept = np.ascontiguousarray(inside.astype(bool, copy=False)).reshape(flat.shape)
    return MapBatch(flat, kept, (values.shape[1], values.shape[2]), finite, boxes)


def as_maps(maps: npt.ArrayLike) -> Floating:
    """Return maps as float32, or float64 where they have more precision than that.

    Raises:
        MetricError: They are no real numbers.
    """
    values = np.asarray(maps)
    if values.dtype.kind not in "fiub":
        raise MetricError(f"maps are {values.dtype}; expected real numbers (..., H, W)")
    exact = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
    return values.astype(exact, copy=False)


def apply(work: Work, batch: MapBatch, options: MapOptions) -> Float64:
    """Measure a batch; nan where the map is not finite or the mask empty."""
    with np.errstate(over="ignore"):
        values = np.asarray(work(batch, options), dtype=np.float64)
    return np.where(batch.finite & (batch.area > 0), values, np.nan)


def measure(
    work: Work, maps: npt.ArrayLike, masks: npt.ArrayLike, options: MapOptions | None = None
) -> Float64:
    """Measure maps ``(..., H, W)`` against masks of the same shape, a block at a time.

    Returns:
        float64 ``(...)``.

    Raises:
        ShapeError: The two shapes differ, or have no two last axes.
    """
    values, inside = as_maps(maps), np.asarray(masks)
    if values.ndim < 2 or values.shape != inside.shape:
        raise ShapeError(
            f"maps are {values.shape} and masks {inside.shape}; both must be (..., H, W)"
        )
    lead, size = values.shape[:-2], values.shape[-2:]
    rows, cover = values.reshape(-1, *size), inside.reshape(-1, *size)
    chosen = options or MapOptions()
    parts = [
        apply(work, make_batch(rows[part], cover[part]), chosen)
        for part in blocks(len(rows), size[0] * size[1])
    ]
    return np.concatenate([np.empty(0), *parts]).reshape(lead)


def blocks(count: int, pixels: int) -> Iterator[slice]:
    """Yield slices of images that fit into memory together."""
    step = max(1, _BLOCK // max(pixels, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
