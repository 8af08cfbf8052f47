"""Does a map move with the image? Small turns and shifts, undone before maps are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.images.geometry import compose, heatmap_to_source, identity, invert
from lucidray.metrics.agreement import agreement_table
from lucidray.metrics.localization_table import MapTable
from lucidray.metrics.resampling import Progress
from lucidray.metrics.robustness import Explain, mean_known, with_chance, worst_states
from lucidray.records import Bool, Float32, Geometry


def augmentations(
    shape: tuple[int, int],
    count: int = 4,
    *,
    degrees: float = 5.0,
    shift: float = 0.03,
    scale: float = 0.05,
    flip: bool = False,
    seed: int = 0,
) -> tuple[Geometry, ...]:
    """Draw small changes of position that do not change what an image shows.

    Args:
        shape: ``(H, W)`` of the image, before and after.
        count: How many.
        degrees: Largest turn about the middle, either way.
        shift: Largest shift as a share of each side.
        scale: Largest change of size as a share.
        flip: Whether half of them are mirrored; the heart then lies on the right, which a model may
            rightly notice.
        seed: Same seed, same changes.

    Returns:
        The geometry from the image to each changed one.

    Raises:
        MetricError: A size is negative, or a scale of 1 and more.
    """
    if min(degrees, shift, scale) < 0 or scale >= 1 or count < 1:
        raise MetricError(
            f"{count} changes of {degrees} degrees, shift {shift}, scale {scale}; expected at "
            "least one, nothing negative, and a scale below 1"
        )
    rng = np.random.default_rng(seed)
    height, width = shape
    to_middle = _affine(shape, 1, 0, -width / 2, 0, 1, -height / 2)
    found = []
    for number in range(count):
        turn, size = math.radians(rng.uniform(-degrees, degrees)), 1 + rng.uniform(-scale, scale)
        x, y = rng.uniform(-shift, shift, 2) * (width, height)
        mirror = -1.0 if flip and number % 2 else 1.0
        a, b = size * math.cos(turn), size * math.sin(turn)
        turned = _affine(shape, mirror * a, -b, 0, mirror * b, a, 0)
        back = _affine(shape, 1, 0, width / 2 + x, 0, 1, height / 2 + y)
        found.append(compose(compose(to_middle, turned), back))
    return tuple(found)


def _affine(shape: tuple[int, int], *values: float) -> Geometry:
    a, b, c, d, e, f = (float(value) for value in values)
    return Geometry(((a, b, c), (d, e, f)), shape, shape)


def move_image(image: Float32, geometry: Geometry, *, outside: float = 0.0) -> Float32:
    """Return an image moved by a geometry, bilinearly.

    Args:
        image: float32 ``(H, W)`` or ``(C, H, W)``.
        geometry: From the image to the moved one.
        outside: What comes in from beyond the border.
    """
    way = invert(geometry)
    planes = image.reshape(-1, *image.shape[-2:])
    moved = np.stack([heatmap_to_source(plane, way, outside=outside) for plane in planes])
    low, high = min(float(image.min()), outside), max(float(image.max()), outside)
    return np.clip(moved, low, high).reshape(*image.shape[:-2], *moved.shape[1:])


def augmented_maps(
    explain: Explain,
    image: npt.ArrayLike,
    geometries: Sequence[Geometry],
    *,
    outside: float = 0.0,
) -> Float32:
    """Explain an image and its moved copies, and bring all maps back onto the image.

    Args:
        explain: Images to raw maps ``(B, T, h, w)``.
        image: float32 ``(H, W)`` or ``(C, H, W)``, as `explain` takes it.
        geometries: From the image to each moved copy.
        outside: What comes in from beyond the border, in the image's unit.

    Returns:
        float32 ``(1 + A, T, H, W)``, the unmoved image's map first; nan where a copy does not show
        the image.

    Raises:
        ShapeError: The image or the maps have another shape.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.ndim not in (2, 3):
        raise ShapeError(f"the image is {pixels.shape}; expected (H, W) or (C, H, W)")
    shape = (pixels.shape[-2], pixels.shape[-1])
    ways = [identity(shape), *geometries]
    batch = np.stack([move_image(pixels, way, outside=outside) for way in ways])
    maps = np.asarray(explain(batch), np.float32)
    if maps.ndim != 4 or len(maps) != len(ways):
        raise ShapeError(f"explaining {len(ways)} images gave {maps.shape}; expected (B, T, h, w)")
    return np.stack(
        [
            np.stack([_back(values, way) for values in stack])
            for stack, way in zip(maps, ways, strict=True)
        ]
    )


def _back(values: Float32, way: Geometry) -> Float32:
    if not np.isfinite(values).all():
        return np.full(way.source_shape, np.nan, np.float32)
    return heatmap_to_source(values, way, outside=float("nan"))


def measure_augmentation(
    explain: Explain,
    images: Sequence[npt.ArrayLike],
    geometries: Sequence[Geometry],
    *,
    outside: float = 0.0,
    groups: npt.ArrayLike | None = None,
    only: Sequence[str] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> tuple[MapTable, ...]:
    """Measure how alike maps stay when the image moves a little.

    Args:
        explain: Images to raw maps ``(B, T, h, w)``.
        images: float32 ``(H, W)`` or ``(C, H, W)`` of each image, all of one size.
        geometries: From each image to its moved copies, for example `augmentations`.
        outside: What comes in from beyond the border, in the images' unit.
        groups: ``(N,)`` patient of each image; None: each its own.
        only: Measures of pairs of maps wanted; None: all.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage.
        progress: Called with images done and in all.

    Returns:
        One table for each of the T maps: the mean similarity of the map to those of the moved
        copies, brought back and compared on the window that all show; beside the baseline
        ``"others"``, maps of moved copies of another patient.

    Raises:
        MetricError: There is nothing to compare, or the copies share no window of 11 pixels.
        ShapeError: The images differ in size.
    """
    if not len(images) or not len(geometries):
        raise MetricError(f"{len(images)} images and {len(geometries)} moves; give at least one")
    rows, columns = common_window(geometries)
    parts: list[Float32] = []
    for number, image in enumerate(images):
        found = augmented_maps(explain, image, geometries, outside=outside)
        if parts and parts[0].shape[-2:] != found[..., rows, columns].shape[-2:]:
            raise ShapeError("the images differ in size; bring them to one size first")
        parts.append(found[..., rows, columns])
        if progress is not None:
            progress(number + 1, len(images))
    stack = np.stack(parts)
    resampling = {"groups": groups, "n_boot": n_boot, "seed": seed, "level": level}
    return tuple(_moved(stack[:, :, t], only, resampling) for t in range(stack.shape[2]))


def _moved(stack: Float32, only: Sequence[str] | None, resampling: Mapping[str, Any]) -> MapTable:
    """Compare the still maps ``[:, 0]`` of ``(N, 1 + A, H, W)`` with each of the moved ones."""
    groups, seed = resampling["groups"], resampling["seed"]
    pairs: list[MapTable] = []
    for move in range(1, stack.shape[1]):
        both = {"still": stack[:, 0], "moved": stack[:, move]}
        pairs += agreement_table(both, groups=groups, only=only, n_boot=0, seed=seed).values()
    names = list(pairs[0].values)
    return with_chance(
        {name: mean_known([pair.values[name] for pair in pairs]) for name in names},
        {name: mean_known([pair.baselines["others"][name] for pair in pairs]) for name in names},
        worst_states([pair.status for pair in pairs]),
        resampling,
    )


def common_window(geometries: Sequence[Geometry]) -> tuple[slice, slice]:
    """Return the largest window, shrunk alike from all sides, that every moved copy shows.

    Returns:
        Slices of rows and columns.

    Raises:
        MetricError: There is none of 11 pixels a side.
        ShapeError: The geometries start from images of different sizes.
    """
    shapes = {geometry.source_shape for geometry in geometries}
    if len(shapes) != 1:
        raise ShapeError(f"the moves start from images of {sorted(shapes)}; expected one size")
    height, width = shapes.pop()
    visible = np.logical_and.reduce([_shown(geometry) for geometry in geometries])
    for step in range(200):
        top, left = height * step // 400, width * step // 400
        rows, columns = slice(top, height - top), slice(left, width - left)
        if min(height - 2 * top, width - 2 * left) < 11:
            break
        if visible[rows, columns].all():
            return rows, columns
    raise MetricError("the moved copies share too little of the image; move it less")


def _shown(geometry: Geometry) -> Bool:
    ones = np.ones((1, 1), np.float32)
    return np.isfinite(heatmap_to_source(ones, geometry, outside=float("nan")))
