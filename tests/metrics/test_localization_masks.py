"""Cut maps: IoU against a loop, Otsu against OpenCV, boxes by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.localization_batch import make_batch, otsu_levels
from lucidray.metrics.localization_masks import as_boxes, cut


def _case(seed: int, size: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(size, size)), 2).astype(np.float32)
    mask = ndimage.gaussian_filter(rng.normal(size=(size, size)), 3) > 0
    mask[0, 0] = True
    return values, mask


def _overlap(taken: np.ndarray, mask: np.ndarray) -> float:
    return (taken & mask).sum() / (taken | mask).sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.99))
def test_iou_equals_a_loop(seed: int, threshold: float) -> None:
    values, mask = _case(seed)
    heat = np.maximum(values, 0)
    taken = heat / heat.max() > np.float32(threshold)
    assert m.map_iou(values, mask, threshold=threshold) == pytest.approx(_overlap(taken, mask))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_otsu_equals_opencv(seed: int) -> None:
    values, mask = _case(seed)
    heat = np.maximum(values, 0)
    levels = np.uint8(255 * (heat / heat.max()))
    taken = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[1] > 0
    assert np.array_equal(cut(make_batch(values[None], mask[None]), "otsu")[0], taken.ravel())
    assert m.map_iou(values, mask) == pytest.approx(_overlap(taken, mask))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=4, max_size=30).filter(any))
def test_otsu_splits_with_the_largest_variance_between(counts: list[int]) -> None:
    level = np.repeat(np.arange(len(counts)), counts)
    total = level.var()
    within = [
        sum(part.var() * len(part) for part in (level[level <= t], level[level > t]) if len(part))
        for t in range(len(counts))
    ]
    best = int(otsu_levels(np.array([counts]))[0])
    assert within[best] == pytest.approx(min(within), abs=1e-9 * (1 + total) * len(level))


def test_iou_curve_is_iou_at_every_threshold() -> None:
    cases = [_case(seed) for seed in range(5)]
    maps, masks = (np.stack(part) for part in zip(*cases, strict=True))
    masks[1], maps[2, 0, 0] = False, np.nan
    cuts = [0, 0.2, 0.5, 0.9]
    expected = np.stack([m.map_iou(maps, masks, threshold=t) for t in cuts], axis=1)
    assert m.map_iou_curve(maps, masks, cuts) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(expected[1:3]).all()


def test_a_tuned_threshold_is_the_best_of_those_tried() -> None:
    truth = np.zeros((3, 16, 16), bool)
    truth[:, 4:9, 4:9] = True
    halo = ndimage.uniform_filter(truth.astype(float), (0, 7, 7)) * 0.5
    tuned = m.tune_threshold(halo + truth, truth)
    assert m.map_iou(halo + truth, truth, threshold=tuned).mean() == 1
    assert m.map_iou(halo + truth, truth, threshold=0.0).mean() < 0.5
    with pytest.raises(MetricError, match="none to tune on"):
        m.tune_threshold(halo, np.zeros_like(truth))


def test_a_box_is_drawn_round_the_largest_region() -> None:
    values = np.zeros((1, 10, 12))
    values[0, 1:5, 2:8], values[0, 8:10, 10:12] = 0.6, 1.0
    mask = np.zeros((1, 10, 12), bool)
    mask[0, 1:5, 2:5] = True
    assert m.box_iou(values, mask, threshold=0.5) == pytest.approx([12 / 24])
    assert m.box_iou(values, mask, threshold=0.7) == [0]
    far = [[[9, 7, 12, 10], [2, 1, 8, 5]]]
    assert m.box_iou(values, mask, boxes=far, threshold=0.5) == [1]
    hits = [m.box_hit(values, mask, at=at, threshold=0.5)[0] for at in (0.1, 0.5, 0.51)]
    assert hits == [1, 1, 0]


def test_a_map_without_evidence_has_no_box() -> None:
    maps, masks = np.zeros((2, 6, 6)), np.ones((2, 6, 6), bool)
    masks[1] = False
    assert m.box_iou(maps, masks)[0] == 0
    assert np.isnan(m.box_iou(maps, masks)[1])
    assert np.isnan(m.box_hit(maps, masks, at=0.1)[1])


def test_boxes_become_masks_by_pixel_centers() -> None:
    mask = m.mask_from_boxes([[0.4, 0.6, 2.6, 2.5], [-5, -5, 1, 1], [3, 3, 99, 99]], (4, 4))
    assert mask.astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert not m.mask_from_boxes([], (2, 2)).any()
    assert as_boxes([]).shape == (0, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_whole_boxes_have_their_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.integers(0, 9, 2), rng.integers(9, 15, 2)
    mask = m.mask_from_boxes([[*low, *high]], (15, 15))
    assert mask.sum() == np.prod(high - low)
    assert m.box_iou(mask[None] * 1.0, mask[None], boxes=[[[*low, *high]]]) == [1]


def test_wrong_boxes_and_thresholds_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(G, 4\)"):
        as_boxes([1, 2, 3])
    for box in ([3, 0, 1, 2], [0, 0, np.nan, 1]):
        with pytest.raises(MetricError, match="box"):
            as_boxes([box])
    with pytest.raises(ShapeError, match="2 lists of boxes for 1 maps"):
        m.box_iou(np.ones((1, 3, 3)), np.ones((1, 3, 3), bool), boxes=[[], []])
    with pytest.raises(ShapeError, match=r"\(N, H, W\)"):
        m.map_iou_curve(np.ones((3, 3)), np.ones((3, 3), bool), [0.5])
    with pytest.raises(MetricError, match="threshold"):
        m.map_iou_curve(np.ones((1, 3, 3)), np.ones((1, 3, 3), bool), [1.5])
