"""What removed pixels become: black, the image's mean, its blur, or what their neighbors imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import ndimage

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.faithfulness_order import Units
from lucidray.metrics.road_imputation import impute
from lucidray.records import Bool, Float32

FillName = Literal["black", "mean", "blur", "road"]
Link = Literal["sigmoid", "softmax", "none"]

#: Imputed pixels are wrong by a fraction of the usual noise.
_TOLERANCE = 1e-3

#: Writes an image without the removed pixels ``(H, W)`` into a row of a batch.
Fill: TypeAlias = Callable[[Bool, Float32], None]


@dataclass(frozen=True)
class Removal:
    """How pixels are removed, and what is read from the model then.

    Args:
        fill: What removed pixels become: ``"black"``, ``"mean"`` (of the image, by channel),
            ``"blur"``, or ``"road"`` (noisy linear imputation).
        steps: Steps until all is removed, of equal size. ``"road"`` stops one step earlier: from
            nothing nothing can be imputed.
        units: Whether ``"pixels"`` of the image or ``"cells"`` of the map are ordered.
        random_orders: How many maps of noise, of the map's own grid, say what chance is; 0: none.
        link: How the model's outputs become probabilities: ``"sigmoid"``, ``"softmax"``, or
            ``"none"`` where they are probabilities already.
        batch_size: How many images a call of the model gets.
        black: What a black pixel is in the units of the images: 0 for display intensities,
            ``(0 - mean) / std`` for normalized ones; one number, or one a channel.
        blur: Standard deviation of the blur as a share of the shorter side.
        noise: Standard deviation of the noise added to imputed pixels, as a share of the image's;
            it leaves the image's range of values nowhere.
        seed: Same seed, same ties, noise and random orders.
    """

    fill: FillName = "black"
    steps: int = 32
    units: Units = "pixels"
    random_orders: int = 2
    link: Link = "sigmoid"
    batch_size: int = 32
    black: float | tuple[float, ...] = 0.0
    blur: float = 0.05
    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fill not in ("black", "mean", "blur", "road"):
            raise MetricError(f"fill is '{self.fill}'; choose black, mean, blur or road")
        if self.link not in ("sigmoid", "softmax", "none"):
            raise MetricError(f"link is '{self.link}'; choose sigmoid, softmax or none")
        if self.steps < 2 or self.random_orders < 0 or self.batch_size < 1:
            raise MetricError(
                f"{self.steps} steps, {self.random_orders} random orders, batches of "
                f"{self.batch_size}; expected at least 2, 0 and 1"
            )
        if not (self.blur > 0 and self.noise >= 0):
            raise MetricError(f"blur {self.blur} must be positive, noise {self.noise} not negative")

    @property
    def last(self) -> int:
        """The last step that is measured."""
        return self.steps - 1 if self.fill == "road" else self.steps


def make_fill(image: Float32, removal: Removal, index: int) -> Fill:
    """Return what removes pixels from one image.

    Args:
        image: float32 ``(H, W)`` or ``(C, H, W)``.
        removal: How.
        index: Number of the image, from which the noise of imputed pixels follows.

    Raises:
        ShapeError: There is not one black a channel.
    """
    if removal.fill == "road":
        return _imputing(image, removal, index)
    reference = _reference(image, removal)

    def fill(removed: Bool, row: Float32) -> None:
        row[...] = image
        np.copyto(row, reference, where=removed)

    return fill


def _reference(image: Float32, removal: Removal) -> Float32:
    if removal.fill == "mean":
        mean = image.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
        return np.asarray(mean, np.float32)
    if removal.fill == "blur":
        width = removal.blur * min(image.shape[-2:])
        sigma = (0,) * (image.ndim - 2) + (width, width)
        blurred = ndimage.gaussian_filter(image, sigma, mode="nearest")
        return np.asarray(np.clip(blurred, image.min(), image.max()), np.float32)
    black = np.asarray(removal.black, np.float32)
    if black.ndim and (image.ndim != 3 or black.shape != image.shape[:1]):
        raise ShapeError(
            f"there are {black.size} values of black for images {image.shape}; "
            "give one number, or one a channel"
        )
    return black.reshape(-1, 1, 1) if black.ndim else black


def _imputing(image: Float32, removal: Removal, index: int) -> Fill:
    rng = np.random.default_rng([removal.seed, index, 1])
    scale = removal.noise * float(image.std(dtype=np.float64))
    noise = np.float32(scale) * rng.standard_normal(image.shape, np.float32)
    low, high = image.min(), image.max()

    def fill(removed: Bool, row: Float32) -> None:
        row[...] = impute(image, removed, tolerance=_TOLERANCE)
        np.add(row, noise, out=row, where=removed)
        np.clip(row, low, high, out=row)

    return fill
