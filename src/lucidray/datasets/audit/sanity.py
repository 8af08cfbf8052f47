"""Boxes, masks and images that cannot be right, or are unlike all the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.audit.duplicates import parities
from lucidray.datasets.audit.result import AnnotationFault, Outlier
from lucidray.datasets.audit.scan import Scan
from lucidray.datasets.masks import mask_of
from lucidray.datasets.table import ImageTable
from lucidray.errors import LucidRayError
from lucidray.records import Bool, Float64

#: Robust standard deviations from which an image counts as unlike the others.
OUTLYING = 8.0
#: Columns in which an adapter may hand over a mask.
MASK_COLUMNS = ("mask", "mask_runs", "mask_coco")

_ODDLY_SMALL = 64
_SAME_SIZE = 0.9


def check_boxes(table: ImageTable, scan: Scan, names: Sequence[str]) -> list[AnnotationFault]:
    """Find boxes that cannot be right.

    Args:
        table: The data set; `scan` and `names` follow its rows.
        scan: What was read of its images.
        names: How each image is called in the result.

    Returns:
        One fault a box and kind: not finite, inverted, empty, outside its image, over nearly all
        of it, given twice, of an image that the table lacks, or of a finding that the image's
        label does not have.
    """
    boxes = table.boxes
    if boxes.empty:
        return []
    place = pd.Series(np.arange(len(table)), index=table.rows["image"].to_numpy())
    rows = boxes["image"].map(place).to_numpy(dtype=np.float64)
    corners = boxes[["x_min", "y_min", "x_max", "y_max"]].to_numpy(dtype=np.float64)
    twice = boxes.duplicated().to_numpy()
    faults = []
    for number, box in enumerate(corners):
        finding = str(boxes["finding"].iloc[number])
        if math.isnan(rows[number]):
            path = str(boxes["image"].iloc[number])
            faults.append(_box(path, "of an image that the table lacks", finding, box))
            continue
        row = int(rows[number])
        kinds = list(_box_faults(box, scan.shapes[row], bool(twice[number])))
        if _label(table, row, finding) == 0:
            kinds.append("without the image's label")
        faults += [_box(names[row], kind, finding, box) for kind in kinds]
    return faults


def _box(path: str, fault: str, finding: str, box: Float64) -> AnnotationFault:
    edges = ", ".join(f"{edge:g}" for edge in box)
    return AnnotationFault(path, "box", fault, f"{finding} ({edges})")


def _box_faults(box: Float64, shape: npt.NDArray[np.int32], twice: bool) -> Iterator[str]:
    if not np.isfinite(box).all():
        yield "not finite"
        return
    left, top, right, bottom = box
    height, width = (float(side) for side in shape)
    if right < left or bottom < top:
        yield "inverted"
    elif right == left or bottom == top:
        yield "empty"
    if height and (min(left, top) < 0 or right > width + 1 or bottom > height + 1):
        yield "outside the image"
    elif height and (right - left) * (bottom - top) > 0.95 * height * width:
        yield "over nearly the whole image"
    if twice:
        yield "given twice"


def _label(table: ImageTable, row: int, finding: str) -> float:
    if finding not in table.findings:
        return math.nan
    return float(table.rows[finding].iloc[row])


def check_masks(
    table: ImageTable, scan: Scan, names: Sequence[str]
) -> tuple[int, list[AnnotationFault]]:
    """Read every mask once and find those that cannot be right.

    Returns:
        How many masks there are, and the faults: unreadable, empty, over nearly all of the image,
        or of another shape than the image.
    """
    columns = [name for name in MASK_COLUMNS if name in table.rows.columns]
    count, faults = 0, []
    if not columns:
        return 0, []
    for row, values in enumerate(table.rows[columns].to_dict("records")):
        for part in _mask_parts({str(key): value for key, value in values.items()}):
            count += 1
            fault = _mask_fault(*part, scan.shapes[row])
            if fault is not None:
                faults.append(AnnotationFault(names[row], "mask", *fault))
    return count, faults


def _mask_parts(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    coco = values.pop("mask_coco", None)
    if isinstance(coco, dict):
        for finding in coco:
            yield {"mask_coco": coco}, str(finding)
    for key, value in values.items():
        if (value is not None and not isinstance(value, float)) and len(str(value)):
            yield {key: value}, None


def _mask_fault(
    values: dict[str, Any], finding: str | None, shape: npt.NDArray[np.int32]
) -> tuple[str, str] | None:
    called = finding or "mask"
    try:
        mask = mask_of(values, finding)
    except LucidRayError as error:
        return "cannot be read", f"{called}: {type(error).__name__}"
    if mask is None:
        return None
    if shape.any() and mask.shape != tuple(shape):
        return "of another shape than the image", f"{called} {mask.shape}, image {tuple(shape)}"
    share = float(mask.mean())
    if share == 0:
        return "empty", called
    if share > 0.95:
        return "over nearly the whole image", f"{called}: {share:.0%} of the pixels"
    return None


def find_outliers(scan: Scan, names: Sequence[str]) -> list[Outlier]:
    """Find images that are unlike the others in size or intensity, blank, or inverted.

    Returns:
        At most one outlier an image and trait, the farthest first; a `robust_z` of nan where a
        fixed rule decided.
    """
    rows = np.flatnonzero(scan.readable)
    if len(rows) == 0:
        return []
    blank = scan.column("high")[rows] - scan.column("low")[rows] < 2 / 255
    found = [_fixed(names[row], "blank", scan.column("mean")[row]) for row in rows[blank]]
    rows = rows[~blank]
    found += _size_outliers(scan, rows, names)
    found += _inverted(scan, rows, names)
    for trait, name in (("mean intensity", "mean"), ("contrast", "spread")):
        found += _outlying(scan.column(name)[rows].astype(np.float64), rows, names, trait)
    return sorted(found, key=lambda outlier: -_distance(outlier))


def _distance(outlier: Outlier) -> float:
    return abs(outlier.robust_z) if math.isfinite(outlier.robust_z) else math.inf


def _fixed(path: str, trait: str, value: Any, usual: float = math.nan) -> Outlier:
    return Outlier(path, trait, float(value), usual, math.nan)


def _size_outliers(scan: Scan, rows: npt.NDArray[np.int64], names: Sequence[str]) -> list[Outlier]:
    shapes = scan.shapes[rows]
    small = shapes.min(axis=1, initial=1 << 30) < _ODDLY_SMALL
    found = [_fixed(names[row], "side in pixels", scan.shapes[row].min()) for row in rows[small]]
    kinds, index, counts = np.unique(shapes, axis=0, return_inverse=True, return_counts=True)
    usual = int(counts.argmax()) if len(counts) else 0
    if len(rows) and _SAME_SIZE <= counts[usual] / len(rows) < 1:
        area, own = float(kinds[usual].prod()), shapes.prod(axis=1)
        odd = (index.ravel() != usual) & ~small
        found += [_fixed(names[rows[k]], "pixels", own[k], area) for k in np.flatnonzero(odd)]
        return found
    height, width = shapes[~small].T.astype(np.float64)
    found += _outlying(np.log(height * width), rows[~small], names, "pixels", np.exp)
    return found + _outlying(
        np.log(width / height), rows[~small], names, "width over height", np.exp
    )


def _inverted(scan: Scan, rows: npt.NDArray[np.int64], names: Sequence[str]) -> list[Outlier]:
    """Images that go against the set's mean image, as a film shown as its negative does."""
    if len(rows) < 20:
        return []
    parts = parities(scan.thumbnails[rows])
    mean = parts.mean(axis=1, keepdims=True)
    length = float(np.sqrt((mean**2).sum()))
    if length < 0.5:
        return []
    likeness = (parts * mean).sum(axis=(0, 2)) / length
    usual = float(np.median(likeness))
    return [
        _fixed(names[rows[k]], "likeness to the mean image", likeness[k], usual)
        for k in np.flatnonzero(likeness < -0.4)
    ]


def _outlying(
    values: Float64,
    rows: npt.NDArray[np.int64],
    names: Sequence[str],
    trait: str,
    back: Any = float,
) -> list[Outlier]:
    if len(values) < 20:
        return []
    usual = float(np.median(values))
    z = robust_z(values)
    far: Bool = np.abs(z) > OUTLYING
    return [
        Outlier(names[rows[k]], trait, float(back(values[k])), float(back(usual)), float(z[k]))
        for k in np.flatnonzero(far)
    ]


def robust_z(values: Float64) -> Float64:
    """Return distances from the median in units of 1.4826 MAD; 0 where over half are equal.

    Source: Leys et al. 2013, J. Exp. Soc. Psychol. 49(4), median absolute deviation.

    >>> robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 65.43]
    """
    centered = values - np.median(values)
    scale = 1.4826 * float(np.median(np.abs(centered)))
    return centered / scale if scale > 0 else np.zeros_like(centered)
