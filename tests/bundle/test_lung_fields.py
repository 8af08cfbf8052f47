"""The shipped bundle `lung-fields`: on phantoms, whose lungs are known, and on real films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lucidray.bundle import Bundle, bundles, find_bundle, load_bundle
from lucidray.bundle.reference import verify_bundle
from lucidray.datasets.masks import read_mask
from lucidray.datasets.phantom import make_phantom
from lucidray.images import read_xray
from lucidray.images.lungs import lung_box
from lucidray.metrics.segmentation import count_pixels, dice

pytestmark = pytest.mark.skipif(
    "lung-fields" not in bundles(), reason="this copy of LucidRay comes without its bundles"
)


@pytest.fixture(scope="module")
def lungs() -> Bundle:
    """The shipped bundle."""
    return load_bundle("lung-fields", threads=1)


def test_it_is_small_described_and_answers_as_written(lungs: Bundle) -> None:
    assert find_bundle("lung-fields").stat().st_size < 15e6
    assert verify_bundle(lungs).passed
    card = lungs.card
    assert card.task == "segmentation" and "Jaeger" in card.license
    measured = card.performance[0].measurements["Lungs"]["dice"]
    assert measured.low is not None and measured.low > 0.95
    assert set(card.performance[0].subgroups["source"]) == {
        "Montgomery County",
        "Shenzhen No. 3 Hospital",
    }


@pytest.mark.parametrize("index", range(3))
def test_it_outlines_phantoms_that_it_has_never_seen(lungs: Bundle, index: int) -> None:
    phantom = make_phantom(7, index)
    overlap = dice(count_pixels(phantom.lung_mask, lungs.segment(phantom.pixels)))
    assert overlap > 0.93


@pytest.mark.data
def test_it_outlines_real_films(lungs: Bundle, real_data: Path) -> None:
    films = sorted((real_data / "lung_masks" / "images").glob("*.jpg"))[::56]
    overlaps = []
    for film in films:
        xray = read_xray(film)
        assert lungs.refuse(xray) is None
        truth = read_mask(real_data / "lung_masks" / "masks" / f"{film.stem}.png")
        overlaps.append(dice(count_pixels(truth, lungs.segment(xray))))
    assert np.mean(overlaps) > 0.94


@pytest.mark.data
def test_films_of_children_can_be_cropped(lungs: Bundle, real_data: Path) -> None:
    films = sorted((real_data / "pediatric_pneumonia" / "train" / "NORMAL").glob("*"))[::200]
    for film in films:
        xray = read_xray(film)
        left, top, right, bottom = lung_box(lungs.segment(xray))
        height, width = xray.pixels.shape
        assert right - left > 0.55 * width and bottom - top > 0.45 * height
