"""In which order a map removes pixels: one sort a map, steps of equal size, ties without a place.

A map of a few cells is ordered on the pixels of the image after bilinear upsampling (``"pixels"``,
as RISE and ROAD do), or cell by cell (``"cells"``), so that nothing between its cells is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.images.geometry import heatmap_to_source, scaling
from lucidray.records import Float32, Float64

#: What is ordered: the pixels of the image, or the cells of the map.
Units = Literal["pixels", "cells"]
#: Why a map has an order, or none.
OrderStatus = Literal["ok", "no_order", "not_finite"]

Steps = npt.NDArray[np.uint16]
_MOST_STEPS = 2**15


@dataclass(frozen=True)
class RemovalOrder:
    """In which step each pixel goes.

    Args:
        most_first: uint16 ``(H, W)``: the pixel is gone after step ``k`` where its number is below
            ``k``; the highest values go first.
        least_first: The same, the lowest values first.
    """

    most_first: Steps
    least_first: Steps


def order_status(values: npt.NDArray[np.floating[Any]]) -> OrderStatus:
    """Say whether a map ``(h, w)`` has an order: not where it is constant or not finite."""
    if not np.isfinite(values).all():
        return "not_finite"
    return "ok" if values.max() > values.min() else "no_order"


def removed_fractions(units: int, steps: int) -> Float64:
    """Return which share of the units is gone after each step, ``(steps + 1,)`` from 0 to 1.

    >>> removed_fractions(49, 4).round(3)
    array([0.   , 0.265, 0.51 , 0.755, 1.   ])
    """
    return -(-np.arange(steps + 1) * units // steps) / units


def removal_order(
    values: npt.NDArray[np.floating[Any]],
    shape: tuple[int, int],
    steps: int,
    *,
    units: Units = "pixels",
    seed: int = 0,
) -> RemovalOrder:
    """Order the pixels of an image by a map, and cut the order into steps of equal size.

    Args:
        values: ``(h, w)``, finite, raw and signed; spans the whole image.
        shape: ``(H, W)`` of the image.
        steps: Number of steps until all is gone.
        units: ``"pixels"``: the map is upsampled bilinearly and pixels are ordered; ``"cells"``:
            its cells are ordered, and a pixel goes with the cell that its center lies in.
        seed: Ties are broken by a random permutation of the units, the same for every map of that
            size, so that a tie favors no side of the image and each call gives the same answer.

    Raises:
        ShapeError: The map is not ``(h, w)``, or has more cells a side than the image pixels.
        MetricError: The number of steps or the units are out of range.
    """
    _check(values, shape, steps, units)
    if units == "cells":
        of_cell = _steps_of(np.asarray(values, np.float32), steps, seed)
        rows, columns = (_cell_of(n, m) for n, m in zip(shape, values.shape, strict=True))
        return RemovalOrder(*(np.ascontiguousarray(s[rows][:, columns]) for s in of_cell))
    fine = np.asarray(values, np.float32)
    if fine.shape != shape:
        fine = heatmap_to_source(fine, scaling(shape, fine.shape))
    return RemovalOrder(*_steps_of(fine, steps, seed))


def units_of(map_shape: tuple[int, ...], shape: tuple[int, ...], units: Units) -> int:
    """Return how many units are ordered."""
    rows, columns = (map_shape if units == "cells" else shape)[-2:]
    return rows * columns


def _steps_of(values: Float32, steps: int, seed: int) -> tuple[Steps, Steps]:
    """Sort once: value in the upper half of a 64-bit key, place in the tie order in the lower."""
    count = values.size
    shuffled = np.random.default_rng(seed).permutation(count)
    bits = (np.ascontiguousarray(values).ravel()[shuffled] + np.float32(0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    keys = np.sort((~rising).astype(np.uint64) << np.uint64(32) | np.arange(count, dtype=np.uint64))
    order = shuffled[(keys & np.uint64(2**32 - 1)).astype(np.intp)]
    numbers = np.arange(count) * steps // count
    most, least = np.empty(count, np.uint16), np.empty(count, np.uint16)
    most[order] = numbers
    least[order[::-1]] = numbers
    return most.reshape(values.shape), least.reshape(values.shape)


def _cell_of(pixels: int, cells: int) -> npt.NDArray[np.intp]:
    return ((2 * np.arange(pixels) + 1) * cells // (2 * pixels)).astype(np.intp)


def _check(
    values: npt.NDArray[np.floating[Any]], shape: tuple[int, int], steps: int, units: str
) -> None:
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"the map is {values.shape}; expected (h, w)")
    if values.shape[0] > shape[0] or values.shape[1] > shape[1]:
        raise ShapeError(
            f"the map is {values.shape} but the image {shape}; resample the map to the image first"
        )
    if units not in ("pixels", "cells"):
        raise MetricError(f"units are '{units}'; choose 'pixels' or 'cells'")
    if not 1 <= steps <= _MOST_STEPS:
        raise MetricError(f"there are {steps} steps; expected 1 to {_MOST_STEPS}")
