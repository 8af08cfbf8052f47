"""The deterministic chain from a radiograph to a network's input, as one configuration.

It has two halves. The `spatial` half (crop, fit, contrast) depends on one image alone and gives
intensities in [0, 1]; that is what is cached. The `normalize` half works on batches and only
shifts and scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lucidray.config import STRICT
from lucidray.errors import ConfigError, ShapeError, unknown_name
from lucidray.images import contrast
from lucidray.images.geometry import compose, cropping, identity, map_boxes, placing, scaling
from lucidray.images.read import MAX_PIXELS, decode_xray, read_xray
from lucidray.images.resample import resample
from lucidray.images.transforms import (
    PixelBox,
    check_fractions,
    fraction_box,
    letterbox_shape,
    pad_to_square,
)
from lucidray.records import Float32, Geometry, XRay

#: How much longer than needed the sides stay when a decoder shrinks while loading.
OVERSAMPLING = 1.5

_CONTRASTS = ("none", "clahe", "equalize", "stretch")
_NORMALIZATIONS = ("unit", "zscore", "imagenet", "inception", "xrv")

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a radiograph before a network sees it.

    Args:
        size: Side of the square input, in pixels.
        crop: Fractions ``(top, bottom, left, right)`` of the image to keep; None: all of it.
        fit: ``"squash"`` stretches the image to the square, ``"letterbox"`` keeps its aspect and
            fills with black.
        contrast: ``"none"``, ``"clahe"``, ``"equalize"``, or ``"stretch"`` (percentiles .5-99.5);
            applied after resizing, to the image without its bars.
        clahe_clip: CLAHE's clip limit.
        clahe_tiles: CLAHE's tiles a side.
        normalization: ``"unit"`` leaves [0, 1]; ``"zscore"`` gives each image mean 0 and
            deviation 1; ``"imagenet"`` is timm's default; ``"inception"`` gives [-1, 1];
            ``"xrv"`` TorchXRayVision's [-1024, 1024].
        channels: 1 or 3; three are copies of one, each with its own constants.

    Raises:
        ConfigError: A value is out of range.

    >>> Preprocessing(size=320, fit="letterbox").channels
    3
    """

    __pydantic_config__ = STRICT

    size: int = 224
    crop: tuple[float, float, float, float] | None = None
    fit: Literal["squash", "letterbox"] = "squash"
    contrast: Literal["none", "clahe", "equalize", "stretch"] = "none"
    clahe_clip: float = 2.0
    clahe_tiles: int = 8
    normalization: Literal["unit", "zscore", "imagenet", "inception", "xrv"] = "imagenet"
    channels: Literal[1, 3] = 3

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 8192:
            raise ConfigError(f"size is {self.size}; expected 8 to 8192 pixels.")
        if self.crop is not None:
            check_fractions(*self.crop)
        for kind, name, choices in (
            ("fit", self.fit, ("squash", "letterbox")),
            ("contrast", self.contrast, _CONTRASTS),
            ("normalization", self.normalization, _NORMALIZATIONS),
        ):
            if name not in choices:
                raise unknown_name(kind, name, choices)
        if self.channels not in (1, 3):
            raise ConfigError(f"channels is {self.channels}; expected 1 or 3.")
        if not (self.clahe_clip > 0 and 1 <= self.clahe_tiles <= self.size):
            raise ConfigError("clahe_clip must be positive and clahe_tiles from 1 to size.")


def preprocess(
    xray: XRay, config: Preprocessing, *, box: PixelBox | None = None
) -> tuple[Float32, Geometry]:
    """Turn a radiograph into a network's input.

    Args:
        xray: The radiograph.
        config: What to do.
        box: As for `spatial`.

    Returns:
        float32 ``(C, size, size)``, and the geometry from the file's pixels to it.
    """
    pixels, geometry = spatial(xray, config, box=box)
    return normalize(pixels[None], config)[0], geometry


def spatial(
    xray: XRay, config: Preprocessing, *, box: PixelBox | None = None
) -> tuple[Float32, Geometry]:
    """Crop, fit and set the contrast of a radiograph: the half that is cached.

    Args:
        xray: The radiograph; shrunk while loading or not, the geometry comes out the same.
        config: What to do.
        box: ``(x_min, y_min, x_max, y_max)`` in the file's pixels, half-open, that replaces the
            crop of `config`; for example the box around the lungs.

    Returns:
        float32 ``(size, size)`` in [0, 1], and the geometry from the file's pixels to it.

    Raises:
        ShapeError: The box is empty or leaves the image.
    """
    source = xray.geometry.source_shape
    geometry = spatial_geometry(source, config, box=box)
    kept, inner = _kept_and_inner(source, config, box)
    in_pixels = map_boxes(kept, xray.geometry)
    x_min, y_min, x_max, y_max = (float(edge) for edge in in_pixels)
    pixels = resample(xray.pixels, inner, (x_min, y_min, x_max, y_max))
    pixels = set_contrast(pixels, config)
    if inner != geometry.shape:
        pixels, _ = pad_to_square(pixels, identity(inner), config.size)
    return pixels, geometry


def spatial_geometry(
    source_shape: tuple[int, int], config: Preprocessing, *, box: PixelBox | None = None
) -> Geometry:
    """Return the geometry that `spatial` gives, from the size of the file's image alone.

    Args:
        source_shape: ``(height, width)`` of the file's image.
        config: What is done to it.
        box: As for `spatial`.

    >>> spatial_geometry((1024, 1024), Preprocessing(size=256)).matrix
    ((0.25, 0.0, 0.0), (0.0, 0.25, 0.0))
    """
    kept, inner = _kept_and_inner(source_shape, config, box)
    cropped = cropping(source_shape, kept)
    fitted = compose(cropped, scaling(cropped.shape, inner))
    square = (config.size, config.size)
    if inner == square:
        return fitted
    left, top = (config.size - inner[1]) // 2, (config.size - inner[0]) // 2
    return compose(fitted, placing(inner, square, left, top))


def set_contrast(pixels: Float32, config: Preprocessing) -> Float32:
    """Apply the configured contrast to an image of display intensities.

    Args:
        pixels: float32 ``(H, W)`` in [0, 1].
        config: Names the contrast.

    Returns:
        float32 ``(H, W)`` in [0, 1].
    """
    if config.contrast == "clahe":
        tiles = min(config.clahe_tiles, *pixels.shape)
        return contrast.clahe(pixels, clip=config.clahe_clip, tiles=tiles)
    if config.contrast == "equalize":
        return contrast.equalize(pixels)
    if config.contrast == "stretch":
        return contrast.stretch(pixels)
    return pixels


def normalize(batch: Float32, config: Preprocessing) -> Float32:
    """Shift and scale intensities to what a network was trained on.

    Args:
        batch: float32 ``(B, H, W)`` in [0, 1].
        config: Names the normalization and the channels.

    Returns:
        float32 ``(B, C, H, W)``; a constant image becomes 0 under ``"zscore"``.

    Raises:
        ShapeError: The batch is not ``(B, H, W)``.
    """
    if batch.ndim != 3:
        raise ShapeError(f"the batch is {batch.shape}; expected (B, H, W).")
    if config.normalization == "zscore":
        mean = batch.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
        deviation = batch.std(axis=(1, 2), keepdims=True, dtype=np.float64)
        safe = np.where(deviation > 1e-6, deviation, np.inf)
        scaled = ((batch - mean) / safe).astype(np.float32)[:, None]
        return np.ascontiguousarray(np.repeat(scaled, config.channels, axis=1))
    mean, std = channel_constants(config)
    shape = (1, config.channels, 1, 1)
    scale, shift = (1 / std).reshape(shape), (-mean / std).reshape(shape)
    normalized = np.empty((len(batch), config.channels, *batch.shape[1:]), np.float32)
    np.multiply(batch[:, None], scale.astype(np.float32), out=normalized)
    normalized += shift.astype(np.float32)
    return normalized


def channel_constants(config: Preprocessing) -> tuple[Float32, Float32]:
    """Return the mean and deviation that `normalize` subtracts and divides by.

    Args:
        config: Names the normalization and the channels.

    Returns:
        float32 ``(C,)`` each. ImageNet's are averaged where there is one channel, as timm does.

    Raises:
        ConfigError: The normalization is ``"zscore"``, which has constants for each image.
    """
    if config.normalization == "zscore":
        raise ConfigError("z-score normalization takes mean and deviation of each image itself.")
    if config.normalization == "imagenet" and config.channels == 3:
        return np.array(_IMAGENET_MEAN, np.float32), np.array(_IMAGENET_STD, np.float32)
    mean, std = {
        "unit": (0.0, 1.0),
        "imagenet": (sum(_IMAGENET_MEAN) / 3, sum(_IMAGENET_STD) / 3),
        "inception": (0.5, 0.5),
        "xrv": (0.5, 1 / 2048),
    }[config.normalization]
    return np.full(config.channels, mean, np.float32), np.full(config.channels, std, np.float32)


def shrink_limit(config: Preprocessing) -> int:
    """Return the `shrink_to` under which a shrinking decoder still leaves more pixels than needed.

    >>> shrink_limit(Preprocessing(size=224))
    336
    """
    top, bottom, left, right = config.crop or (0.0, 1.0, 0.0, 1.0)
    return math.ceil(config.size * OVERSAMPLING / min(bottom - top, right - left))


def load_tensor(
    path: str | Path, config: Preprocessing | None = None, *, exact: bool = False
) -> Float32:
    """Read a file straight to a network's input.

    Args:
        path: A PNG, JPEG, TIFF or DICOM radiograph.
        config: What to do; None: the defaults.
        exact: Whether to decode every pixel; otherwise JPEG and JPEG 2000 may be shrunk while
            loading, down to 1.5 times the pixels needed (`read_xray` tells how much that changes).

    Returns:
        float32 ``(C, size, size)``.

    Raises:
        ImageError: The file cannot be read.
    """
    config = config or Preprocessing()
    xray = read_xray(path, shrink_to=None if exact else shrink_limit(config))
    return preprocess(xray, config)[0]


def decode_spatial(
    data: bytes,
    config: Preprocessing,
    *,
    box: PixelBox | None = None,
    exact: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> tuple[Float32, Geometry]:
    """Decode the bytes of a file straight to the cached half of the chain.

    Args:
        data: All bytes of a PNG, JPEG, TIFF or DICOM file.
        config: What to do.
        box: As for `spatial`; a box smaller than the image always decodes every pixel.
        exact: As for `load_tensor`.
        max_pixels: As for `read_xray`.

    Returns:
        As `spatial`.

    Raises:
        ImageError: The bytes are no readable radiograph.
    """
    whole = exact or box is not None
    shrink_to = None if whole else shrink_limit(config)
    xray = decode_xray(data, shrink_to=shrink_to, max_pixels=max_pixels)
    return spatial(xray, config, box=box)


def _kept_and_inner(
    source_shape: tuple[int, int], config: Preprocessing, box: PixelBox | None
) -> tuple[PixelBox, tuple[int, int]]:
    kept = box or fraction_box(source_shape, *(config.crop or (0.0, 1.0, 0.0, 1.0)))
    x_min, y_min, x_max, y_max = kept
    if config.fit == "squash":
        return kept, (config.size, config.size)
    return kept, letterbox_shape((y_max - y_min, x_max - x_min), config.size)
