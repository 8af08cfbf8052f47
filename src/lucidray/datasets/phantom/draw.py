"""Tubes and textures: the small things that are drawn into an optical-depth map.

A tube is drawn by laying sample points over it and summing the material that each stands for, as
a projection does; a tube that runs along the beam so gathers more material in fewer pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lucidray.datasets.phantom.frame import Frame, enlarge
from lucidray.records import Float32

Random = np.random.Generator


@dataclass(frozen=True)
class Samples:
    """Points on the detector, each standing for some material.

    Args:
        columns: float32 ``(n,)``, pixels.
        rows: float32 ``(n,)``, pixels.
        mass: float32 ``(n,)``, optical depth times pixels.
    """

    columns: Float32
    rows: Float32
    mass: Float32


def join(parts: list[Samples]) -> Samples:
    """Put several sets of points together."""
    return Samples(
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.mass for part in parts]),
    )


def deposit(samples: Samples, size: int) -> Float32:
    """Sum points into a map, each shared among the four nearest pixels.

    Returns:
        float32 ``(size, size)``.
    """
    total = np.zeros(size * size, np.float32)
    for start in range(0, samples.mass.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        column = samples.columns[part] - np.float32(0.5)
        row = samples.rows[part] - np.float32(0.5)
        mass = samples.mass[part]
        inside = (column >= 0) & (row >= 0) & (column < size - 1) & (row < size - 1)
        if not inside.all():
            column, row, mass = column[inside], row[inside], mass[inside]
        _share_out(total, column, row, mass, size)
    return total.reshape(size, size)


_CHUNK = 16384  # points at a time, so that all stays in the processor's cache


def _share_out(total: Float32, column: Float32, row: Float32, mass: Float32, size: int) -> None:
    left, place = column.astype(np.intp), row.astype(np.intp)
    column -= left
    row -= place
    place *= size
    place += left
    lower = mass * row
    upper = mass - lower
    lower_right, upper_right = lower * column, upper * column
    np.add.at(total, place, upper - upper_right)
    place += 1
    np.add.at(total, place, upper_right)
    place += size
    np.add.at(total, place, lower_right)
    place -= 1
    np.add.at(total, place, lower - lower_right)


def tubes(
    frame: Frame,
    line: tuple[Float32, Float32, Float32],
    half_width: Float32,
    profile: Float32,
    strength: Float32 | float = 1.0,
) -> Samples:
    """Lay sample points over tubes.

    Args:
        frame: The exposure.
        line: ``x, y, z`` of center lines in body centimeters, each ``(..., n)``: any number of
            lines of ``n`` points.
        half_width: Half of the width seen on the detector in centimeters, ``(..., n)``.
        profile: Optical depth at evenly spaced offsets across the tube, ``(k,)`` or
            ``(..., n, k)``.
        strength: Factor along the line, ``(..., n)``.
    """
    x, y, z = line
    columns, rows = frame.project(x, y, z)
    along_c, along_r = _slope(columns), _slope(rows)
    along_z = _slope(np.broadcast_to(np.asarray(z, np.float32), x.shape)) * frame.per_cm
    flat = np.sqrt(along_c * along_c + along_r * along_r) + np.float32(1e-6)
    length = np.sqrt(flat * flat + along_z * along_z)
    length = np.minimum(length, np.float32(2.3) * flat)
    count = profile.shape[-1]
    offsets = ((np.arange(count, dtype=np.float32) + 0.5) / count * 2 - 1).astype(np.float32)
    wide = half_width * np.float32(frame.per_cm)
    away_c, away_r = -along_r / flat * wide, along_c / flat * wide
    mass = (strength * length * wide * np.float32(2.0 / count))[..., None] * profile
    return Samples(
        (columns[..., None] + away_c[..., None] * offsets).ravel(),
        (rows[..., None] + away_r[..., None] * offsets).ravel(),
        mass.astype(np.float32, copy=False).ravel(),
    )


def _slope(values: npt.NDArray[np.float32]) -> Float32:
    slope = np.empty(values.shape, np.float32)
    slope[..., 1:-1] = (values[..., 2:] - values[..., :-2]) * np.float32(0.5)
    slope[..., 0] = values[..., 1] - values[..., 0]
    slope[..., -1] = values[..., -1] - values[..., -2]
    return slope


def steps(length_cm: float, frame: Frame, pixels: float = 1.0) -> int:
    """Return how many samples a length needs, one every ``pixels``."""
    return max(2, round(length_cm * frame.per_cm / pixels))


def rod(count: int) -> Float32:
    """Return the chord of a full round rod across its width, 1 in the middle."""
    offsets = (np.arange(count, dtype=np.float32) + 0.5) / count * 2 - 1
    return np.sqrt(1 - offsets * offsets).astype(np.float32)


def shell(count: int, half_width: float, half_depth: float, wall: float) -> tuple[Float32, Float32]:
    """Return the chords through the wall and the inside of a flattened hollow tube.

    Args:
        count: Samples across.
        half_width: Half width on the detector, cm.
        half_depth: Half depth along the beam, cm.
        wall: Thickness of the wall, cm.

    Returns:
        Path through the wall and through the inside, each ``(count,)``, cm.
    """
    offsets = (np.arange(count, dtype=np.float32) + 0.5) / count * 2 - 1
    outer = 2 * half_depth * np.sqrt(1 - offsets * offsets)
    inner = np.clip(1 - (offsets * (half_width / max(half_width - wall, 1e-3))) ** 2, 0, None)
    hollow = (2 * max(half_depth - wall, 0.0) * np.sqrt(inner)).astype(np.float32)
    return (outer - hollow).astype(np.float32), hollow


def texture(rng: Random, shape: tuple[int, ...], cells: float) -> Float32:
    """Return a smooth random field of mean 0 and deviation about 1.

    Args:
        rng: Source of chance.
        shape: ``(H, W)``.
        cells: Number of grains along the longer side.
    """
    shape = (shape[0], shape[1])
    longer = max(shape)
    low = (max(2, round(shape[0] / longer * cells)), max(2, round(shape[1] / longer * cells)))
    noise = rng.standard_normal((low[0] + 2, low[1] + 2), dtype=np.float32)
    soft = noise[1:-1, 1:-1] + np.float32(0.5) * (
        noise[:-2, 1:-1] + noise[2:, 1:-1] + noise[1:-1, :-2] + noise[1:-1, 2:]
    )
    return enlarge(soft * np.float32(1 / np.sqrt(2)), shape)


def blur(values: Float32, sigma: float) -> Float32:
    """Blur a small field."""
    return np.asarray(ndimage.gaussian_filter(values, sigma, mode="nearest"), np.float32)


def curve_through(points: npt.ArrayLike, count: int) -> Float32:
    """Return ``count`` points evenly along a smooth curve through ``points`` ``(k, d)``.

    Returns:
        float32 ``(d, count)``.
    """
    given = np.asarray(points, np.float64)
    k = len(given)
    at = np.linspace(0, k - 1, count)
    padded = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    left = np.clip(at.astype(int), 0, k - 2)
    t = (at - left)[:, None]
    p0, p1, p2, p3 = (padded[left + i] for i in range(4))
    spline = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t * t
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    points_along: Float32 = spline.T.astype(np.float32)
    return points_along
