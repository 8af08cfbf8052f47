"""Regions of heat maps, and images of regions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from lucidray.errors import ConfigError, ShapeError
from lucidray.images.geometry import identity
from lucidray.images.render import strength
from lucidray.images.roi import (
    crop_to_map,
    fade_outside,
    hide_outside,
    mask_of_map,
    otsu_level,
    overlay_roi,
    spots_of_map,
)
from lucidray.metrics.localization_masks import map_iou

maps = arrays(np.float32, (6, 7), elements=st.floats(-2, 2, width=16))


@settings(max_examples=50, deadline=None)
@given(maps)
def test_otsu_is_scikit_images(values) -> None:
    levels = np.floor(strength(values) * np.float32(255)).astype(np.uint8)
    if len(np.unique(levels)) > 1:
        ours = otsu_level(values)
        theirs = int(threshold_otsu(levels))
        # between two filled levels all thresholds part alike; both must part alike
        np.testing.assert_array_equal(levels > ours, levels > theirs)


@settings(max_examples=50, deadline=None)
@given(maps, st.sampled_from(["otsu", 0.0, 0.3, 0.5, 0.99]))
def test_the_cut_is_the_one_that_is_measured(values, threshold) -> None:
    mask = mask_of_map(values, threshold)
    if mask.any():
        assert float(map_iou(values, mask, threshold=threshold)) == 1
    else:
        assert not (values > 0).any()


def test_what_has_no_positive_value_or_an_infinite_one_has_no_region() -> None:
    for values in (
        np.zeros((3, 3)),
        -np.ones((3, 3)),
        np.full((3, 3), np.nan),
        np.full((3, 3), np.inf),
    ):
        assert not mask_of_map(values).any()
        assert not mask_of_map(values, 0.5).any()
        assert spots_of_map(values) == ()


def test_a_threshold_in_the_maps_own_units_leaves_a_weak_map_empty() -> None:
    strong = np.array([[0.1, 0.6], [np.nan, 1.0]])
    assert mask_of_map(strong, 0.5, absolute=True).tolist() == [[False, True], [False, True]]
    assert not mask_of_map(strong / 10, 0.5, absolute=True).any()
    assert mask_of_map(strong / 10, 0.5).tolist() == [[False, True], [False, True]]


@settings(max_examples=50, deadline=None)
@given(maps, st.sampled_from([0.2, 0.5]))
def test_spots_are_scikit_images_regions(values, threshold: float) -> None:
    spots = spots_of_map(values, threshold, smallest=0)
    mask = mask_of_map(values, threshold)
    heat = strength(values).astype(float)
    regions = regionprops(label(mask, connectivity=2), heat)
    ours = sorted(
        (spot.box, spot.area, round(spot.peak, 5), round(spot.share, 5)) for spot in spots
    )
    theirs = sorted(
        (
            (region.bbox[1], region.bbox[0], region.bbox[3], region.bbox[2]),
            int(region.area),
            round(float(region.intensity_max), 5),
            round(float(region.image_intensity.sum() / heat.sum()), 5),
        )
        for region in regions
    )
    assert ours == theirs
    shares = [spot.share for spot in spots]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-9


def test_small_spots_are_left_out_and_the_number_is_kept() -> None:
    heat = np.zeros((10, 10))
    heat[0, 0], heat[4:7, 4:7], heat[9, 5:9] = 1, 0.8, 0.9
    assert [spot.area for spot in spots_of_map(heat, 0.5)] == [9, 4, 1]
    assert [spot.area for spot in spots_of_map(heat, 0.5, smallest=0.04)] == [9, 4]
    assert [spot.area for spot in spots_of_map(heat, 0.5, most=1)] == [9]


@pytest.mark.parametrize("fine", [True, False])
def test_the_overlay_is_that_of_source_document_s0(rng, fine: bool) -> None:
    pixels = rng.random((56, 70)).astype(np.float32)
    raw = rng.normal(size=(56, 70) if fine else (7, 7)).astype(np.float32)
    ours = overlay_roi(pixels, raw)
    heat = np.maximum(raw, 0) / raw.max()
    heat[heat < 0.3] = 0
    heat = cv2.resize(heat, (70, 56), interpolation=cv2.INTER_LINEAR)
    jet = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    film = np.repeat(np.rint(pixels * 255)[..., None], 3, 2).astype(np.uint8)
    theirs = cv2.addWeighted(film, 0.7, np.ascontiguousarray(jet), 0.3, 0)
    assert ours.shape == (56, 70, 3)
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 2  # rounding
    assert difference.mean() < 0.5


def test_the_overlay_of_nothing_is_evenly_tinted() -> None:
    film = np.full((4, 4), 0.5, np.float32)
    picture = overlay_roi(film, -np.ones((2, 2), np.float32))
    assert (picture == picture[0, 0]).all()
    assert picture[0, 0, 2] > picture[0, 0, 0]


def test_what_is_outside_is_gone(rng) -> None:
    pixels = rng.random((8, 9)).astype(np.float32)
    heat = np.zeros((8, 9), np.float32)
    heat[2:5, 3:7], heat[3, 4] = 0.7, 1
    mask = mask_of_map(heat, 0.5)
    hidden = hide_outside(pixels, mask, fill=0.25)
    np.testing.assert_array_equal(hidden[2:5, 3:7], pixels[2:5, 3:7])
    assert (hidden[~mask] == 0.25).all()
    assert (hide_outside(pixels, np.zeros_like(mask)) == 0).all()
    cut, geometry = crop_to_map(pixels, identity((8, 9)), heat, 0.5, margin=0)
    np.testing.assert_array_equal(cut, pixels[2:5, 3:7])
    assert geometry.shape == (3, 4)
    whole, _ = crop_to_map(pixels, identity((8, 9)), -heat, 0.5)
    np.testing.assert_array_equal(whole, pixels)
    faded = fade_outside(pixels, heat, floor=0.1, fill=0.2)
    np.testing.assert_allclose(faded[0, 0], 0.2 + 0.1 * (pixels[0, 0] - 0.2), rtol=1e-5)
    np.testing.assert_allclose(faded[3, 4], pixels[3, 4], rtol=1e-6)
    for result in (hidden, cut, faded):
        assert result.dtype == np.float32


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda p, v: mask_of_map(v, 1.0), ConfigError, r"threshold is 1.0; a number in \[0, 1\)"),
        (lambda p, v: mask_of_map(v, -1, absolute=True), ConfigError, "0 or more"),
        (lambda p, v: mask_of_map(v, "otsu", absolute=True), ConfigError, "0 or more"),
        (lambda p, v: mask_of_map(v, "mean"), ConfigError, "'mean'"),
        (lambda p, v: mask_of_map(v[0]), ShapeError, "expected"),
        (lambda p, v: spots_of_map(v, smallest=2), ConfigError, "smallest is 2"),
        (lambda p, v: overlay_roi(p, v, opacity=2), ConfigError, "opacity 2"),
        (lambda p, v: overlay_roi(p[0], v), ShapeError, "radiograph"),
        (lambda p, v: hide_outside(p, v[:2] > 0), ShapeError, "one pixel grid"),
        (lambda p, v: fade_outside(p, v[:2]), ShapeError, "one pixel grid"),
        (lambda p, v: fade_outside(p, v, floor=-1), ConfigError, "floor is -1"),
        (lambda p, v: crop_to_map(p, identity((4, 4)), v[:2]), ShapeError, "one pixel grid"),
    ],
)
def test_what_makes_no_sense_is_refused(run, error, message: str) -> None:
    with pytest.raises(error, match=message):
        run(np.ones((4, 4), np.float32), np.ones((4, 4), np.float32))
