"""Scored boxes against true ones: average precision in the COCO definition, and how sure it is.

Matching is greedy by score, all images and all IoU thresholds at once. The precision–recall curve
is written over weights of patients, so that a bootstrap replicate costs one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.inputs import Int, encode_groups, in_blocks, ratio
from lucidray.records import Bool, Float64

#: The thresholds of "AP", .50:.05:.95, and the recalls at which precision is read.
COCO_IOUS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Detections:
    """Scored boxes of one finding over many images, matched to the true ones.

    Args:
        scores: float64 ``(D,)``, falling.
        matched: bool ``(D, T)``: whether a box has found a true one at each IoU threshold.
        cluster: int ``(D,)``, the patient of each.
        truths: float64 ``(C,)``, true boxes of each patient.
        thresholds: float64 ``(T,)`` IoU.
    """

    scores: Float64
    matched: Bool
    cluster: Int
    truths: Float64
    thresholds: Float64


def box_iou_matrix(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64:
    """Return the intersection over union of all pairs of boxes.

    Args:
        first: ``(..., A, 4)``: ``(x_min, y_min, x_max, y_max)``, half-open.
        second: ``(..., B, 4)``.

    Returns:
        float64 ``(..., A, B)``; 0 where both boxes are empty.

    >>> box_iou_matrix([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(4)
    array([[0.3333, 0.    ]])
    """
    a = np.asarray(first, dtype=np.float64)[..., :, None, :]
    b = np.asarray(second, dtype=np.float64)[..., None, :, :]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.nan_to_num(ratio(shared, union))


def match_boxes(
    boxes: Sequence[npt.ArrayLike],
    scores: Sequence[npt.ArrayLike],
    truth: Sequence[npt.ArrayLike],
    *,
    groups: npt.ArrayLike | None = None,
    thresholds: npt.ArrayLike = COCO_IOUS,
    max_boxes: int = 100,
) -> Detections:
    """Match scored boxes of one finding to the true ones, the surest first.

    Args:
        boxes: ``(D, 4)`` for each image: ``(x_min, y_min, x_max, y_max)``; empty: none.
        scores: ``(D,)`` for each image.
        truth: ``(G, 4)`` for each image; empty: the finding is absent, and all boxes are false.
        groups: ``(N,)`` patient of each image; None: each its own.
        thresholds: IoU from which two boxes match.
        max_boxes: So many of the surest count in each image.

    Returns:
        The matches, by falling score.

    Raises:
        ShapeError: The three do not fit together.
        MetricError: A score or box is not finite.

    Source: pycocotools ``COCOeval.evaluateImg``, no crowd, all areas.
    """
    cluster, clusters = encode_groups(groups, len(truth))
    levels = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    found, sure, real = _padded(boxes, scores, truth, max_boxes)
    matched = _greedy(found, real, levels)
    kept = ~np.isnan(sure)
    owner = np.broadcast_to(cluster[:, None], sure.shape)[kept]
    order = np.argsort(-sure[kept], kind="stable")
    truths = np.bincount(cluster, weights=(~np.isnan(real[..., 0])).sum(axis=1), minlength=clusters)
    ranked = sure[kept][order], matched[kept][order], owner[order]
    return Detections(*ranked, truths.astype(np.float64), levels)


def _padded(
    boxes: Sequence[npt.ArrayLike],
    scores: Sequence[npt.ArrayLike],
    truth: Sequence[npt.ArrayLike],
    max_boxes: int,
) -> tuple[Float64, Float64, Float64]:
    """Return boxes ``(N, D, 4)`` by falling score, scores ``(N, D)``, truth ``(N, G, 4)``."""
    if not len(boxes) == len(scores) == len(truth):
        raise ShapeError(
            f"boxes of {len(boxes)} images, scores of {len(scores)}, truth of {len(truth)}; "
            "give one entry an image in each, empty where there is none"
        )
    found, sure = [], []
    for number, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        rows, values = _four(box), np.asarray(score, dtype=np.float64).ravel()
        if len(rows) != len(values) or not np.isfinite(values).all():
            raise MetricError(
                f"image {number} has {len(rows)} boxes and {len(values)} scores; "
                "expected one finite score a box"
            )
        order = np.argsort(-values, kind="stable")[:max_boxes]
        found.append(rows[order])
        sure.append(values[order, None])
    return _stack(found, 4), _stack(sure, 1)[..., 0], _stack([_four(box) for box in truth], 4)


def _four(boxes: npt.ArrayLike) -> Float64:
    values = np.asarray(boxes, dtype=np.float64)
    if values.size % 4 or (values.size and values.shape[-1] != 4):
        raise ShapeError(f"boxes are {values.shape}; expected (D, 4): x_min, y_min, x_max, y_max")
    if not np.isfinite(values).all():
        raise MetricError("a box has a nan or infinite side; leave out what is no box")
    return values.reshape(-1, 4)


def _stack(parts: list[Float64], width: int) -> Float64:
    out = np.full((len(parts), max(map(len, parts), default=0), width), np.nan)
    for row, part in zip(out, parts, strict=True):
        row[: len(part)] = part
    return out


def _greedy(found: Float64, real: Float64, thresholds: Float64) -> Bool:
    """Return ``(N, D, T)``: whether each box takes a true one that no surer box has taken."""
    count, depth, levels = len(found), found.shape[1], len(thresholds)
    matched = np.zeros((count, depth, levels), bool)
    if not real.shape[1]:
        return matched
    overlap = np.where(np.isnan(found[:, :, None, 0] + real[:, None, :, 0]), -1.0, 0.0)
    overlap += np.where(overlap < 0, 0.0, box_iou_matrix(found, real))
    free = np.ones((count, levels, real.shape[1]), bool)
    least = np.minimum(thresholds, 1 - 1e-10)
    images, rules = np.ogrid[:count, :levels]
    for turn in range(depth):
        open_ = np.where(free, overlap[:, turn, None, :], -1.0)
        best = real.shape[1] - 1 - open_[..., ::-1].argmax(axis=-1)
        hit = open_[images, rules, best] >= least
        matched[:, turn] = hit
        free[images, rules, best] &= ~hit
    return matched


def precision_statistic(detections: Detections, weights: Float64) -> Float64:
    """Return the average precision ``(T, B)`` for patient weights ``(C, B)``."""
    last = np.append(np.diff(detections.scores) < 0, True)[: len(detections.scores)]

    def work(part: Float64) -> Float64:
        mass, total = part[detections.cluster], detections.truths @ part
        called = np.cumsum(mass, axis=0)[last]
        hits = [np.cumsum(mass * row[:, None], axis=0)[last] for row in detections.matched.T]
        return np.stack([_interpolated(hit, called, total) for hit in hits])

    return in_blocks(weights, work)


def _interpolated(hits: Float64, called: Float64, total: Float64) -> Float64:
    """Average the highest precision at or beyond each of 101 recalls, ``(B,)``."""
    areas = np.full(len(total), np.nan)
    precision = np.nan_to_num(ratio(hits, called))
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    best = np.concatenate([best, np.zeros((1, len(total)))])
    for column in np.flatnonzero(total > 0):
        places = np.searchsorted(hits[:, column] / total[column], _RECALLS, side="left")
        areas[column] = best[places, column].mean()
    return areas


def detection_ap(
    boxes: Sequence[npt.ArrayLike],
    scores: Sequence[npt.ArrayLike],
    truth: Sequence[npt.ArrayLike],
    *,
    thresholds: npt.ArrayLike = COCO_IOUS,
    max_boxes: int = 100,
) -> Float64:
    """Return the average precision of scored boxes of one finding at each IoU threshold.

    Args as in `match_boxes`.

    Returns:
        float64 ``(T,)`` in [0, 1], higher is better; nan where no image has a true box. Its mean
        over .5, .55, ..., .95 is COCO's AP, its mean over findings the mAP.

    Source: Lin et al., ECCV 2014; pycocotools ``COCOeval``, 101 recalls, all areas.

    Deviates: boxes with equal scores enter together, so that the order of images does not matter.

    >>> found, truth = [[[0, 0, 2, 2]], []], [[[0, 0, 2, 2]], [[1, 1, 2, 2]]]
    >>> detection_ap(found, [[0.9], []], truth, thresholds=0.5).round(3)
    array([0.505])
    """
    found = match_boxes(boxes, scores, truth, thresholds=thresholds, max_boxes=max_boxes)
    return np.asarray(precision_statistic(found, np.ones((len(found.truths), 1)))[:, 0])
