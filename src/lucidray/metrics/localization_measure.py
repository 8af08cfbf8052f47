"""Many maps measured at once against masks or boxes, beside maps that know nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import Needs, choose, metrics
from lucidray.metrics.chance import (
    BASELINES,
    BaselineMap,
    baseline_maps,
    given_prior,
    make_prior,
)
from lucidray.metrics.inputs import encode_groups
from lucidray.metrics.localization_batch import (
    Floating,
    MapBatch,
    MapOptions,
    apply,
    as_maps,
    make_batch,
)
from lucidray.metrics.localization_masks import as_boxes, mask_from_boxes
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.metrics.resampling import Progress
from lucidray.records import Bool, Float64

#: Measures that are 0 for a map without positive evidence because it hits nothing.
MISSABLE = frozenset(
    {"map_iou", "pointing_game", "box_iou", "box_hit_10", "box_hit_30", "box_hit_50"}
)

BOTH: tuple[Needs, ...] = ("maps_and_masks", "maps_and_lungs")

_BLOCK = 2**21


@dataclass(frozen=True)
class Truth:
    """What maps are measured against.

    Args:
        masks: bool ``(H, W)`` of each image; None: the union of its boxes.
        boxes: float64 ``(G, 4)`` of each image; None: those around the components of the mask.
        lungs: bool ``(H, W)`` of each image; None: not known.
    """

    masks: Sequence[npt.ArrayLike] | None
    boxes: Sequence[Float64] | None
    lungs: Sequence[npt.ArrayLike] | None

    def mask(self, image: int, shape: tuple[int, int]) -> Bool:
        """Return the mask of an image on its map's grid."""
        if self.masks is not None:
            return _plane(self.masks[image], shape, "mask")
        boxes = self.boxes[image] if self.boxes is not None else np.empty((0, 4))
        return mask_from_boxes(boxes, shape)

    def lung(self, image: int, shape: tuple[int, int]) -> Bool:
        """Return the lungs of an image on its map's grid; nothing where they are not known."""
        if self.lungs is None:
            return np.zeros(shape, bool)
        return _plane(self.lungs[image], shape, "lung mask")


@dataclass(frozen=True)
class _Collector:
    names: Sequence[str]
    options: MapOptions
    baselines: Mapping[str, BaselineMap]
    values: dict[tuple[str, str], list[Float64]] = field(default_factory=dict)
    status: list[str] = field(default_factory=list)

    def add(self, first: int, maps: list[Floating], truth: Truth) -> None:
        """Measure a few maps of one size, and the baselines beside them."""
        shape = maps[0].shape
        images = range(first, first + len(maps))
        masks = np.stack([truth.mask(image, shape) for image in images])
        lungs = np.stack([truth.lung(image, shape) for image in images])
        boxes = None if truth.boxes is None else [truth.boxes[image] for image in images]
        batch = make_batch(np.stack(maps), masks, boxes)
        self.status.extend(batch.statuses())
        self._measure("map", batch, lungs)
        for name, maker in self.baselines.items():
            made = np.stack([maker(image, shape) for image in images])
            self._measure(name, make_batch(made, masks, boxes), lungs)

    def _measure(self, of: str, batch: MapBatch, lungs: Bool) -> None:
        beside = replace(batch, masks=lungs.reshape(batch.masks.shape))
        for name in self.names:
            facts = metrics.entry(name).facts
            part = beside if facts["needs"] == "maps_and_lungs" else batch
            self.values.setdefault((of, name), []).append(apply(facts["work"], part, self.options))

    def column(self, of: str, name: str) -> Float64:
        """Return one measure of all maps, or of one baseline."""
        return np.concatenate([np.empty(0), *self.values.get((of, name), [])])


def measure_localization(
    maps: Iterable[npt.ArrayLike],
    *,
    masks: Sequence[npt.ArrayLike] | None = None,
    boxes: Sequence[npt.ArrayLike] | None = None,
    lungs: Sequence[npt.ArrayLike] | None = None,
    groups: npt.ArrayLike | None = None,
    only: Sequence[str] | None = None,
    options: MapOptions | None = None,
    no_evidence: Literal["miss", "undefined"] = "miss",
    baselines: Sequence[str] = BASELINES,
    prior: npt.ArrayLike | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> MapTable:
    """Measure the maps of one method and finding against masks or boxes, beside chance.

    Args:
        maps: ``(H, W)`` of each image, raw and signed, on source pixels; ``(N, H, W)`` or anything
            that yields them, also of different sizes. With masks they are read once, a few at a
            time.
        masks: bool ``(H, W)`` of each image on the same grid; empty where there is none.
        boxes: ``(G, 4)`` of each image, ``(x_min, y_min, x_max, y_max)``, half-open; without masks
            their union is the mask; with masks they serve the measures of boxes.
        lungs: bool ``(H, W)`` of each image; None: `outside_lungs` is left out.
        groups: ``(N,)`` patient of each image; None: each its own.
        only: Measures wanted; None: all.
        options: Threshold rule, tolerance, steps and scaling.
        no_evidence: Whether a map without positive evidence counts as a miss (0) in the measures
            `MISSABLE`, or is left out as undefined. Its number is reported either way.
        baselines: Among ``"uniform"``, ``"center"``, ``"prior"``.
        prior: ``(h, w)`` density of the finding over the image, from training data; None: the mean
            mask of the other patients here.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage of the intervals.
        progress: Called with images done and in all.

    Returns:
        Values of each image, means with intervals, chance, and gains over chance. Undefined is nan
        and counted.

    Raises:
        MetricError: Neither masks nor boxes came, or a name or option is wrong.
        ShapeError: The numbers of images or the pixel grids differ.
    """
    truth = Truth(masks, None if boxes is None else [as_boxes(each) for each in boxes], lungs)
    count = _count(truth)
    names = choose(
        only if only is None else tuple(only), *(("maps_and_masks",) if lungs is None else BOTH)
    )
    if masks is None:
        maps = [np.asarray(each) for each in maps]
    makers = _baselines(baselines, prior, truth, groups, maps, count)
    found = _Collector(names, options or MapOptions(), makers)
    for first, part in _batches(maps):
        if first + len(part) > count:
            raise ShapeError(f"there are more maps than the {count} masks or boxes; one each")
        found.add(first, part, truth)
        if progress is not None:
            progress(len(found.status), count)
    if len(found.status) != count:
        raise ShapeError(f"{len(found.status)} maps but {count} masks or boxes; give one each")
    values = {name: _ruled(found, name, no_evidence) for name in names}
    beside = {base: {name: found.column(base, name) for name in names} for base in makers}
    return tabulate(
        values, beside, found.status, groups=groups, n_boot=n_boot, seed=seed, level=level
    )


def _count(truth: Truth) -> int:
    """Return the number of images, which all that is known of them must share."""
    known = {
        name: len(given)
        for name, given in (("masks", truth.masks), ("boxes", truth.boxes), ("lungs", truth.lungs))
        if given is not None
    }
    if truth.masks is None and truth.boxes is None:
        raise MetricError("neither masks nor boxes came; a map is measured against one of them")
    if len(set(known.values())) != 1:
        raise ShapeError(f"numbers of images differ: {known}; give one entry an image in each")
    return next(iter(known.values()))


def _baselines(
    names: Sequence[str],
    prior: npt.ArrayLike | None,
    truth: Truth,
    groups: npt.ArrayLike | None,
    maps: Iterable[npt.ArrayLike],
    count: int,
) -> dict[str, BaselineMap]:
    cluster, clusters = encode_groups(groups, count)
    if "prior" not in names:
        known = None
    elif prior is not None:
        known = given_prior(prior)
    elif truth.masks is not None:
        known = make_prior((np.asarray(m, dtype=bool) for m in truth.masks), cluster, clusters)
    else:
        sized = (truth.mask(image, _size(each)) for image, each in enumerate(maps))
        known = make_prior(sized, cluster, clusters)
    return baseline_maps(names, known)


def _size(values: npt.ArrayLike) -> tuple[int, int]:
    shape = np.shape(values)
    if len(shape) != 2:
        raise ShapeError(f"a map is {shape}; expected (H, W)")
    return shape


def _batches(maps: Iterable[npt.ArrayLike]) -> Iterator[tuple[int, list[Floating]]]:
    """Yield runs of maps of one size with the number of the first."""
    first, part = 0, list[Floating]()
    for each in maps:
        values = as_maps(each)
        size = _size(values)
        full = len(part) >= max(1, _BLOCK // max(values.size, 1))
        if part and (full or part[0].shape != size or part[0].dtype != values.dtype):
            yield first, part
            first, part = first + len(part), []
        part.append(values)
    if part:
        yield first, part


def _ruled(found: _Collector, name: str, rule: str) -> Float64:
    values = found.column("map", name)
    if rule not in ("miss", "undefined"):
        raise MetricError(f"no_evidence is {rule!r}; choose 'miss' or 'undefined'")
    silent = np.array([status == "no_positive_evidence" for status in found.status], bool)
    return np.where(silent, np.nan, values) if rule == "undefined" and name in MISSABLE else values


def _plane(values: npt.ArrayLike, shape: tuple[int, int], what: str) -> Bool:
    plane = np.asarray(values)
    if plane.shape != shape:
        raise ShapeError(
            f"a map is {shape} but its {what} {plane.shape}; both must share one pixel grid. "
            "Bring both to source pixels with images.geometry first"
        )
    return plane.astype(bool, copy=False)
