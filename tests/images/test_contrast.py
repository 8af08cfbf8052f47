"""CLAHE and equalization equal OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray.errors import ShapeError
from lucidray.images.contrast import clahe, equalize, stretch, to_levels


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """A picture with smooth and noisy parts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    values = np.sin(5 * x) * np.cos(3 * y) + 0.1 * rng.standard_normal((height, width))
    values -= values.min()
    return (values / values.max()).astype(np.float32) ** rng.uniform(0.3, 3)


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(16, 150),
    width=st.integers(16, 150),
    tiles=st.integers(1, 9),
    clip=st.sampled_from([0.5, 1.0, 2.0, 4.0, 40.0]),
    seed=st.integers(0, 99),
)
def test_clahe_is_opencvs(height: int, width: int, tiles: int, clip: float, seed: int) -> None:
    pixels = picture(height, width, seed)
    theirs = cv2.createCLAHE(clip, (tiles, tiles)).apply(to_levels(pixels))
    ours = np.rint(clahe(pixels, clip=clip, tiles=tiles) * 255)
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 0.15


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99))
def test_equalization_is_opencvs(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).random((height, width), dtype=np.float32) ** 2
    theirs = cv2.equalizeHist(to_levels(pixels))
    np.testing.assert_allclose(equalize(pixels) * 255, theirs, atol=0.01)


def test_constant_pictures_stay() -> None:
    flat = np.full((32, 32), 0.4, np.float32)
    np.testing.assert_allclose(equalize(flat), 0.4, atol=1e-6)
    np.testing.assert_allclose(stretch(flat), 0.4, atol=1e-6)


def test_stretch_by_hand() -> None:
    pixels = np.linspace(0.2, 0.6, 1001, dtype=np.float32).reshape(7, 143)
    stretched = stretch(pixels, low=25, high=75)
    np.testing.assert_allclose(stretched, np.clip((pixels - 0.3) / 0.2, 0, 1), atol=1e-5)


def test_levels_round_and_clip() -> None:
    values = np.array([-1, 0, 0.5 / 255, 0.51 / 255, 1, 2], np.float32)
    assert to_levels(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_too_many_tiles_are_refused() -> None:
    with pytest.raises(ShapeError, match="tiles"):
        clahe(np.zeros((4, 100), np.float32), tiles=8)
