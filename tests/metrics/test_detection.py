"""Detection: against COCO's algorithm written out, pycocotools' own numbers, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidray import metrics as m
from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.detection import COCO_IOUS, match_boxes, precision_statistic
from lucidray.metrics.detection_measure import ap50, average_ap

#: What pycocotools 2.0.11 answers to `_films(7, 12)`, IoU .50:.05:.95.
PYCOCOTOOLS = [
    0.51165319,
    0.40450883,
    0.37225285,
    0.31910066,
    0.2462965,
    0.22442244,
    0.18617397,
    0.04956388,
    0.00990099,
    0.0,
]

Boxes = list[np.ndarray]


def _films(seed: int, count: int) -> tuple[Boxes, Boxes, Boxes]:
    """Return boxes, scores and truth."""
    rng = np.random.default_rng(seed)
    boxes, scores, truth = [], [], []
    for _ in range(count):
        low = rng.uniform(0, 80, (rng.integers(0, 4), 2)).round()
        real = np.concatenate([low, low + rng.uniform(5, 40, low.shape).round()], axis=1)
        found = rng.integers(0, 6)
        near = real[rng.integers(0, len(real), found)] if len(real) else None
        base = np.tile([10, 10, 40, 40.0], (found, 1)) if near is None else near
        box = base + rng.normal(0, 2, (found, 4)).round(1)
        box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 1)
        truth.append(real)
        boxes.append(box)
        scores.append(rng.random(found))
    return boxes, scores, truth


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    shared = max(width, 0) * max(height, 0)
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (sum(area) - shared)


def _coco(boxes: Boxes, scores: Boxes, truth: Boxes, least: float) -> float:
    """COCO's evaluateImg and accumulate for one finding, written out."""
    flat: list[tuple[float, bool]] = []
    for box, score, real in zip(boxes, scores, truth, strict=True):
        taken: set[int] = set()
        for number in np.argsort(-score, kind="mergesort")[:100]:
            best, chosen = min(least, 1 - 1e-10), -1
            for other, candidate in enumerate(real):
                if other not in taken and _iou(box[number], candidate) >= best:
                    best, chosen = _iou(box[number], candidate), other
            taken |= {chosen} - {-1}
            flat.append((float(score[number]), chosen >= 0))
    flat.sort(key=lambda pair: -pair[0])
    hits = np.cumsum([hit for _, hit in flat])
    recall = hits / sum(map(len, truth))
    precision = hits / np.arange(1, len(flat) + 1)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([best_beyond[k] if k < len(flat) else 0 for k in places]))


def test_equals_pycocotools() -> None:
    assert m.detection_ap(*_films(7, 12)) == pytest.approx(PYCOCOTOOLS, abs=1e-8)
    assert average_ap(*_films(7, 12)) == pytest.approx(np.mean(PYCOCOTOOLS), abs=1e-8)
    assert ap50(*_films(7, 12)) == pytest.approx(PYCOCOTOOLS[0], abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_equals_the_algorithm_written_out(seed: int, count: int) -> None:
    boxes, scores, truth = _films(seed, count)
    found = m.detection_ap(boxes, scores, truth)
    if not sum(map(len, truth)):
        assert np.isnan(found).all()
    elif not sum(map(len, boxes)):
        assert (found == 0).all()
    else:
        expected = [_coco(boxes, scores, truth, least) for least in COCO_IOUS]
        assert found == pytest.approx(expected, abs=1e-12)


def test_only_the_surest_hundred_of_an_image_count() -> None:
    rng = np.random.default_rng(0)
    noise = np.tile([50, 50, 60, 60.0], (120, 1))
    boxes = [np.concatenate([noise, [[0, 0, 9, 9]]])]
    scores = [np.append(rng.uniform(0.5, 1, 120), 0.1)]
    truth = [np.array([[0, 0, 9, 9.0]])]
    assert m.detection_ap(boxes, scores, truth, thresholds=0.5) == [0]
    every = m.detection_ap(boxes, scores, truth, thresholds=0.5, max_boxes=200)
    assert every == pytest.approx([1 / 121])


def test_a_true_box_is_found_once() -> None:
    box = np.array([[0, 0, 4, 4.0]])
    twice = m.detection_ap([np.repeat(box, 2, 0)], [[0.9, 0.8]], [box], thresholds=0.5)
    assert twice == [1]
    late = m.detection_ap([np.repeat(box, 2, 0), box], [[0.9, 0.8], [0.1]], [box, box])
    assert late[0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_equal_scores_enter_together() -> None:
    good, bad = np.array([[0, 0, 4, 4.0]]), np.array([[9, 9, 12, 12.0]])
    truth = [good, np.empty((0, 4))]
    first = m.detection_ap([good, bad], [[0.5], [0.5]], truth, thresholds=0.5)
    second = m.detection_ap([bad, good], [[0.5], [0.5]], truth[::-1], thresholds=0.5)
    assert first == second == [0.5]


def test_box_iou_by_hand_and_of_empty_boxes() -> None:
    found = m.box_iou_matrix([[0, 0, 4, 2], [1, 1, 1, 1]], [[2, 0, 6, 2], [1, 1, 1, 1]])
    assert found.tolist() == [[1 / 3, 0], [0, 0]]
    assert m.box_iou_matrix(np.empty((0, 4)), np.empty((3, 4))).shape == (0, 3)


def test_weights_are_copies_of_patients() -> None:
    boxes, scores, truth = _films(3, 6)
    weights = np.array([[2.0], [0], [1], [3], [0], [1]])
    found = match_boxes(boxes, scores, truth)
    order = np.repeat(np.arange(6), weights[:, 0].astype(int))
    copies = [[part[k] for k in order] for part in (boxes, scores, truth)]
    expected = m.detection_ap(*copies)
    assert precision_statistic(found, weights)[:, 0] == pytest.approx(expected, abs=1e-12)


def test_many_findings_have_a_mean_an_interval_and_chance() -> None:
    place = np.array([[10, 10, 40, 40.0]])
    there = [place + k % 3 for k in range(20)]
    nowhere = [np.empty((0, 4))] * 20
    scores = [[0.9]] * 20
    found = m.measure_detection(
        {"Opacity": there, "Nodule": there, "Hernia": there},
        dict.fromkeys(("Opacity", "Nodule", "Hernia"), scores),
        {"Opacity": there, "Nodule": there[:10] + nowhere[:10], "Hernia": nowhere},
        groups=np.arange(20) // 2,
        n_boot=200,
    )
    assert found["Opacity", "detection_ap"].value == 1
    assert found["Opacity", "detection_ap"].chance > 0.5
    assert found["Nodule", "detection_ap50"].value == pytest.approx(0.5, abs=0.01)
    assert found["Nodule", "detection_ap50"].low < 0.5 < found["Nodule", "detection_ap50"].high
    assert np.isnan(found["Hernia", "detection_ap"].value)
    assert found["mean", "detection_ap50"].value == pytest.approx(0.75, abs=0.01)
    assert found["mean", "detection_ap"].count == 20


def test_the_mean_box_never_sees_its_own_patient() -> None:
    truth = [np.array([[0, 0, 10, 10.0]]), np.array([[50, 50, 60, 60.0]])]
    found = m.measure_detection(
        {"a": truth}, {"a": [[1], [1]]}, {"a": truth}, shapes=[(100, 100), (100, 100)], n_boot=0
    )
    assert found["a", "detection_ap"].value == 1
    assert found["a", "detection_ap"].chance == 0
    scaled = [truth[0], truth[0] * 2]
    found = m.measure_detection(
        {"a": scaled}, {"a": [[1], [1]]}, {"a": scaled}, shapes=[(20, 20), (40, 40)], n_boot=0
    )
    assert found["a", "detection_ap"].chance == 1


def test_wrong_input_is_named() -> None:
    box = np.array([[0, 0, 1, 1.0]])
    with pytest.raises(ShapeError, match="one entry an image"):
        m.detection_ap([box], [[1]], [box, box])
    with pytest.raises(MetricError, match="one finite score a box"):
        m.detection_ap([box], [[1, 2]], [box])
    with pytest.raises(MetricError, match="one finite score a box"):
        m.detection_ap([box], [[np.nan]], [box])
    with pytest.raises(ShapeError, match=r"\(D, 4\)"):
        m.detection_ap([[[1, 2, 3]]], [[1]], [box])
    with pytest.raises(MetricError, match="nan or infinite"):
        m.detection_ap([[[0, 0, 1, np.inf]]], [[1]], [box])
    with pytest.raises(MetricError, match="same findings"):
        m.measure_detection({"a": [box]}, {"b": [[1]]}, {"a": [box]})
    with pytest.raises(ShapeError, match=r"\(H, W\) each"):
        m.measure_detection({"a": [box]}, {"a": [[1]]}, {"a": [box]}, shapes=[(1, 1)] * 2, n_boot=0)
