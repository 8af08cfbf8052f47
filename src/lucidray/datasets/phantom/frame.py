"""Where the phantom's body lies on its image: centimeters in the body, pixels on the detector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.records import Float32

#: A rectangle of pixels.
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Frame:
    """One exposure's geometry.

    Body coordinates are centimeters of a grown man (a child is the same body, shrunk as a whole):
    ``x`` from the midline to the patient's left, which is the right of the image, ``y`` down from
    the lung apices, ``z`` from the mid-depth of the chest to the front.

    Args:
        size: Side of the square image in pixels.
        field_cm: What the side covers.
        top_cm: Distance from the top of the image to the lung apices.
        shift_cm: Displacement of the midline to the right of the image.
        angle: Rotation of the body in the image plane, radians.
        turn: Rotation about the long axis, radians: the front moves to the right of the image.
        tilt: Caudal angulation, radians: the front moves up.
    """

    size: int
    field_cm: float
    top_cm: float = 4.0
    shift_cm: float = 0.0
    angle: float = 0.0
    turn: float = 0.0
    tilt: float = 0.0

    @property
    def per_cm(self) -> float:
        """Pixels per body centimeter."""
        return self.size / self.field_cm

    def grid(self, size: int | None = None) -> tuple[Float32, Float32]:
        """Return the body coordinates of pixel centers, each float32 ``(size, size)``."""
        u, v = _centers(size or self.size)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        across = u * np.float32(self.field_cm) - np.float32(self.field_cm / 2 + self.shift_cm)
        down = v * np.float32(self.field_cm) - np.float32(self.top_cm + _PIVOT_CM)
        x = across * cos + down * sin
        y = down * cos - across * sin
        y += np.float32(_PIVOT_CM)
        return x, y

    def project(
        self, x: Float32 | np.float32, y: Float32 | np.float32, z: Float32 | float
    ) -> tuple[Float32, Float32]:
        """Project body points onto the detector.

        Returns:
            Column and row in pixels, edges at whole numbers.
        """
        x = x + np.float32(np.sin(self.turn)) * z
        y = y - np.float32(np.sin(self.tilt)) * z - np.float32(_PIVOT_CM)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        across = x * cos - y * sin + np.float32(self.field_cm / 2 + self.shift_cm)
        down = x * sin + y * cos + np.float32(self.top_cm + _PIVOT_CM)
        scale = np.float32(self.per_cm)
        return np.asarray(across * scale), np.asarray(down * scale)

    def window(self, x_min: float, x_max: float, y_min: float, y_max: float) -> Window:
        """Return the pixels that hold a body rectangle, at least one pixel."""
        corners_x = np.array([x_min, x_max, x_min, x_max], np.float32)
        corners_y = np.array([y_min, y_min, y_max, y_max], np.float32)
        flat = Frame(self.size, self.field_cm, self.top_cm, self.shift_cm, self.angle)
        columns, rows = flat.project(corners_x, corners_y, 0.0)
        return _span(rows, self.size), _span(columns, self.size)


_PIVOT_CM = 14.0  # the body turns about a point this far below the apices


def _span(values: Float32, size: int) -> slice:
    start = int(np.clip(np.floor(values.min()), 0, size - 1))
    return slice(start, int(np.clip(np.ceil(values.max()) + 1, start + 1, size)))


@lru_cache(maxsize=8)
def _centers(size: int) -> tuple[Float32, Float32]:
    centers = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return centers[None, :], centers[:, None]


def enlarge(low: npt.NDArray[np.float32], shape: tuple[int, int]) -> Float32:
    """Interpolate a small smooth field to a larger shape, linearly.

    Args:
        low: float32 ``(h, w)``.
        shape: ``(H, W)`` wanted.

    Returns:
        float32 ``(H, W)``, the borders held constant.
    """
    before, after, weight = _taps(low.shape[0], shape[0])
    rows = low[before] + (low[after] - low[before]) * weight[:, None]
    before, after, weight = _taps(low.shape[1], shape[1])
    # np.take, as rows[:, before] would lie in memory column by column and slow all that follows.
    left = np.take(rows, before, axis=1)
    left += (np.take(rows, after, axis=1) - left) * weight
    return left


@lru_cache(maxsize=256)
def _taps(low: int, high: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Float32]:
    place = np.clip((np.arange(high) + 0.5) * low / high - 0.5, 0, low - 1)
    before = np.floor(place).astype(np.intp)
    after = np.minimum(before + 1, low - 1)
    return before, after, (place - before).astype(np.float32)


def shrink(values: Float32, size: int) -> Float32:
    """Average a square field down to ``(size, size)``, which must divide it."""
    step = values.shape[0] // size
    rows = values.reshape(size, step, size * step).mean(axis=1, dtype=np.float32)
    return np.asarray(rows.reshape(size, size, step).mean(axis=2, dtype=np.float32))


class Curve:
    """A function of one coordinate, tabulated so that a whole image looks it up quickly."""

    def __init__(self, at: npt.ArrayLike, values: npt.ArrayLike) -> None:
        knots = np.asarray(at, np.float64)
        fine = np.linspace(_FIRST, _LAST, _ENTRIES)
        self.table = smooth(knots, np.asarray(values, np.float64), fine).astype(np.float32)

    def __call__(self, places: Float32) -> Float32:
        """Return the values at ``places`` (any shape, centimeters)."""
        found: Float32 = self.table[index(places)]
        return found


_FIRST, _LAST, _ENTRIES = -16.0, 48.0, 3201


def index(places: Float32) -> npt.NDArray[np.intp]:
    """Return the table places of coordinates, to be shared among several curves."""
    scale = np.float32((_ENTRIES - 1) / (_LAST - _FIRST))
    steps = (places - np.float32(_FIRST)) * scale
    return np.clip(steps, 0, _ENTRIES - 1, out=steps).astype(np.intp)


def smooth(
    knots: npt.NDArray[np.float64], values: npt.NDArray[np.float64], at: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Interpolate without overshoot between knots (limited Catmull-Rom slopes); flat outside."""
    step = np.diff(knots)
    slope = np.diff(values) / step
    tangent = np.zeros_like(values)
    flat = slope[:-1] * slope[1:] <= 0
    mean = (slope[:-1] * step[1:] + slope[1:] * step[:-1]) / (step[:-1] + step[1:])
    limit = 3 * np.minimum(np.abs(slope[:-1]), np.abs(slope[1:]))
    tangent[1:-1] = np.where(flat, 0.0, np.sign(mean) * np.minimum(np.abs(mean), limit))
    at = np.clip(at, knots[0], knots[-1])
    left = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(step) - 1)
    h, t = step[left], (at - knots[left]) / step[left]
    first = values[left] * (1 + 2 * t) * (1 - t) ** 2 + values[left + 1] * t * t * (3 - 2 * t)
    return first + h * (tangent[left] * t * (1 - t) ** 2 - tangent[left + 1] * t * t * (1 - t))


def ramp(values: npt.NDArray[np.floating[Any]], start: float, end: float) -> Float32:
    """Rise smoothly from 0 at ``start`` to 1 at ``end`` (which may be the smaller)."""
    t = np.asarray(values - np.float32(start), np.float32) * np.float32(1.0 / (end - start))
    np.clip(t, 0, 1, out=t)
    risen: Float32 = t * t * (3 - 2 * t)
    return risen
