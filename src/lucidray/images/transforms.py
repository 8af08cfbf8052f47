"""Spatial transforms that keep their geometry: pixels and geometry in, pixels and geometry out.

The geometry that comes in says how the file's pixels lie in `pixels`; the one that comes out says
how they lie in the result, so a box or heat map finds its way back through any chain of these.
"""

from __future__ import annotations

import numpy as np

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.geometry import compose, cropping, placing, scaling
from lucidray.images.resample import resample
from lucidray.records import Bool, Float32, Geometry

PixelBox = tuple[int, int, int, int]
Placed = tuple[Float32, Geometry]


def resize(pixels: Float32, geometry: Geometry, shape: tuple[int, int]) -> Placed:
    """Resize to a shape, whatever the aspect, bilinearly with antialiasing.

    Args:
        pixels: float32 ``(H, W)``.
        geometry: From the file to `pixels`.
        shape: ``(height, width)`` wanted.

    Returns:
        float32 ``shape`` and its geometry.
    """
    resized = resample(pixels, shape)
    return resized, compose(geometry, scaling(geometry.shape, shape))


def letterbox(pixels: Float32, geometry: Geometry, size: int, *, fill: float = 0.0) -> Placed:
    """Resize so that the longer side fits a square, and center the image in it.

    Args:
        pixels: float32 ``(H, W)``.
        geometry: From the file to `pixels`.
        size: Side of the square.
        fill: Intensity of the bars.

    Returns:
        float32 ``(size, size)`` and its geometry.
    """
    inner = letterbox_shape(geometry.shape, size)
    resized, geometry = resize(pixels, geometry, inner)
    return pad_to_square(resized, geometry, size, fill=fill)


def letterbox_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Return the ``(height, width)`` that an image takes inside a letterbox.

    >>> letterbox_shape((1000, 500), 224)
    (224, 112)
    """
    longest = max(shape)
    return max(round(shape[0] * size / longest), 1), max(round(shape[1] * size / longest), 1)


def pad_to_square(pixels: Float32, geometry: Geometry, size: int, *, fill: float = 0.0) -> Placed:
    """Center an image, unscaled, on a square.

    Args:
        pixels: float32 ``(H, W)``, neither side longer than `size`.
        geometry: From the file to `pixels`.
        size: Side of the square.
        fill: Intensity around the image.

    Returns:
        float32 ``(size, size)`` and its geometry.

    Raises:
        ShapeError: The image is larger than the square.
    """
    height, width = pixels.shape
    if max(height, width) > size:
        raise ShapeError(f"an image of {width} x {height} does not fit a square of {size}.")
    top, left = (size - height) // 2, (size - width) // 2
    canvas = np.full((size, size), fill, np.float32)
    canvas[top : top + height, left : left + width] = pixels
    return canvas, compose(geometry, placing(geometry.shape, (size, size), left, top))


def crop(pixels: Float32, geometry: Geometry, box: PixelBox) -> Placed:
    """Cut a box out.

    Args:
        pixels: float32 ``(H, W)``.
        geometry: From the file to `pixels`.
        box: ``(x_min, y_min, x_max, y_max)`` in pixels of `pixels`, half-open.

    Returns:
        float32 of the box's shape, and its geometry.

    Raises:
        ShapeError: The box is empty or leaves the image.
    """
    cropped = compose(geometry, cropping(geometry.shape, box))
    x_min, y_min, x_max, y_max = box
    return np.ascontiguousarray(pixels[y_min:y_max, x_min:x_max]), cropped


def fraction_box(
    shape: tuple[int, int], top: float, bottom: float, left: float, right: float
) -> PixelBox:
    """Return the box that fractions of the height and width describe.

    Args:
        shape: ``(height, width)``.
        top: Fraction of the height at which the box begins.
        bottom: Fraction of the height at which it ends.
        left: Fraction of the width at which it begins.
        right: Fraction of the width at which it ends.

    Returns:
        ``(x_min, y_min, x_max, y_max)``, rounded down as the source does, at least one pixel.

    Source:
        Source document S4: rows .15-.90, columns .20-.80.

    >>> fraction_box((1000, 1000), 0.15, 0.90, 0.20, 0.80)
    (200, 150, 800, 900)
    """
    check_fractions(top, bottom, left, right)
    height, width = shape
    y_min, x_min = _floor(height * top), _floor(width * left)
    return (
        x_min,
        y_min,
        max(_floor(width * right), x_min + 1),
        max(_floor(height * bottom), y_min + 1),
    )


def check_fractions(top: float, bottom: float, left: float, right: float) -> None:
    """Refuse fractions that describe no box.

    Raises:
        ConfigError: They are not in order or leave [0, 1].
    """
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise ConfigError(
            f"crop fractions are top {top}, bottom {bottom}, left {left}, right {right}; expected "
            "0 <= top < bottom <= 1 and 0 <= left < right <= 1."
        )


def mask_box(mask: Bool, *, margin: float = 0.05, empty: str = "error") -> PixelBox:
    """Return the box around a mask, with a margin: the box of a mask-driven crop.

    Args:
        mask: bool ``(H, W)``, for example both lungs.
        margin: Margin on each side, as a fraction of the box's own height and width; cut at the
            borders of the image.
        empty: What to do where the mask is empty: ``"error"``, or ``"whole"`` for the whole image.

    Returns:
        ``(x_min, y_min, x_max, y_max)``, half-open.

    Raises:
        ShapeError: The mask is empty and `empty` is ``"error"``, or it is no ``(H, W)``.

    >>> mask = np.zeros((10, 20), bool); mask[4:6, 5:15] = True
    >>> mask_box(mask, margin=0.5)
    (0, 3, 20, 7)
    """
    if mask.ndim != 2:
        raise ShapeError(f"the mask is {mask.shape}; expected (H, W).")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        if empty != "whole":
            raise ShapeError(
                "the mask is empty, so there is nothing to crop to. Leave the image out, or ask "
                "for the whole image with empty='whole'."
            )
        return 0, 0, mask.shape[1], mask.shape[0]
    top, bottom = _widen(int(rows[0]), int(rows[-1]) + 1, margin, mask.shape[0])
    left, right = _widen(int(columns[0]), int(columns[-1]) + 1, margin, mask.shape[1])
    return left, top, right, bottom


def _widen(low: int, high: int, margin: float, size: int) -> tuple[int, int]:
    extra = round((high - low) * margin)
    return max(low - extra, 0), min(high + extra, size)


def _floor(value: float) -> int:
    return int(value + 1e-9)
