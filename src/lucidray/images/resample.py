"""Antialiased resizing, the same numbers as Pillow's, torch's and ONNX's.

Each output pixel is a weighted mean of the source pixels under a triangle whose half-width is the
larger of one source pixel and one output pixel. The two axes are separate band matrices, so a
1024 x 1024 image becomes 224 x 224 in less than a millisecond.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from lucidray.errors import ShapeError
from lucidray.images.banded import Band, band, multiply
from lucidray.records import Float32

Window = tuple[float, float, float, float]


def resample(pixels: Float32, shape: tuple[int, int], window: Window | None = None) -> Float32:
    """Resize an image, or a window of it, bilinearly with antialiasing.

    Args:
        pixels: float32 ``(H, W)``.
        shape: ``(height, width)`` wanted.
        window: ``(x_min, y_min, x_max, y_max)`` in edge coordinates, need not be whole numbers;
            pixels that it does not touch have no influence. None: the whole image.

    Returns:
        float32 ``shape``.

    Raises:
        ShapeError: The image is not ``(H, W)``, or a side or the window is empty or outside.

    Source:
        Pillow's ``Image.resize(BILINEAR)``; ``torch.nn.functional.interpolate(mode="bilinear",
        antialias=True)``; ONNX ``Resize`` with ``antialias=1, exclude_outside=1``.

    Deviates:
        no; equal within 1e-5.

    >>> resample(np.array([[0, 1, 2, 3]], np.float32), (1, 2)).round(4)
    array([[0.7143, 2.2857]], dtype=float32)
    """
    pixels = _plane(pixels)
    height, width = pixels.shape
    x_min, y_min, x_max, y_max = window or (0.0, 0.0, float(width), float(height))
    left, right = _span(x_min, x_max, width)
    top, bottom = _span(y_min, y_max, height)
    part = pixels[top:bottom, left:right]
    if min(shape) < 1:
        raise ShapeError(f"cannot resize to {shape}; expected at least one pixel a side.")
    if part.shape == shape and (x_min, y_min, x_max, y_max) == (left, top, right, bottom):
        return part.copy()
    rows = _weights(bottom - top, y_min - top, y_max - top, shape[0])
    columns = _weights(right - left, x_min - left, x_max - left, shape[1])
    return multiply(rows, part, columns)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    first, last = max(math.floor(low), 0), min(math.ceil(high), size)
    if not low < high or first >= last:
        raise ShapeError(
            f"the window from {low:g} to {high:g} is empty or outside an image side of {size}."
        )
    return first, last


@lru_cache(maxsize=256)
def _weights(size: int, low: float, high: float, count: int) -> Band:
    scale = (high - low) / count
    support = max(scale, 1.0)
    center = low + (np.arange(count) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.intp), 0)
    last = np.minimum((center + support + 0.5).astype(np.intp), size)
    first, last = np.minimum(first, size - 1), np.maximum(last, 1)
    taps = np.maximum(last - first, 1)[:, None]
    place = np.arange(taps.max())
    distance = np.abs((first[:, None] + place + 0.5 - center[:, None]) / support)
    value = np.where(place < taps, np.maximum(1 - distance, 0), 0)
    total = value.sum(axis=1, keepdims=True)
    even = np.where(place < taps, 1 / taps, 0)
    return band(first, np.where(total > 0, value / np.where(total > 0, total, 1), even), size)


def _plane(pixels: Float32) -> Float32:
    if pixels.ndim != 2 or pixels.size == 0:
        raise ShapeError(f"the image is {pixels.shape}; expected (H, W), not empty.")
    return pixels if pixels.dtype == np.float32 else pixels.astype(np.float32)
