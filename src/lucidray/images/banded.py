"""Weighted sums along one axis of an image, where each output looks at a few neighbors.

Such a matrix is a band. It is cut into small dense blocks, each multiplied with the few rows or
columns that it looks at; for radiographs that is as fast as a sparse matrix, and needs NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lucidray.records import Float32, Float64

#: A block looks at about so many inputs: fewer cost calls, more cost products with zero.
_SPAN = 16

#: Outputs of a block.
_FEWEST, _MOST = 8, 128

#: OpenBLAS shares out products of more terms than this among threads, and then the last bits of
#: the result depend on how many there are.
_ALONE = 1 << 18

_Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Block:
    """Some consecutive outputs of a band and what they look at.

    Args:
        outputs: Which outputs.
        inputs: Which inputs they look at.
        weights: float32 ``(outputs, inputs)``.
    """

    outputs: slice
    inputs: slice
    weights: Float32


@dataclass(frozen=True)
class Band:
    """A band matrix in blocks.

    Args:
        count: Outputs.
        blocks: All of them in order.
    """

    count: int
    blocks: tuple[Block, ...]


def band(first: _Index, weights: Float64, size: int) -> Band:
    """Cut a band matrix into blocks.

    Args:
        first: int ``(count,)``: the first input that each output looks at.
        weights: ``(count, taps)``: the weights of that input and of the following ones, 0 where
            an output looks at fewer or the inputs end.
        size: How many inputs there are.
    """
    count, taps = weights.shape
    step = min(max(_FEWEST, round(_SPAN * count / size)), _MOST)
    edges = [*range(0, count, step), count]
    blocks = []
    for start, stop in pairwise(edges):
        starts = first[start:stop]
        low, high = int(starts.min()), int(starts.max()) + taps
        dense = np.zeros((stop - start, high - low), np.float32)
        places = (starts - low)[:, None] + np.arange(taps)
        np.put_along_axis(dense, places, weights[start:stop].astype(np.float32), axis=1)
        high = min(high, size)
        inside = np.ascontiguousarray(dense[:, : high - low])
        blocks.append(Block(slice(start, stop), slice(low, high), inside))
    return Band(count, tuple(blocks))


def multiply(rows: Band, pixels: Float32, columns: Band) -> Float32:
    """Apply one band to the rows of an image and another to its columns.

    Args:
        rows: Makes rows of rows.
        pixels: float32 ``(H, W)``.
        columns: Makes columns of columns.

    Returns:
        float32 ``(rows.count, columns.count)``.
    """
    if rows.count <= len(pixels):  # whole rows are quick to gather: let them do the larger part
        return _columns(_rows(rows, pixels), columns)
    return _rows(rows, _columns(pixels, columns))


def _rows(rows: Band, pixels: Float32) -> Float32:
    mixed = np.empty((rows.count, pixels.shape[1]), np.float32)
    for block in rows.blocks:
        for part in _parts(block, pixels.shape[1]):
            np.matmul(block.weights, pixels[block.inputs, part], out=mixed[block.outputs, part])
    return mixed


def _columns(pixels: Float32, columns: Band) -> Float32:
    mixed = np.empty((pixels.shape[0], columns.count), np.float32)
    for block in columns.blocks:
        for part in _parts(block, pixels.shape[0]):
            np.matmul(pixels[part, block.inputs], block.weights.T, out=mixed[part, block.outputs])
    return mixed


def _parts(block: Block, size: int) -> Iterator[slice]:
    step = max(1, _ALONE // block.weights.size)
    return (slice(start, start + step) for start in range(0, size, step))
