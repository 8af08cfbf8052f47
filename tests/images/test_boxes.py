"""Boxes around strong spots of a map: exact, and true for any map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.boxes import boxes_of_map

maps = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    elements=st.one_of(st.floats(-4, 4, width=32), st.just(float("nan"))),
)


@settings(max_examples=50, deadline=None)
@given(values=maps, fraction=st.sampled_from([0.2, 0.5, 1.0]))
def test_every_strong_pixel_is_in_a_box_and_every_box_holds_one_at_each_edge(
    values: npt.NDArray[np.float32], fraction: float
) -> None:
    boxes = boxes_of_map(values, fraction=fraction, smallest=0)
    highest = np.nan_to_num(values).max()
    strong = np.nan_to_num(values) >= fraction * highest if highest > 0 else values * 0 > 1
    covered = np.zeros(values.shape, bool)
    for left, top, right, bottom in boxes:
        part = strong[top:bottom, left:right]
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
        covered[top:bottom, left:right] = True
    assert not (strong & ~covered).any()
    assert bool(boxes) == bool(highest > 0)


def test_two_spots_the_larger_first_and_specks_left_out() -> None:
    values = np.zeros((100, 200))
    values[10:20, 30:50] = 1.0
    values[60:90, 100:160] = 0.6
    values[0, 0] = 0.9
    assert boxes_of_map(values) == ((100, 60, 160, 90), (30, 10, 50, 20))
    assert boxes_of_map(values, smallest=0)[-1] == (0, 0, 1, 1)
    assert boxes_of_map(values, fraction=0.7) == ((30, 10, 50, 20),)


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, np.inf])
def test_without_finite_positive_evidence_there_is_no_box(value: float) -> None:
    assert boxes_of_map(np.full((8, 8), value)) == ()


def test_what_cannot_be_boxed_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected"):
        boxes_of_map(np.zeros((2, 2, 2)))
    with pytest.raises(ConfigError, match="fraction is 0"):
        boxes_of_map(np.ones((2, 2)), fraction=0)
