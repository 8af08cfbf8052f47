"""Resizing equals Pillow's and torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidray.errors import ShapeError
from lucidray.images.resample import resample

sides = st.integers(1, 130)


@settings(max_examples=50, deadline=None)
@given(source=st.tuples(sides, sides), shape=st.tuples(sides, sides), seed=st.integers(0, 99))
def test_equal_to_pillow_and_torch(
    source: tuple[int, int], shape: tuple[int, int], seed: int
) -> None:
    pixels = np.random.default_rng(seed).random(source, dtype=np.float32)
    ours = resample(pixels, shape)
    pillow = Image.fromarray(pixels).resize(shape[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(ours, np.asarray(pillow), atol=1e-6)
    if min(*source, *shape) == 1:  # torch 2.15 repeats the first row of images one pixel wide
        return
    tensor = torch.nn.functional.interpolate(
        torch.from_numpy(pixels)[None, None], size=shape, mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(ours, tensor[0, 0].numpy(), atol=1e-5)


def test_the_size_of_real_films() -> None:
    pixels = np.random.default_rng(0).random((1024, 900), dtype=np.float32)
    pillow = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resample(pixels, (224, 224)), np.asarray(pillow), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_a_whole_window_is_a_crop(data: st.DataObject, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    x_min, y_min = data.draw(st.integers(0, 49)), data.draw(st.integers(0, 39))
    x_max, y_max = data.draw(st.integers(x_min + 1, 50)), data.draw(st.integers(y_min + 1, 40))
    ours = resample(pixels, shape, (x_min, y_min, x_max, y_max))
    np.testing.assert_array_equal(ours, resample(pixels[y_min:y_max, x_min:x_max], shape))


@settings(max_examples=50, deadline=None)
@given(
    low=st.floats(0, 20),
    span=st.floats(1, 20),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_a_constant_stays_constant(low: float, span: float, shape: tuple[int, int]) -> None:
    pixels = np.full((41, 43), 0.7, np.float32)
    np.testing.assert_allclose(
        resample(pixels, shape, (low, low, low + span, low + span)), 0.7, atol=1e-6
    )


def test_a_broken_window_sees_where_it_looks() -> None:
    """The mean of a ramp over a window is the ramp at the window's middle."""
    ramp = np.tile(np.arange(100, dtype=np.float32) + 0.5, (100, 1))
    seen = resample(ramp, (1, 4), (20.25, 30.0, 60.25, 70.0))
    np.testing.assert_allclose(seen[0, 1:3], [35.25, 45.25], atol=0.02)


def test_refusals() -> None:
    pixels = np.zeros((4, 5), np.float32)
    for window in ((3, 0, 3, 4), (9, 0, 12, 4), (4, 0, 2, 4)):
        with pytest.raises(ShapeError, match="window"):
            resample(pixels, (2, 2), window)
    with pytest.raises(ShapeError, match="one pixel"):
        resample(pixels, (0, 2))
    with pytest.raises(ShapeError, match="expected"):
        resample(np.zeros((2, 2, 2), np.float32), (2, 2))
