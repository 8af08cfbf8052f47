"""Overlap and border distances of masks, against answers known by hand and other people's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import directed_hausdorff
from skimage.metrics import hausdorff_distance
from sklearn.metrics import f1_score, jaccard_score

from lucidray.errors import MetricError, ShapeError, UnknownNameError
from lucidray.metrics.catalog import metrics, names_of
from lucidray.metrics.segmentation import (
    border_distances,
    count_pixels,
    dice,
    hd95,
    mask_iou,
    measure_mask,
    measure_masks,
    surface_distance,
)
from lucidray.records import Bool

MASKS = arrays.arrays(np.bool_, (2, 6, 7))


def square(top: int, left: int, side: int = 4) -> Bool:
    mask = np.zeros((12, 16), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_overlap_of_two_squares_is_known_by_hand() -> None:
    counts = count_pixels(square(2, 2), square(2, 4))
    assert (counts.tp, counts.fp, counts.fn) == (8, 8, 8)
    assert counts.total == 12 * 16
    assert dice(counts) == 0.5
    assert mask_iou(counts) == pytest.approx(1 / 3)


def test_many_masks_go_through_one_call() -> None:
    truth = np.stack([square(2, 2), square(2, 2), square(0, 0)])
    found = np.stack([square(2, 2), square(8, 8), square(0, 1)])
    assert dice(count_pixels(truth, found)).tolist() == [1, 0, 0.75]


def test_nothing_to_find_and_nothing_found_is_undefined() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    counts = count_pixels(np.stack([empty, empty, full]), np.stack([empty, full, empty]))
    assert np.isnan(dice(counts)[0])
    assert np.isnan(mask_iou(counts)[0])
    assert dice(counts)[1:].tolist() == [0, 0]
    assert np.isnan(measure_mask(empty, full)["hd95"])
    assert np.isnan(measure_mask(full, empty)["surface_distance"])


@given(MASKS, MASKS)
@settings(max_examples=30, deadline=None)
def test_overlap_is_scikit_learns(truth: Bool, found: Bool) -> None:
    counts = count_pixels(truth, found)
    for index in range(2):
        if truth[index].any() or found[index].any():
            pair = (truth[index].ravel(), found[index].ravel())
            assert dice(counts)[index] == pytest.approx(f1_score(*pair))
            assert mask_iou(counts)[index] == pytest.approx(jaccard_score(*pair))


@given(MASKS)
@settings(max_examples=30, deadline=None)
def test_farthest_border_point_is_scikit_images(masks: Bool) -> None:
    truth, found = masks
    to_found, to_truth = border_distances(truth, found)
    if not (truth.any() and found.any()):
        assert len(to_found) == len(to_truth) == 0
        return
    borders = [mask & ~_eroded(mask) for mask in (truth, found)]
    assert max(to_found.max(), to_truth.max()) == pytest.approx(hausdorff_distance(*borders))
    points = [np.argwhere(border) for border in borders]
    assert to_found.max() == pytest.approx(directed_hausdorff(*points)[0])


def _eroded(mask: Bool) -> Bool:
    padded = np.pad(mask, 1)
    inner = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1]]
    return np.logical_and.reduce([*inner, padded[1:-1, :-2], padded[1:-1, 2:]])


def test_a_shift_moves_borders_by_what_it_is() -> None:
    found = measure_mask(square(3, 3), square(3, 6))
    assert found["hd95"] == 3
    assert 0 < found["surface_distance"] < 3
    assert measure_mask(square(3, 3), square(3, 3))["surface_distance"] == 0


def test_spacing_gives_distances_their_unit() -> None:
    pixels = border_distances(square(3, 3), square(3, 6))
    millimeters = border_distances(square(3, 3), square(3, 6), spacing=(0.5, 0.5))
    assert hd95(*millimeters) == hd95(*pixels) / 2
    assert surface_distance(*millimeters) == pytest.approx(surface_distance(*pixels) / 2)


def test_averages_leave_out_what_is_undefined_and_say_so() -> None:
    values = {"dice": [0.9, 0.8, np.nan, 0.4], "hd95": [1.0, 2.0, 3.0, 10.0]}
    found = measure_masks(values, n_boot=0)
    assert found["dice"].value == pytest.approx(0.7)
    assert (found["dice"].count, found["dice"].undefined) == (3, 1)
    assert found["median_dice"].value == pytest.approx(0.8)
    assert found["median_hd95"].value == 2.5
    assert found["hd95"].higher_is_better is False


def test_nothing_defined_is_nan() -> None:
    found = measure_masks({"dice": [np.nan, np.nan]}, n_boot=5)
    assert np.isnan(found["dice"].value)
    assert np.isnan(found["median_dice"].value)


def test_intervals_are_those_of_resampled_patients() -> None:
    rng = np.random.default_rng(0)
    values, patients = rng.normal(0.9, 0.05, 60), np.repeat(np.arange(20), 3)
    found = measure_masks({"dice": values}, groups=patients, n_boot=400)
    means, medians = [], []
    for _ in range(400):
        drawn = np.concatenate([values[patients == k] for k in rng.integers(0, 20, 20)])
        means.append(drawn.mean())
        medians.append(np.median(drawn))
    for name, draws in (("dice", means), ("median_dice", medians)):
        low, high = np.percentile(draws, [2.5, 97.5])
        assert found[name].low == pytest.approx(low, abs=0.004)
        assert found[name].high == pytest.approx(high, abs=0.004)
    assert found["median_dice"].value == pytest.approx(np.median(values))


def test_what_is_no_pair_of_masks_is_refused() -> None:
    with pytest.raises(ShapeError, match="one grid"):
        count_pixels(square(0, 0), np.zeros((3, 3), bool))
    with pytest.raises(MetricError, match="expected bool"):
        count_pixels(square(0, 0), square(0, 0).astype(np.uint8))
    with pytest.raises(ShapeError, match="one value an image"):
        measure_masks({"dice": [0.5], "mask_iou": [0.5, 0.5]})
    with pytest.raises(UnknownNameError):
        measure_masks({"dyce": [0.5]}, n_boot=0)


@pytest.mark.parametrize("name", names_of("mask_counts", "mask_borders"))
def test_every_measure_of_masks_is_best_where_all_is_found(name: str) -> None:
    facts = metrics.entry(name).facts
    perfect, worse = (
        measure_mask(square(3, 3), square(3, 3)),
        measure_mask(square(3, 3), square(4, 4)),
    )
    assert perfect[name] == facts["bounds"][1 if facts["higher_is_better"] else 0]
    sign = 1 if facts["higher_is_better"] else -1
    assert sign * worse[name] < sign * perfect[name]
    assert metrics.entry(name).summary.endswith(".")
