"""Measures of a heat map against a mask: does the map point to the finding?

All take maps ``(..., H, W)``, raw and signed, and masks of the same shape, and return one value a
map. Undefined is nan: an empty mask, a map with a nan or infinite value, or a formula that comes to
0/0. A map without positive evidence is a miss (0) where the measure asks for a hit or an overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lucidray.metrics.catalog import AREA, HALF, ZERO, Chance, metric
from lucidray.metrics.inputs import ratio
from lucidray.metrics.localization_batch import Count, MapBatch, MapOptions, Work, measure
from lucidray.records import Bool, Float64


def pointing_work(batch: MapBatch, options: MapOptions) -> Float64:
    """Return the share of each map's maximal pixels that hit the mask."""
    tied = [len(v) - np.searchsorted(v, t) for v, t in zip(batch.ordered, batch.top, strict=True)]
    if options.tolerance_px:
        hits = _near_hits(batch, options.tolerance_px)
    else:
        pairs = zip(batch.inside, batch.top, strict=True)
        hits = np.array([len(v) - np.searchsorted(v, top) for v, top in pairs])
    return np.where(batch.evidence, hits / np.array(tied), 0.0)


def _near_hits(batch: MapBatch, tolerance: float) -> Count:
    peaks = batch.maps == batch.top[:, None]
    pairs = zip(peaks, batch.masks, strict=True)
    hits = [_near(np.flatnonzero(p), m.reshape(batch.shape), tolerance) for p, m in pairs]
    return np.array(hits)


def _near(peaks: Count, mask: Bool, tolerance: float) -> int:
    """Count the peaks that have a pixel of the mask within the tolerance."""
    if not mask.any():
        return 0
    if len(peaks) > 64:
        close = ndimage.distance_transform_edt(~mask) <= tolerance
        return int(np.count_nonzero(close.ravel()[peaks]))
    rows, columns = np.nonzero(mask)
    y, x = np.divmod(peaks, mask.shape[1])
    square = [((rows - a) ** 2 + (columns - b) ** 2).min() for a, b in zip(y, x, strict=True)]
    return int(np.count_nonzero(np.array(square) <= tolerance**2))


def energy_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the share of each map's heat inside the mask."""
    return np.minimum(ratio(batch.heat_inside, batch.heat), 1.0)


def outside_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the share of each map's heat outside the mask."""
    return 1 - np.minimum(ratio(batch.heat_inside, batch.heat), 1.0)


def auprc_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the average precision of each map's ranks."""
    return np.array([_precision(*pair) for pair in zip(batch.inside, batch.ordered, strict=True)])


def _precision(inside: Any, ordered: Any) -> float:
    """Average, over the pixels inside, the precision at each one's own value."""
    if not len(inside):
        return float("nan")
    found = len(inside) - np.searchsorted(inside, inside)
    called = len(ordered) - np.searchsorted(ordered, inside)
    return float((found / called).mean())


def auroc_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the area under the ROC curve of each map's ranks."""
    return np.array([_wins(*pair) for pair in zip(batch.inside, batch.ordered, strict=True)])


def _wins(inside: Any, ordered: Any) -> float:
    """Average, over the pixels inside, the share of pixels outside below each, ties half."""
    outside = len(ordered) - len(inside)
    if not len(inside) or not outside:
        return float("nan")
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    below = [
        np.searchsorted(ordered, inside, side=s) - np.searchsorted(inside, inside, side=s)
        for s in sides
    ]
    return float((below[0] + below[1]).mean()) / (2 * outside)


def rank_work(batch: MapBatch, _: MapOptions) -> Float64:
    """Return the share of the mask that each map's top pixels, as many as the mask has, fill."""
    return np.array([_rank(*pair) for pair in zip(batch.inside, batch.ordered, strict=True)])


def _rank(inside: Any, ordered: Any) -> float:
    size = len(inside)
    if not size:
        return float("nan")
    cut = ordered[len(ordered) - size]
    over, level = (_over_and_at(values, cut) for values in (ordered, inside))
    return float(level[0] + (size - over[0]) * level[1] / over[1]) / size


def _over_and_at(values: Any, cut: Any) -> tuple[int, int]:
    low, high = np.searchsorted(values, cut), np.searchsorted(values, cut, side="right")
    return len(values) - int(high), int(high - low)


def difference_work(batch: MapBatch, options: MapOptions) -> Float64:
    """Return the mean of each scaled map inside the mask minus that outside."""
    total, inside = batch.heat, batch.heat_inside
    span, shift = batch.top.astype(np.float64), np.zeros(len(batch))
    if options.scaling == "minmax":
        shift = batch.ordered[:, 0].astype(np.float64)
        span = span - shift
        total = batch.maps.sum(axis=1, dtype=np.float64)
        inside = np.array([v.sum(dtype=np.float64) for v in batch.inside])
    outside = batch.maps.shape[1] - batch.area
    return ratio(ratio(inside, batch.area) - ratio(total - inside, outside), span)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def map_metric(name: str, work: Work, *, source: str, **facts: Any) -> Decorator:
    """Return a decorator that registers a measure of maps against masks with its batch form."""
    known = {"needs": "maps_and_masks", "chance": AREA, **facts}
    return metric(name, source=source, work=work, **known)


@map_metric(
    "pointing_game",
    pointing_work,
    source="Zhang et al., IJCV 126:1084 (2018); tolerance as in TorchRay",
)
def pointing_game(
    maps: npt.ArrayLike, masks: npt.ArrayLike, *, tolerance_px: float = 0.0
) -> Float64:
    """Return whether the map's maximum lies on the mask.

    Args:
        maps: ``(..., H, W)``, raw; only the maximum matters.
        masks: Same shape, True inside.
        tolerance_px: Distance between pixel centers up to which a near miss is a hit; the game as
            published has 15 on photographs.

    Returns:
        1 hit, 0 miss, also without positive evidence; where several pixels share the maximum the
        share of them that hit, so that a constant map scores its chance. Higher is better; nan
        where the mask is empty or the map not finite.

    Deviates: ties are shared out; argmax takes the first of them, Quantus calls any a hit.

    >>> mask = np.array([[True, False], [False, False]])
    >>> pointing_game([[[0.9, 0.1], [0, 0]], [[1, 1], [1, 1]]], [mask, mask])
    array([1.  , 0.25])
    """
    return measure(pointing_work, maps, masks, MapOptions(tolerance_px=tolerance_px))


@map_metric(
    "energy_inside",
    energy_work,
    source="Wang et al., Score-CAM, CVPR workshops 2020, section 4.3 (energy-based pointing game)",
)
def energy_inside(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the share of the map's heat that lies on the mask.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0.
        masks: Same shape, True inside.

    Returns:
        In [0, 1], higher is better; nan without positive evidence (0/0), where the mask is empty or
        the map not finite.

    Deviates: no. Quantus' relevance mass lets negative values cancel positive ones.

    >>> energy_inside([[3.0, 1.0], [-5.0, 0.0]], [[True, False], [True, False]])
    array(0.75)
    """
    return measure(energy_work, maps, masks)


@map_metric(
    "pixel_auprc",
    auprc_work,
    source="Arun et al., Radiology AI 3:e200267 (2021); average precision over pixels",
)
def pixel_auprc(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the average precision of the map as a score of being inside the mask.

    Args:
        maps: ``(..., H, W)``, raw; only ranks matter, so that negative values rank below 0.
        masks: Same shape, True inside.

    Returns:
        In (0, 1], higher is better; a constant map has the mask's share of the image; nan where the
        mask is empty or the map not finite.

    Deviates: no; equal to scikit-learn's ``average_precision_score``.
    """
    return measure(auprc_work, maps, masks)


@map_metric(
    "pixel_auroc",
    auroc_work,
    source="Hanley & McNeil, Radiology 143:29 (1982), over pixels",
    chance=HALF,
)
def pixel_auroc(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the chance that a pixel inside the mask is hotter than one outside, ties half.

    Args:
        maps: ``(..., H, W)``, raw; only ranks matter.
        masks: Same shape, True inside.

    Returns:
        In [0, 1], higher is better; nan where the mask is empty or covers all, or the map is not
        finite. It flatters small masks: most pixels outside are easy.
    """
    return measure(auroc_work, maps, masks)


@map_metric(
    "rank_accuracy",
    rank_work,
    source="Arras et al., Information Fusion 81:14 (2022), relevance rank accuracy",
)
def rank_accuracy(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Float64:
    """Return the share of the map's top pixels, as many as the mask has, that lie on the mask.

    Args:
        maps: ``(..., H, W)``, raw; only ranks matter.
        masks: Same shape, True inside.

    Returns:
        In [0, 1], higher is better; nan where the mask is empty or the map not finite.

    Deviates: pixels tied at the border of the top are counted in part, so that their order in
        memory does not matter.
    """
    return measure(rank_work, maps, masks)


@map_metric(
    "inside_outside_difference",
    difference_work,
    source="Qiu et al., MLMI 2023, Diff_GradCAM",
    bounds=(-1.0, 1.0),
    chance=ZERO,
)
def inside_outside_difference(
    maps: npt.ArrayLike, masks: npt.ArrayLike, *, scaling: Literal["max", "minmax"] = "max"
) -> Float64:
    """Return the mean of the scaled map inside the mask minus its mean outside.

    Args:
        maps: ``(..., H, W)``, raw.
        masks: Same shape, True inside.
        scaling: ``"max"``: negative values count as 0, the maximum as 1; ``"minmax"``: minimum 0,
            maximum 1. The source says only "normalized to [0,1]".

    Returns:
        In [-1, 1], higher is better, 0 at chance; nan without positive evidence (``"max"``) or for
        a constant map (``"minmax"``), where the mask is empty or covers all, or the map is not
        finite. It depends on how peaked the map is: compare it only within one method.
    """
    return measure(difference_work, maps, masks, MapOptions(scaling=scaling))


@map_metric(
    "outside_lungs",
    outside_work,
    source="energy-based pointing game (Score-CAM) on what is outside a lung mask",
    needs="maps_and_lungs",
    higher_is_better=False,
    chance=Chance("share of the image outside the lungs", lambda shares: float(shares[0])),
)
def outside_lungs(maps: npt.ArrayLike, lungs: npt.ArrayLike) -> Float64:
    """Return the share of the map's heat that lies outside the lungs.

    Args:
        maps: ``(..., H, W)``, raw; negative values count as 0.
        lungs: Same shape, True inside the lungs.

    Returns:
        In [0, 1], lower is better; nan without positive evidence, without lungs, or where the map
        is not finite. Heat outside is no error where the finding lies there (a large heart).
    """
    return measure(outside_work, maps, lungs)
