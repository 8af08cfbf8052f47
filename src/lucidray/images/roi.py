"""From heat maps to regions: masks, spots, and images that show little else.

A map is cut on its *strength*: negative values 0, the largest 1. An image of a region is made as
source document S0 makes it, the map painted over the whole film (`overlay_roi`), or so that what
lies outside is really gone: hidden (`hide_outside`), cut away (`crop_to_map`) or faded
(`fade_outside`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.components import PixelBox, boxes_of, label_components
from lucidray.images.contrast import to_levels
from lucidray.images.geometry import heatmap_to_source, scaling
from lucidray.images.render import Picture, strength
from lucidray.images.transforms import Placed, crop, mask_box
from lucidray.records import Bool, Float32, Geometry

#: Where a map is cut: above a part of its largest value (fixed, or tuned on validation images), or
#: by Otsu's rule for each map.
Threshold: TypeAlias = float | Literal["otsu"]
_Map: TypeAlias = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Spot:
    """One connected region of a heat map.

    Args:
        box: ``(x_min, y_min, x_max, y_max)``, half-open, in the map's pixels.
        area: Pixels.
        peak: Its largest value as a part of the map's largest, up to 1.
        share: Its part of all heat (the sum of positive values), up to 1.
    """

    box: PixelBox
    area: int
    peak: float
    share: float


def otsu_level(values: _Map) -> int:
    """Return Otsu's threshold of a heat map's strength, in 256 levels.

    Args:
        values: ``(H, W)``, raw and signed; nan counts as 0.

    Returns:
        The level of 0 to 255 above which a pixel is foreground, the lowest of equals; 0 where
        all pixels have one level.

    Source: Otsu, IEEE Trans. SMC 9:62 (1979), equation 18.

    >>> otsu_level(np.array([[0.0, 0.1, 0.1], [0.9, 1.0, 1.0]]))
    25
    """
    levels = np.floor(strength(values) * np.float32(255)).astype(np.intp)
    counts = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    weight, moment = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    product = weight * (weight[-1] - weight)
    between = np.zeros(256)
    np.divide((moment[-1] * weight - moment * weight[-1]) ** 2, product, between, where=product > 0)
    return int(between.argmax())


def mask_of_map(values: _Map, threshold: Threshold = "otsu", *, absolute: bool = False) -> Bool:
    """Cut a heat map into a mask.

    Args:
        values: ``(H, W)``, raw and signed; nan counts as 0.
        threshold: A pixel is taken strictly above it: a part of the largest value in [0, 1), or
            ``"otsu"``.
        absolute: Whether a number is in the map's own units, 0 or more, not a part of its largest
            value, so that a weak map stays empty.

    Returns:
        bool ``(H, W)``; empty where no value is positive or one is infinite.

    Raises:
        ShapeError: The map is not ``(H, W)``.
        ConfigError: The threshold is out of range.

    >>> heat = np.array([[0.0, 0.4], [-3.0, 2.0]])
    >>> mask_of_map(heat, 0.1).astype(int).tolist()
    [[0, 1], [0, 1]]
    >>> mask_of_map(heat).astype(int).tolist()
    [[0, 0], [0, 1]]
    >>> mask_of_map(heat, 2.5, absolute=True).any()
    np.False_
    """
    _check(values, threshold, absolute=absolute)
    scaled = strength(values)
    if not scaled.any():
        return np.zeros(scaled.shape, bool)
    if threshold == "otsu":
        return np.asarray(scaled * np.float32(255) >= otsu_level(values) + 1)
    if absolute:
        return np.asarray(np.nan_to_num(values) > threshold)
    return np.asarray(scaled > np.float32(threshold))


def spots_of_map(
    values: _Map,
    threshold: Threshold = "otsu",
    *,
    smallest: float = 0.01,
    most: int | None = None,
) -> tuple[Spot, ...]:
    """Return the connected regions of a heat map, the one with most heat first.

    Args:
        values: ``(H, W)``, raw and signed; nan counts as 0.
        threshold: As for `mask_of_map`.
        smallest: Part of the image's pixels that a spot must have at least.
        most: How many to return; None = all.

    Returns:
        Spots; none where no value is positive or one is infinite.

    Raises:
        ShapeError: The map is not ``(H, W)``.
        ConfigError: The threshold or the smallest part is out of range.

    >>> heat = np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 2.0], [0, 0, 2.0, 1.0]])
    >>> [(spot.box, spot.area, spot.peak, spot.share) for spot in spots_of_map(heat, 0.2)]
    [((2, 1, 4, 3), 4, 0.5, 0.6), ((0, 0, 1, 1), 1, 1.0, 0.4)]
    """
    if not 0 <= smallest <= 1:
        raise ConfigError(f"smallest is {smallest}; a part of the image, 0 to 1, is expected.")
    mask = mask_of_map(values, threshold)
    scaled = strength(values).astype(np.float64)
    labels, count = label_components(mask)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    heat = np.bincount(labels.ravel(), scaled.ravel(), minlength=count + 1)
    peaks = np.zeros(count + 1)
    np.maximum.at(peaks, labels.ravel(), scaled.ravel())
    found = []
    for label in range(1, count + 1):
        if areas[label] >= smallest * mask.size:
            (box,) = boxes_of(labels == label)
            share = float(heat[label] / scaled.sum())
            found.append(Spot(box, int(areas[label]), float(peaks[label]), share))
    return tuple(sorted(found, key=lambda spot: -spot.share)[:most])


def overlay_roi(
    pixels: Float32, values: _Map, *, threshold: float = 0.3, opacity: float = 0.3
) -> Picture:
    """Paint a heat map over the whole film, as source document S0 makes its ROI images.

    Nothing is taken away: all of the film shows through, and the color tells a second model what
    the first one thought. It is here to repeat the experiment.

    Args:
        pixels: float32 ``(H, W)`` in [0, 1].
        values: ``(h, w)``, raw and signed, spanning the film, at any resolution.
        threshold: Values below this part of the largest count as 0.
        opacity: Of the paint, everywhere; S0's transparency factor.

    Returns:
        uint8 ``(H, W, 3)``; where no value is positive, the film under the color of 0 (dark blue).

    Raises:
        ShapeError: One of the two is not two-dimensional.
        ConfigError: Threshold or opacity leaves [0, 1].

    Source: source document S0, section 4.4.4: ReLU, scaled to [0, 1], values below 0.3 suppressed,
        resized, JET, blended with factor 0.3.
    Deviates: no; JET is OpenCV's within one level, not the ``jet`` of `color_maps`.
    """
    if not (0 <= threshold <= 1 and 0 <= opacity <= 1):
        raise ConfigError(
            f"threshold is {threshold} and opacity {opacity}; expected 0 to 1 for both."
        )
    _check_pair(pixels, values, same=False)
    heat = strength(values)
    heat[heat < threshold] = 0
    if heat.shape != pixels.shape:
        shape = (pixels.shape[0], pixels.shape[1])
        heat = heatmap_to_source(heat, scaling(shape, (heat.shape[0], heat.shape[1])))
    paint = _opencv_jet()[to_levels(heat)]
    grey = np.clip(pixels, 0, 1)[..., None] * np.float32(255)
    return np.rint(grey * (1 - opacity) + paint * opacity).astype(np.uint8)


def hide_outside(pixels: Float32, mask: Bool, *, fill: float = 0.0) -> Float32:
    """Hide what lies outside a mask.

    The mask's outline still tells its shape and place.

    Args:
        pixels: float32 ``(H, W)``.
        mask: bool ``(H, W)``.
        fill: Intensity of what is hidden.

    Returns:
        float32 ``(H, W)``; `fill` everywhere where the mask is empty: then there is no region.

    Raises:
        ShapeError: The two are not on one grid.
    """
    _check_pair(pixels, mask)
    return np.where(np.asarray(mask, bool), pixels, np.float32(fill)).astype(np.float32)


def crop_to_map(
    pixels: Float32,
    geometry: Geometry,
    values: _Map,
    threshold: Threshold = "otsu",
    *,
    margin: float = 0.1,
) -> Placed:
    """Cut out the box around all that a heat map marks.

    Args:
        pixels: float32 ``(H, W)``.
        geometry: From the file to `pixels`.
        values: ``(H, W)``, raw and signed, on the same grid.
        threshold: As for `mask_of_map`.
        margin: On each side, as a part of the box's own edges.

    Returns:
        float32 of the box's shape, and its geometry; the whole image where nothing is marked.

    Raises:
        ShapeError: The two are not on one grid.
        ConfigError: The threshold is out of range.
    """
    _check_pair(pixels, values)
    mask = mask_of_map(values, threshold)
    return crop(pixels, geometry, mask_box(mask, margin=margin, empty="whole"))


def fade_outside(
    pixels: Float32, values: _Map, *, floor: float = 0.0, fill: float = 0.0
) -> Float32:
    """Fade the film where a heat map is weak.

    Args:
        pixels: float32 ``(H, W)``.
        values: ``(H, W)``, raw and signed, on the same grid.
        floor: Part of the film that is left where there is no heat, 0 to 1.
        fill: Intensity that it fades to.

    Returns:
        float32 ``(H, W)``: ``fill + (floor + (1 - floor) * strength) * (pixels - fill)``.

    Raises:
        ShapeError: The two are not on one grid.
        ConfigError: The floor leaves [0, 1].
    """
    if not 0 <= floor <= 1:
        raise ConfigError(f"floor is {floor}; expected 0 to 1.")
    _check_pair(pixels, values)
    weight = floor + (1 - floor) * strength(values)
    return np.asarray(fill + weight * (pixels - fill), dtype=np.float32)


def _check(values: _Map, threshold: Threshold, *, absolute: bool) -> None:
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"the map is {values.shape}; expected (H, W), not empty.")
    if threshold == "otsu" and not absolute:
        return
    highest = np.inf if absolute else 1
    if isinstance(threshold, str) or not 0 <= threshold < highest:
        expected = "0 or more" if absolute else "a number in [0, 1), or 'otsu'"
        raise ConfigError(f"threshold is {threshold!r}; {expected} is expected.")


def _check_pair(pixels: Float32, values: npt.NDArray[np.generic], *, same: bool = True) -> None:
    if pixels.ndim != 2 or values.ndim != 2 or (same and pixels.shape != values.shape):
        raise ShapeError(
            f"the radiograph is {pixels.shape} but the map or mask is {values.shape}; both must "
            "be (H, W)" + (" on one pixel grid. Map it with heatmap_to_source first." * same)
        )


def _opencv_jet() -> Float32:
    place = np.arange(256, dtype=np.float32)[:, None] * np.float32(4 / 255)
    ramps = 1.5 - np.abs(place - np.array([3, 2, 1], np.float32))
    return np.asarray(np.rint(np.clip(ramps, 0, 1) * 255), dtype=np.float32)
