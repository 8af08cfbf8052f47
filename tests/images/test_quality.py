"""Checks of a single picture find what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lucidray.images.quality import border_share, check_quality, failed_checks, polarity
from lucidray.images.read import read_xray, xray_from_array

Picture = np.ndarray


@pytest.fixture
def chest() -> Picture:
    """A crude chest: bright middle, dark lungs and corners, ribs and noise."""
    y, x = np.mgrid[0:300, 0:280] / 280 - 0.5
    body = 0.75 * np.exp(-((x / 0.42) ** 6)) * (y > -0.35)
    lungs = sum(np.exp(-(((x - s) / 0.13) ** 4) - (((y + 0.05) / 0.3) ** 4)) for s in (-0.23, 0.23))
    ribs = 0.06 * np.sin(60 * y + 8 * np.abs(x)) * lungs
    noise = np.random.default_rng(0).normal(0, 0.01, x.shape)
    return np.clip(0.05 + body - 0.45 * lungs + ribs + noise, 0, 1)


def names(pixels: Picture) -> set[str]:
    """The names of the checks that a picture fails."""
    return {check.name for check in failed_checks(xray_from_array(pixels))}


def test_a_usual_film_passes(chest: Picture) -> None:
    assert names(chest) == set()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda film: 1 - film, "polarity"),
        (lambda film: ndimage.gaussian_filter(film, 12), "sharpness"),
        (lambda film: np.full_like(film, 0.5), "range"),
        (lambda film: 0.5 + 0.02 * film, "deviation"),
        (lambda film: np.clip(film * 6, 0, 1), "white_share"),
        (lambda film: np.clip(film - 0.55, 0, 1), "black_share"),
        (lambda film: film[::6, ::6], "short_side"),
        (lambda film: film[:60], "aspect"),
        (lambda film: np.pad(film, 120), "border_share"),
        (lambda film: np.random.default_rng(0).random(film.shape), "sharpness"),
    ],
)
def test_what_is_wrong_is_named(
    chest: Picture, spoil: Callable[[Picture], Picture], complaint: str
) -> None:
    assert complaint in names(spoil(chest))


def test_blank_images_have_no_polarity() -> None:
    checks = {
        check.name: check for check in check_quality(xray_from_array(np.full((200, 200), 0.3)))
    }
    assert math.isnan(checks["polarity"].value)
    assert checks["polarity"].passed
    assert checks["border_share"].value == 1


def test_borders_by_hand() -> None:
    film = np.random.default_rng(0).random((100, 50)).astype(np.float32)
    film[:25], film[:, 40:] = 0, 1
    assert border_share(film[25:, :40]) == 0
    film[:25] = 1
    assert border_share(film) == pytest.approx(1 - 0.75 * 0.8)


@pytest.mark.data
def test_real_films_pass_and_their_negatives_do_not(real_data: Path) -> None:
    films = sorted((real_data / "nih_chestxray14_subset" / "images").iterdir())[:25]
    for film in films:
        xray = read_xray(film, shrink_to=256)
        assert polarity(xray.pixels) > 0 > polarity(1 - xray.pixels)
        assert failed_checks(xray) == ()
