"""The outline of both lungs without specks and holes, and the box to crop to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lucidray.errors import ShapeError
from lucidray.images.geometry import identity
from lucidray.images.lungs import lung_box, tidy_lungs
from lucidray.images.preprocessing import Preprocessing, preprocess
from lucidray.records import Bool, XRay


def lungs() -> Bool:
    mask = np.zeros((40, 50), bool)
    mask[5:35, 5:20] = True
    mask[8:35, 28:44] = True
    return mask


def test_specks_go_and_holes_close() -> None:
    mask = lungs()
    mask[1, 1] = mask[38:40, 45:48] = True
    mask[15:18, 10:12] = False
    assert np.array_equal(tidy_lungs(mask), lungs())


def test_a_lone_lung_gets_no_speck_for_a_partner() -> None:
    mask = lungs()
    mask[:, 28:44] = False
    alone = mask.copy()
    mask[20, 40:45] = True
    assert np.array_equal(tidy_lungs(mask), alone)


def test_nothing_stays_nothing() -> None:
    assert not tidy_lungs(np.zeros((4, 4), bool)).any()


@given(arrays.arrays(np.bool_, (9, 11)))
@settings(max_examples=50, deadline=None)
def test_at_most_two_parts_without_holes_stay(mask: Bool) -> None:
    found = tidy_lungs(mask)
    assert ndimage.label(found, np.ones((3, 3)))[1] <= 2
    assert np.array_equal(ndimage.binary_fill_holes(found), found)
    assert found.any() == mask.any()
    assert np.array_equal(tidy_lungs(found), found)


def test_a_film_is_cropped_to_its_lungs() -> None:
    box = lung_box(lungs(), margin=0.0)
    assert box == (5, 5, 44, 35)
    pixels = lungs().astype(np.float32)
    config = Preprocessing(size=30, channels=1, normalization="unit")
    cropped, geometry = preprocess(XRay(pixels, identity(pixels.shape)), config, box=box)
    assert cropped[0, :, 0].min() == 1 and cropped[0, 10:, -1].min() == 1
    assert geometry.source_shape == (40, 50)


def test_a_lung_that_is_white_all_over_is_not_cut_off() -> None:
    one = lungs()
    one[:, 28:44] = False
    assert lung_box(one, margin=0.0) == (0, 5, 50, 35)


def test_a_margin_ends_at_the_border_and_without_lungs_nothing_is_cropped() -> None:
    assert lung_box(lungs(), margin=10.0) == (0, 0, 50, 40)
    speck = np.zeros((40, 50), bool)
    speck[3:8, 3:8] = True
    assert lung_box(speck) == (0, 0, 50, 40)
    with pytest.raises(ShapeError, match="expected"):
        lung_box(np.zeros((2, 3, 4), bool))
