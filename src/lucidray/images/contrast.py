"""Contrast: histogram equalization, whole and by tiles, and percentile stretching.

All work on display intensities in [0, 1]; equalization quantizes to 256 levels, as its sources do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lucidray.errors import ShapeError
from lucidray.records import Float32

Levels = npt.NDArray[np.uint8]


def clahe(pixels: Float32, *, clip: float = 2.0, tiles: int = 8) -> Float32:
    """Equalize contrast locally, with a limit on how much (CLAHE).

    Args:
        pixels: float32 ``(H, W)`` in [0, 1].
        clip: How many times the mean count a histogram bin may hold; the rest is spread evenly.
        tiles: Tiles a side.

    Returns:
        float32 ``(H, W)`` in [0, 1], on 256 levels.

    Raises:
        ShapeError: The image has fewer pixels a side than tiles.

    Source:
        Zuiderveld 1994, "Contrast limited adaptive histogram equalization"; OpenCV's
        ``createCLAHE``.

    Deviates:
        no; within one of 256 levels of OpenCV.
    """
    levels = to_levels(pixels)
    if min(levels.shape) < tiles or tiles < 1 or levels.ndim != 2:
        raise ShapeError(
            f"CLAHE with {tiles} x {tiles} tiles needs an image of at least as many pixels a "
            f"side; came {levels.shape}."
        )
    tables, tile = _tile_tables(levels, clip, tiles)
    return np.asarray(_blend(levels, tables, tile) / np.float32(255), dtype=np.float32)


def equalize(pixels: Float32) -> Float32:
    """Equalize the histogram of a whole image.

    Args:
        pixels: float32 ``(H, W)`` in [0, 1].

    Returns:
        float32 ``(H, W)`` in [0, 1]; an image of one level comes back as it was.

    Source:
        OpenCV's ``equalizeHist``.
    """
    levels = to_levels(pixels)
    histogram = np.bincount(levels.ravel(), minlength=256)
    lowest = int(np.flatnonzero(histogram)[0])
    rest = levels.size - int(histogram[lowest])
    if rest == 0:
        return levels.astype(np.float32) / np.float32(255)
    above = np.cumsum(histogram) - histogram[lowest]
    scale = np.float32(255) / np.float32(rest)
    table = np.rint(np.maximum(above, 0).astype(np.float32) * scale)
    shown: Float32 = table.astype(np.float32) / np.float32(255)
    return np.asarray(shown[levels])


def stretch(pixels: Float32, *, low: float = 0.5, high: float = 99.5) -> Float32:
    """Stretch the range between two percentiles to [0, 1] and clip what lies outside.

    Args:
        pixels: float32 ``(H, W)``.
        low: Percentile that becomes black.
        high: Percentile that becomes white.

    Returns:
        float32 ``(H, W)`` in [0, 1]; an image whose percentiles coincide comes back clipped only.
    """
    black, white = np.percentile(pixels, [low, high])
    if white <= black:
        return np.asarray(np.clip(pixels, 0, 1), dtype=np.float32)
    spread = (pixels - np.float32(black)) / np.float32(white - black)
    return np.asarray(np.clip(spread, 0, 1), dtype=np.float32)


def to_levels(pixels: npt.NDArray[np.floating]) -> Levels:
    """Round display intensities to 256 levels.

    Args:
        pixels: Intensities in [0, 1], any shape; values outside are clipped.

    Returns:
        uint8 of the same shape.
    """
    scaled: Float32 = np.multiply(pixels, np.float32(255), dtype=np.float32)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def _tile_tables(levels: Levels, clip: float, tiles: int) -> tuple[Float32, tuple[int, int]]:
    height, width = levels.shape
    if height % tiles or width % tiles:
        below, right = tiles - height % tiles, tiles - width % tiles
        levels = np.pad(levels, ((0, below), (0, right)), mode="reflect")
    tile = (levels.shape[0] // tiles, levels.shape[1] // tiles)
    blocks = levels.reshape(tiles, tile[0], tiles, tile[1]).swapaxes(1, 2).reshape(tiles**2, -1)
    keys = blocks.astype(np.intp) + 256 * np.arange(tiles**2)[:, None]
    histogram = np.bincount(keys.ravel(), minlength=256 * tiles**2).reshape(tiles**2, 256)
    area = tile[0] * tile[1]
    clipped = _redistribute(histogram, max(int(clip * area / 256), 1)) if clip > 0 else histogram
    tables = np.rint(np.cumsum(clipped, axis=1) * np.float32(255 / area)).clip(0, 255)
    return tables.reshape(tiles, tiles, 256).astype(np.float32), tile


def _redistribute(histogram: npt.NDArray[np.intp], limit: int) -> npt.NDArray[np.intp]:
    excess = np.maximum(histogram - limit, 0).sum(axis=1, keepdims=True)
    whole, residual = excess // 256, excess % 256
    step = np.maximum(256 // np.maximum(residual, 1), 1)
    bins = np.arange(256)[None, :]
    extra = (bins % step == 0) & (bins // step < residual)
    return np.asarray(np.minimum(histogram, limit) + whole + extra)


def _blend(levels: Levels, tables: Float32, tile: tuple[int, int]) -> Float32:
    tiles = tables.shape[0]
    top, bottom, down = _neighbors(levels.shape[0], tile[0], tiles)
    left, right, across = _neighbors(levels.shape[1], tile[1], tiles)
    flat = tables.reshape(-1)
    base = levels.astype(np.int32)

    def mapped(row: npt.NDArray[np.int32], column: npt.NDArray[np.int32]) -> Float32:
        return np.asarray(flat[(row[:, None] * tiles + column[None, :]) * 256 + base])

    x, y = across[None, :], down[:, None]
    upper = mapped(top, left) * (1 - x) + mapped(top, right) * x
    lower = mapped(bottom, left) * (1 - x) + mapped(bottom, right) * x
    return np.asarray(np.rint(upper * (1 - y) + lower * y), dtype=np.float32)


def _neighbors(
    size: int, tile: int, tiles: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Float32]:
    place = (np.arange(size, dtype=np.float32) / np.float32(tile)) - np.float32(0.5)
    first = np.floor(place).astype(np.int32)
    share = (place - first).astype(np.float32)
    return np.clip(first, 0, tiles - 1), np.clip(first + 1, 0, tiles - 1), share
