"""Connected components: exact on known masks, against scipy on all others."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from lucidray.errors import ConfigError, ShapeError
from lucidray.images import boxes_of, fill_holes, label_components, largest_components

Mask = npt.NDArray[np.bool_]
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
SQUARE = np.ones((3, 3))


def snake(height: int, width: int) -> Mask:
    """One path that winds from the top to the bottom."""
    mask = np.zeros((height, width), bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    return mask


@settings(max_examples=50, deadline=None)
@given(mask=masks, connectivity=st.sampled_from([1, 2]))
def test_the_components_are_scipys(mask: Mask, connectivity: Literal[1, 2]) -> None:
    labels, count = label_components(mask, connectivity=connectivity)
    theirs, expected = ndimage.label(mask, SQUARE if connectivity == 2 else None)
    assert count == expected
    pairs = {*zip(labels.ravel().tolist(), theirs.ravel().tolist(), strict=True)}
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({other for _, other in pairs})
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, mask)


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_numbers_follow_the_reading_order(mask: Mask) -> None:
    labels, count = label_components(mask)
    seen = labels[labels > 0]
    first = np.unique(seen, return_index=True)[1]
    assert (np.diff(first) > 0).all()
    assert len(first) == count


@pytest.mark.parametrize("density", [0.3, 0.4, 0.5, 0.6, 0.9])
@pytest.mark.parametrize("connectivity", [1, 2])
def test_large_noise(density: float, connectivity: Literal[1, 2]) -> None:
    mask = np.random.default_rng(int(10 * density)).random((300, 411)) < density
    labels, count = label_components(mask, connectivity=connectivity)
    theirs, expected = ndimage.label(mask, SQUARE if connectivity == 2 else None)
    assert count == expected
    np.testing.assert_array_equal(labels, theirs)


def test_long_paths_are_one_component() -> None:
    for mask in (snake(201, 77), snake(77, 201).T, np.indices((99, 98)).sum(0) % 2 == 0):
        assert label_components(mask)[1] == 1
    assert label_components(np.indices((8, 8)).sum(0) % 2 == 0, connectivity=1)[1] == 32


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 6)])
def test_nothing_and_everything(shape: tuple[int, int]) -> None:
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    assert label_components(empty)[1] == 0
    assert boxes_of(empty) == ()
    assert not largest_components(empty, 2).any()
    assert not fill_holes(empty).any()
    assert label_components(full)[1] == 1
    assert boxes_of(full) == ((0, 0, shape[1], shape[0]),)
    assert fill_holes(full).all()


def test_rows_do_not_touch_around_the_edge() -> None:
    mask = np.array([[0, 0, 1], [1, 0, 0], [1, 0, 0]], bool)
    assert label_components(mask)[1] == 2


@settings(max_examples=50, deadline=None)
@given(mask=masks, min_area=st.integers(1, 6))
def test_boxes_are_scipys_largest_first(mask: Mask, min_area: int) -> None:
    labels, count = ndimage.label(mask, SQUARE)
    areas = ndimage.sum(mask, labels, np.arange(1, count + 1))
    found = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for rows, columns in ndimage.find_objects(labels)
    ]
    order = sorted(range(count), key=lambda i: (-areas[i], i))
    expected = tuple(found[i] for i in order if areas[i] >= min_area)
    boxes = boxes_of(mask, min_area=min_area)
    assert boxes == expected
    assert all(type(edge) is int for box in boxes for edge in box)


@settings(max_examples=50, deadline=None)
@given(mask=masks, count=st.integers(0, 4))
def test_the_largest_components(mask: Mask, count: int) -> None:
    kept = largest_components(mask, count)
    labels, number = ndimage.label(mask, SQUARE)
    areas = ndimage.sum(mask, labels, np.arange(1, number + 1))
    assert not (kept & ~mask).any()
    assert label_components(kept)[1] == min(count, number)
    assert kept.sum() == np.sort(areas)[::-1][:count].sum()


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_holes_are_scipys(mask: Mask) -> None:
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_a_ring_is_filled_and_an_open_one_is_not() -> None:
    ring = np.zeros((7, 7), bool)
    ring[1:6, 1:6] = True
    ring[2:5, 2:5] = False
    assert fill_holes(ring).sum() == 25
    ring[3, 1] = False
    np.testing.assert_array_equal(fill_holes(ring), ring)


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="expected"):
        label_components(np.zeros((2, 2, 2), bool))
    with pytest.raises(ShapeError, match="not empty"):
        boxes_of(np.zeros((0, 3), bool))
    with pytest.raises(ConfigError, match="connectivity is 4"):
        label_components(np.zeros((2, 2), bool), connectivity=4)  # type: ignore[arg-type]
