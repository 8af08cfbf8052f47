"""Connected components of masks: their labels, boxes, the largest, and holes.

A mask is a list of runs, one for each stretch of a row that it covers. Runs of neighboring rows
that touch are joined, all rows at once; so the cost follows the runs, not the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lucidray.errors import ConfigError, ShapeError
from lucidray.records import Bool

Labels = npt.NDArray[np.int32]
PixelBox = tuple[int, int, int, int]
_Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Runs:
    """Stretches ``[start, end)`` of rows, in reading order, and the component that each is in."""

    row: _Index
    start: _Index
    end: _Index
    label: _Index
    count: int

    @property
    def areas(self) -> _Index:
        """Pixels of each component."""
        area = np.bincount(self.label, weights=self.end - self.start, minlength=self.count)
        return area.astype(np.intp)


def label_components(mask: Bool, *, connectivity: Literal[1, 2] = 2) -> tuple[Labels, int]:
    """Number the connected components of a mask.

    Args:
        mask: bool ``(H, W)``.
        connectivity: 1: pixels that share an edge touch; 2: also those that share a corner.

    Returns:
        int32 ``(H, W)``, 0 outside the mask and 1 to the count inside, in the reading order of
        each component's first pixel; and the count.

    Raises:
        ConfigError: The connectivity is neither 1 nor 2.
        ShapeError: The mask is not ``(H, W)``.

    >>> label_components(np.array([[1, 0, 1], [0, 1, 0]], bool))[1]
    1
    >>> label_components(np.array([[1, 0, 1], [0, 1, 0]], bool), connectivity=1)[0]
    array([[1, 0, 2],
           [0, 3, 0]], dtype=int32)
    """
    if connectivity not in (1, 2):
        raise ConfigError(f"connectivity is {connectivity}; expected 1 (edges) or 2 (corners too).")
    values = _plane(mask)
    runs = _runs(values, connectivity)
    labels = np.zeros(values.shape, np.int32)
    labels[values] = np.repeat(runs.label.astype(np.int32) + 1, runs.end - runs.start)
    return labels, runs.count


def boxes_of(mask: Bool, *, min_area: int = 1) -> tuple[PixelBox, ...]:
    """Return the upright box around each connected component, corners touching.

    Args:
        mask: bool ``(H, W)``.
        min_area: Components of fewer pixels have no box.

    Returns:
        ``(x_min, y_min, x_max, y_max)`` each, half-open; of the component with most pixels first,
        equals in reading order. Empty where nothing is that large.

    Raises:
        ShapeError: The mask is not ``(H, W)``.

    >>> boxes_of(np.array([[1, 0, 0, 0], [0, 0, 1, 1]], bool))
    ((2, 1, 4, 2), (0, 0, 1, 1))
    """
    values = _plane(mask)
    runs = _runs(values, 2)
    low = np.tile(np.array(values.shape[::-1]), (runs.count, 1))
    high = np.zeros((runs.count, 2), np.intp)
    for axis, (first, last) in enumerate(((runs.start, runs.end), (runs.row, runs.row + 1))):
        np.minimum.at(low[:, axis], runs.label, first)
        np.maximum.at(high[:, axis], runs.label, last)
    areas = runs.areas
    order = np.argsort(-areas, kind="stable")
    kept = order[areas[order] >= min_area]
    boxes = np.concatenate([low, high], axis=1)[kept].tolist()
    return tuple((x_min, y_min, x_max, y_max) for x_min, y_min, x_max, y_max in boxes)


def largest_components(mask: Bool, count: int) -> Bool:
    """Keep the largest connected components of a mask, corners touching.

    Args:
        mask: bool ``(H, W)``.
        count: How many to keep; of equals the first in reading order.

    Returns:
        bool ``(H, W)``; all of the mask where it has no more than that.

    Raises:
        ShapeError: The mask is not ``(H, W)``.
    """
    values = _plane(mask)
    runs = _runs(values, 2)
    kept = np.zeros(runs.count, bool)
    kept[np.argsort(-runs.areas, kind="stable")[: max(count, 0)]] = True
    return _painted(values, runs, kept)


def fill_holes(mask: Bool) -> Bool:
    """Fill what a mask encloses.

    Args:
        mask: bool ``(H, W)``.

    Returns:
        bool ``(H, W)``: the mask, and all from which no way of pixels that share an edge leads to
        the border without crossing it.

    Raises:
        ShapeError: The mask is not ``(H, W)``.
    """
    values = _plane(mask)
    background = ~values
    runs = _runs(background, 1)
    height, width = values.shape
    outer = (runs.row == 0) | (runs.row == height - 1) | (runs.start == 0) | (runs.end == width)
    enclosed = np.ones(runs.count, bool)
    enclosed[runs.label[outer]] = False
    return np.asarray(values | _painted(background, runs, enclosed))


def _painted(values: Bool, runs: _Runs, kept: Bool) -> Bool:
    painted = np.zeros(values.shape, bool)
    painted[values] = np.repeat(kept[runs.label], runs.end - runs.start)
    return painted


def _runs(values: Bool, connectivity: int) -> _Runs:
    height, width = values.shape
    framed = np.zeros((height, width + 2), np.int8)
    framed[:, 1:-1] = values
    steps = np.flatnonzero(np.diff(framed.ravel()))
    starts, ends = steps[::2], steps[1::2]
    pitch = width + 2
    upper, lower = _touching(starts, ends, pitch, connectivity - 1)
    label, count = _joined(len(starts), upper, lower)
    row = starts // pitch
    return _Runs(row, starts - row * pitch, ends - row * pitch, label, count)


def _touching(starts: _Index, ends: _Index, pitch: int, reach: int) -> tuple[_Index, _Index]:
    """Return pairs of runs, the second in the row below the first, that touch."""
    first = np.searchsorted(ends, starts + (pitch - reach), side="right")
    last = np.searchsorted(starts, ends + (pitch + reach), side="left")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    begins = np.cumsum(counts) - counts
    lower = np.arange(len(upper)) + (first - begins)[upper]
    return upper, lower


def _joined(size: int, first: _Index, second: _Index) -> tuple[_Index, int]:
    """Return the number from 0 of the set that each of `size` things is in, and how many sets."""
    root = np.arange(size)
    while len(first):
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(root, high, low)
        while not np.array_equal(further := root[root], root):
            root = further
        first, second = root[first], root[second]
        apart = first != second
        first, second = first[apart], second[apart]
    heads = root == np.arange(size)
    number = np.cumsum(heads) - 1
    return number[root], int(np.count_nonzero(heads))


def _plane(mask: Bool) -> Bool:
    values = np.asarray(mask)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"the mask is {values.shape}; expected (H, W), not empty.")
    return values.astype(bool, copy=False)
