"""Gaze as maps and as points: densities from fixations, and heat maps paired with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.localization_batch import Count, Floating, as_maps, blocks
from lucidray.records import Bool, Float64


@dataclass(frozen=True)
class GazeBatch:
    """Heat maps of one size with where people looked.

    Args:
        maps: float64 ``(B, P)``, P = H x W, finite; maps that were not are all zero.
        gaze: float64 ``(B, P)``, not negative; None: not needed.
        points: Pixels that were fixated, each once, for each image; None: not needed.
        others: Pixels fixated on the images of other patients, with repeats, for each image.
        finite: bool ``(B,)``: whether the map came finite.
    """

    maps: Float64
    gaze: Float64 | None
    points: Sequence[Count] | None
    others: Sequence[Count] | None
    finite: Bool

    @cached_property
    def truth(self) -> Float64:
        """The gaze as densities that sum to 1 ``(B, P)``; nan where nobody looked."""
        return density(np.empty((0, 0)) if self.gaze is None else self.gaze)

    @cached_property
    def prediction(self) -> Float64:
        """The heat as densities that sum to 1 ``(B, P)``; nan without positive evidence."""
        return density(np.maximum(self.maps, 0))


#: A measure of a batch: one value ``(B,)`` an image.
GazeWork: TypeAlias = Callable[[GazeBatch], Float64]


def density(values: Float64) -> Float64:
    """Divide rows ``(B, P)`` that are not negative by their sum; nan where that is 0."""
    total = values.sum(axis=-1, keepdims=True)
    shares = np.full(values.shape, np.nan)
    return np.asarray(np.divide(values, total, out=shares, where=total > 0))


def sigma_pixels(
    degrees: float = 1.0, *, distance_mm: float, pixel_mm: float, scale: float = 1.0
) -> float:
    """Return how many image pixels a visual angle spans.

    Args:
        degrees: The angle, usually 1, about the fovea.
        distance_mm: From the eye to the screen.
        pixel_mm: Size of a pixel of the screen.
        scale: Image pixels for each screen pixel: above 1 where the image was shown shrunk.

    Returns:
        The span in image pixels.

    Raises:
        MetricError: A length is not positive, or the angle not in (0, 180).

    Source: Le Meur & Baccino, Behavior Research Methods 45:251 (2013): one degree as the standard
        deviation.

    >>> round(sigma_pixels(1.0, distance_mm=650, pixel_mm=0.25), 2)
    45.38
    """
    if not (0 < degrees < 180 and distance_mm > 0 and pixel_mm > 0 and scale > 0):
        raise MetricError(
            f"angle {degrees}, distance {distance_mm} mm, pixel {pixel_mm} mm, scale {scale}; "
            "all must be positive and the angle below 180 degrees"
        )
    return 2 * distance_mm * math.tan(math.radians(degrees) / 2) / pixel_mm * scale


def fixation_map(
    fixations: npt.ArrayLike,
    shape: tuple[int, int],
    *,
    sigma_px: float | tuple[float, float],
    durations: npt.ArrayLike | None = None,
) -> Float64:
    """Return the density of gaze: a Gaussian on each fixation, as heavy as it was long.

    Args:
        fixations: ``(n, 2)``: x and y in pixels, edge coordinates; those outside still reach in.
        shape: ``(H, W)``.
        sigma_px: Standard deviation in pixels, or that of y and of x; from `sigma_pixels`.
        durations: ``(n,)`` in any unit, not negative; None: all alike.

    Returns:
        float64 ``(H, W)`` with sum 1; all 0 where nobody looked.

    Raises:
        ShapeError: Fixations are not ``(n, 2)``, or durations not one each.
        MetricError: A number is not finite or negative, or sigma not positive.

    Source: Karargyris et al., Scientific Data 8:92 (2021). The Gaussians are evaluated at pixel
        centers, not cut off, and not moved to whole pixels.
    """
    points = as_points(fixations)
    weights = np.ones(len(points)) if durations is None else np.asarray(durations, np.float64)
    if weights.shape != (len(points),):
        raise ShapeError(f"{len(points)} fixations but durations {weights.shape}; one each")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise MetricError("a duration is nan, infinite or negative")
    spread = np.broadcast_to(np.asarray(sigma_px, np.float64), (2,))
    if not (spread > 0).all():
        raise MetricError(f"sigma_px is {sigma_px}; expected a positive number of pixels")
    rows = _bells(shape[0], points[:, 1], spread[0])
    columns = _bells(shape[1], points[:, 0], spread[1])
    laid = (rows * weights) @ columns.T
    total = laid.sum()
    return np.asarray(laid / total if total > 0 else np.zeros(shape))


def _bells(size: int, centers: Float64, sigma: float) -> Float64:
    """Return ``(size, n)``: each center's Gaussian at the pixel centers."""
    return np.exp(-0.5 * ((np.arange(size)[:, None] + 0.5 - centers) / sigma) ** 2)


def as_points(fixations: npt.ArrayLike) -> Float64:
    """Return fixations as float64 ``(n, 2)``.

    Raises:
        ShapeError: They are not ``(n, 2)``.
        MetricError: A coordinate is not finite.
    """
    points = np.asarray(fixations, dtype=np.float64)
    points = points.reshape(0, 2) if not points.size else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"fixations are {points.shape}; expected (n, 2): x and y in pixels")
    if not np.isfinite(points).all():
        raise MetricError("a fixation has a nan or infinite coordinate; leave it out")
    return points


def pixels_of(points: Float64, shape: tuple[int, int]) -> Count:
    """Return the pixels under points, by number in reading order, each once; none outside."""
    column, row = np.floor(points).astype(np.intp).T
    inside = (column >= 0) & (row >= 0) & (row < shape[0]) & (column < shape[1])
    return np.unique(row[inside] * shape[1] + column[inside])


def others_pixels(
    points: Sequence[Float64],
    shapes: Sequence[tuple[int, int]],
    cluster: npt.NDArray[np.int64],
) -> Callable[[int], Count]:
    """Return a function from an image to the pixels that other patients' images were fixated at.

    Args:
        points: ``(n, 2)`` of each image, in its own pixels.
        shapes: ``(H, W)`` of each; points are carried over by their share of the sides.
        cluster: int ``(N,)``, the patient of each.
    """
    pairs = list(zip(points, shapes, strict=True))
    held = [np.unique(np.floor(p), axis=0) for p, _ in pairs]
    shares = [(p + 0.5) / (w, h) for p, (_, (h, w)) in zip(held, pairs, strict=True)]
    every = np.concatenate([np.empty((0, 2)), *shares])
    owner = np.repeat(cluster, [len(p) for p in held])
    every_inside = ((every >= 0) & (every < 1)).all(axis=1)
    every, owner = every[every_inside], owner[every_inside]

    def others(image: int) -> Count:
        height, width = shapes[image]
        x, y = (every[owner != cluster[image]] * (width, height)).astype(np.intp).T
        return np.asarray(y * width + x, dtype=np.intp)

    return others


def make_gaze_batch(
    maps: Floating,
    gaze: npt.ArrayLike | None,
    points: Sequence[Count] | None = None,
    others: Sequence[Count] | None = None,
) -> GazeBatch:
    """Check maps ``(B, H, W)`` and gaze of the same shape.

    Raises:
        ShapeError: The shapes differ.
        MetricError: The gaze is negative or not finite.
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    finite = np.asarray(np.isfinite(flat).all(axis=1))
    flat[~finite] = 0
    truth = None
    if gaze is not None:
        truth = np.asarray(gaze, dtype=np.float64)
        if truth.shape != maps.shape:
            raise ShapeError(f"maps are {maps.shape} but gaze {truth.shape}; expected the same")
        if not (np.isfinite(truth) & (truth >= 0)).all():
            raise MetricError("gaze is negative, nan or infinite somewhere; expected a density")
        truth = truth.reshape(flat.shape)
    return GazeBatch(flat, truth, points, others, finite)


def measure_pairs(work: GazeWork, maps: npt.ArrayLike, gaze: npt.ArrayLike) -> Float64:
    """Measure maps ``(..., H, W)`` against gaze of the same shape, a block at a time."""
    values, truth = as_maps(maps), np.asarray(gaze)
    if values.ndim < 2 or values.shape != truth.shape:
        raise ShapeError(f"maps are {values.shape} but gaze {truth.shape}; expected the same")
    size = values.shape[-2:]
    rows, seen = values.reshape(-1, *size), truth.reshape(-1, *size)
    parts = [
        finished(work, make_gaze_batch(rows[part], seen[part]))
        for part in blocks(len(rows), math.prod(size))
    ]
    return np.concatenate([np.empty(0), *parts]).reshape(values.shape[:-2])


def measure_points(
    work: GazeWork, maps: npt.ArrayLike, points: Sequence[npt.ArrayLike], others: Any = None
) -> Float64:
    """Measure maps ``(N, H, W)`` at fixated pixels.

    Raises:
        ShapeError: Maps are not ``(N, H, W)``, or there is not one list of fixations an image.
    """
    values = as_maps(maps)
    if values.ndim != 3 or len(values) != len(points):
        raise ShapeError(
            f"maps are {values.shape} and there are {len(points)} lists of fixations; "
            "expected (N, H, W) and N lists"
        )
    shape = (values.shape[1], values.shape[2])
    hit = [pixels_of(as_points(each), shape) for each in points]
    return finished(work, make_gaze_batch(values, None, hit, others))


def finished(work: GazeWork, batch: GazeBatch) -> Float64:
    """Measure a batch; nan where the map is not finite."""
    return np.where(batch.finite, np.asarray(work(batch), dtype=np.float64), np.nan)
