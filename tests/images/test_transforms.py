"""Crops and letterboxes with their geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.geometry import identity, invert, map_boxes, map_points
from lucidray.images.transforms import (
    crop,
    fraction_box,
    letterbox,
    mask_box,
    pad_to_square,
    resize,
)

sides = st.integers(1, 120)


@settings(max_examples=50, deadline=None)
@given(height=sides, width=sides, size=st.integers(1, 64))
def test_a_letterbox_keeps_the_aspect_and_centers(height: int, width: int, size: int) -> None:
    pixels = np.ones((height, width), np.float32)
    boxed, geometry = letterbox(pixels, identity((height, width)), size)
    assert boxed.shape == (size, size) == geometry.shape
    x_min, y_min, x_max, y_max = map_boxes([0, 0, width, height], geometry)
    assert max(x_max - x_min, y_max - y_min) == pytest.approx(size)
    wanted = max(height * size / max(height, width), 1), max(width * size / max(height, width), 1)
    np.testing.assert_allclose((y_max - y_min, x_max - x_min), wanted, atol=0.5001)
    assert abs((x_min + x_max) - size) <= 1 + 1e-9
    assert abs((y_min + y_max) - size) <= 1 + 1e-9
    assert boxed.sum() == pytest.approx((x_max - x_min) * (y_max - y_min), rel=1e-4)


def test_a_bright_spot_is_found_again() -> None:
    """Crop, then letterbox: the brightest model pixel leads back to the spot."""
    pixels = np.zeros((300, 200), np.float32)
    pixels[171:175, 90:94] = 1
    cropped, geometry = crop(pixels, identity((300, 200)), (50, 100, 150, 290))
    boxed, geometry = letterbox(cropped, geometry, 190)
    row, column = np.unravel_index(boxed.argmax(), boxed.shape)
    x, y = map_points([column + 0.5, row + 0.5], invert(geometry))
    assert 90 <= x < 94
    assert 171 <= y < 175


def test_cropping_is_slicing() -> None:
    pixels = np.random.default_rng(0).random((30, 40), dtype=np.float32)
    cropped, geometry = crop(pixels, identity((30, 40)), (5, 6, 25, 16))
    np.testing.assert_array_equal(cropped, pixels[6:16, 5:25])
    assert map_boxes([5, 6, 25, 16], geometry).tolist() == [0, 0, 20, 10]


def test_resizing_maps_the_whole_onto_the_whole() -> None:
    pixels = np.random.default_rng(0).random((30, 40), dtype=np.float32)
    small, geometry = resize(pixels, identity((30, 40)), (10, 20))
    assert small.shape == (10, 20)
    assert map_boxes([0, 0, 40, 30], geometry).tolist() == [0, 0, 20, 10]
    assert small.mean() == pytest.approx(pixels.mean(), abs=0.01)


def test_the_crop_of_the_source_document() -> None:
    assert fraction_box((1000, 2000), 0.15, 0.90, 0.20, 0.80) == (400, 150, 1600, 900)
    assert fraction_box((3, 3), 0.5, 0.6, 0.5, 0.6) == (1, 1, 2, 2)
    for wrong in ((0.9, 0.1, 0, 1), (0, 1, -0.1, 1), (0, 1.2, 0, 1), (0, 1, 0.5, 0.5)):
        with pytest.raises(ConfigError, match="crop fractions"):
            fraction_box((10, 10), *wrong)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), margin=st.floats(0, 0.5))
def test_a_mask_lies_in_its_box(seed: int, margin: float) -> None:
    mask = np.random.default_rng(seed).random((20, 30)) > 0.98
    if not mask.any():
        mask[5, 5] = True
    x_min, y_min, x_max, y_max = mask_box(mask, margin=margin)
    assert 0 <= x_min < x_max <= 30
    assert 0 <= y_min < y_max <= 20
    assert mask[y_min:y_max, x_min:x_max].sum() == mask.sum()


def test_a_box_without_margin_is_tight() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 10:12] = True
    assert mask_box(mask, margin=0) == (10, 3, 12, 9)


def test_an_empty_mask_is_an_error_unless_told_otherwise() -> None:
    empty = np.zeros((20, 30), bool)
    with pytest.raises(ShapeError, match="empty"):
        mask_box(empty)
    assert mask_box(empty, empty="whole") == (0, 0, 30, 20)


def test_too_large_for_its_square() -> None:
    with pytest.raises(ShapeError, match="does not fit"):
        pad_to_square(np.zeros((5, 3), np.float32), identity((5, 3)), 4)
