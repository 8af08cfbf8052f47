"""Detection over many findings, with intervals over patients and the mean box as chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lucidray.errors import MetricError, ShapeError
from lucidray.metrics.catalog import Chance, metric
from lucidray.metrics.detection import (
    COCO_IOUS,
    Detections,
    detection_ap,
    match_boxes,
    precision_statistic,
)
from lucidray.metrics.inputs import encode_groups
from lucidray.metrics.panels import weighted_mean
from lucidray.metrics.resampling import Key, Progress, estimate
from lucidray.records import Float64, Measurement

_MEAN_BOX = Chance("mean box of the other patients", lambda _: float("nan"))

#: Boxes, or scores, of one finding: one array an image.
PerImage = Sequence[npt.ArrayLike]


@metric(
    "detection_ap",
    source="Lin et al., ECCV 2014; pycocotools COCOeval, AP at IoU .50:.05:.95",
    needs="scored_boxes",
    chance=_MEAN_BOX,
)
def average_ap(boxes: PerImage, scores: PerImage, truth: PerImage) -> float:
    """Return COCO's average precision of one finding: the mean over IoU .50, .55, ..., .95.

    Args:
        boxes: ``(D, 4)`` for each image.
        scores: ``(D,)`` for each image.
        truth: ``(G, 4)`` for each image; empty where the finding is absent.

    Returns:
        In [0, 1], higher is better; nan where no image has a true box.
    """
    return float(detection_ap(boxes, scores, truth).mean())


@metric(
    "detection_ap50",
    source="Lin et al., ECCV 2014; pycocotools COCOeval, AP at IoU .50",
    needs="scored_boxes",
    chance=_MEAN_BOX,
)
def ap50(boxes: PerImage, scores: PerImage, truth: PerImage) -> float:
    """Return the average precision of one finding at an IoU of .5.

    Args and Returns as in `average_ap`.
    """
    return float(detection_ap(boxes, scores, truth, thresholds=0.5)[0])


@dataclass(frozen=True)
class DetectionPanel:
    """Both measures of every finding and their means, as a function of patient weights.

    Args:
        parts: Matched boxes of each finding, at `COCO_IOUS`.
    """

    parts: Mapping[str, Detections]

    def __call__(self, weights: Float64) -> dict[Key, Float64]:
        """Return each measure ``(B,)`` for patient weights ``(C, B)``."""
        values: dict[Key, Float64] = {}
        for finding, part in self.parts.items():
            areas = precision_statistic(part, weights)
            values[finding, "detection_ap"] = areas.mean(axis=0)
            values[finding, "detection_ap50"] = areas[0]
        for name in ("detection_ap", "detection_ap50"):
            stack = np.stack([values[finding, name] for finding in self.parts])
            values["mean", name] = weighted_mean(stack, np.ones_like(stack))
        return values


def measure_detection(
    boxes: Mapping[str, PerImage],
    scores: Mapping[str, PerImage],
    truth: Mapping[str, PerImage],
    *,
    groups: npt.ArrayLike | None = None,
    shapes: Sequence[tuple[int, int]] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    progress: Progress | None = None,
) -> dict[Key, Measurement]:
    """Measure scored boxes of several findings over the same images.

    Args:
        boxes: By finding, ``(D, 4)`` for each image.
        scores: By finding, ``(D,)`` for each image.
        truth: By finding, ``(G, 4)`` for each image; empty where the finding is absent.
        groups: ``(N,)`` patient of each image; None: each its own.
        shapes: ``(H, W)`` of each image, for the mean box; None: all are of one size.
        n_boot: Number of bootstrap replicates over patients; 0: no intervals.
        seed: Same seed, same intervals.
        level: Coverage of the intervals.
        progress: Called with replicates done and in all.

    Returns:
        By (finding, measure), and ("mean", measure) over the findings with a true box: the mAP.
        `chance` is what the mean box of the other patients scores, put on every image; `count` is
        the number of images.

    Raises:
        MetricError: The three do not name the same findings, or none.
    """
    if not boxes or not boxes.keys() == scores.keys() == truth.keys():
        raise MetricError(
            f"boxes name {sorted(boxes)}, scores {sorted(scores)}, truth {sorted(truth)}; "
            "expected the same findings in all three, at least one"
        )
    parts = {
        name: match_boxes(boxes[name], scores[name], truth[name], groups=groups) for name in boxes
    }
    count = len(next(iter(truth.values())))
    clusters = encode_groups(groups, count)[1]
    panel = DetectionPanel(parts)
    found = estimate(panel, clusters, n_boot=n_boot, seed=seed, level=level, progress=progress)
    guess = DetectionPanel({name: _mean_boxes(truth[name], groups, shapes) for name in truth})
    chance = guess(np.ones((clusters, 1)))
    return {
        key: Measurement(
            key[1], e.value, True, e.low, e.high, count=count, chance=float(chance[key][0])
        )
        for key, e in found.items()
    }


def _mean_boxes(
    truth: PerImage, groups: npt.ArrayLike | None, shapes: Sequence[tuple[int, int]] | None
) -> Detections:
    """Match the mean box of the other patients, put on every image with one score."""
    cluster, _ = encode_groups(groups, len(truth))
    sizes = np.ones((len(truth), 2)) if shapes is None else np.asarray(shapes, np.float64)
    if sizes.shape != (len(truth), 2):
        raise ShapeError(f"shapes are {sizes.shape} for {len(truth)} images; expected (H, W) each")
    scale = sizes[:, [1, 0, 1, 0]]
    rows = [np.asarray(each, dtype=np.float64).reshape(-1, 4) for each in truth]
    every = np.concatenate([row / by for row, by in zip(rows, scale, strict=True)])
    owner = np.repeat(cluster, [len(row) for row in rows])
    made = []
    for own, by in zip(cluster, scale, strict=True):
        others = every[owner != own]
        made.append(others.mean(axis=0, keepdims=True) * by if len(others) else others)
    scores = [np.ones(len(each)) for each in made]
    return match_boxes(made, scores, rows, groups=groups, thresholds=COCO_IOUS)
