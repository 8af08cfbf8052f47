"""The audit of a data set: read every image once, then put all the questions."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lucidray.datasets.audit.baselines import associations, baselines, traits
from lucidray.datasets.audit.duplicates import (
    DETAIL,
    NEAR,
    ORIENTATIONS,
    SAME_PATIENT_DETAIL,
    Pairs,
    find_duplicates,
    strongest_links,
)
from lucidray.datasets.audit.grouping import copy_groups, label_counts, patient_spreads
from lucidray.datasets.audit.remarks import remarks
from lucidray.datasets.audit.result import Audit, NearPair, Unreadable
from lucidray.datasets.audit.sanity import OUTLYING, check_boxes, check_masks, find_outliers
from lucidray.datasets.audit.scan import Scan, scan_images
from lucidray.datasets.split import group_ids
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError

Progress = Callable[[int, int], None]


def audit(
    table: ImageTable,
    *,
    near_threshold: float = NEAR,
    detail_threshold: float = DETAIL,
    workers: int = 2,
    root: Path | str | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Look for everything that makes results on a data set wrong or misleading.

    Each file is read once; memory stays near 4 KB an image. Copies are found by decoded pixels
    and by likeness (flipped and turned ones included), within and across splits; labels of copies
    are compared, patients followed across splits, labels set against source, view, file and image
    border, boxes and masks checked, and odd images named.

    Args:
        table: Any data set; rows without a file are counted and left out.
        near_threshold: Correlation of 32×32 thumbnails from which a pair is looked at closely.
        detail_threshold: Correlation of fine detail from which such a pair is a near duplicate.
        workers: Threads that read files side by side.
        root: The data set's folder, to which the paths in the result are relative; None: the
            deepest folder that holds all images.
        progress: Called with (done, total), first while files are read, then while they are
            compared, then while the baselines are fitted; the total changes with the phase.

    Returns:
        What was found, with remarks in order of severity.

    Raises:
        DataError: The table has no image with a file.
        ConfigError: A threshold is not between 0 and 1.
    """
    for name, value in (("near", near_threshold), ("detail", detail_threshold)):
        if not 0 < value <= 1:
            raise ConfigError(
                f"{name} threshold is {value}; it is a correlation, above 0 and up to 1."
            )
    here = table.present()
    if len(here) == 0:
        raise DataError(
            f"data set '{table.name}' has no image files here ({len(table)} rows in its table). "
            "Point to the folder that holds the images."
        )
    paths = here.paths()
    root = common_root(paths) if root is None else Path(root)
    scan = scan_images(paths, workers=workers, progress=progress)
    thresholds = (near_threshold, detail_threshold)
    return _described(table, here, scan, root, thresholds, progress)


def common_root(paths: list[Path]) -> Path:
    """Return the deepest folder that holds all files."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def relative_names(paths: list[Path], root: Path) -> list[str]:
    """Return paths relative to a folder, with forward slashes; those outside by name alone."""
    bases = (root.absolute(), root.resolve())
    return [_relative(path.absolute(), bases) for path in paths]


def _relative(path: Path, bases: tuple[Path, Path]) -> str:
    for base in bases:
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def _described(
    table: ImageTable,
    here: ImageTable,
    scan: Scan,
    root: Path,
    thresholds: tuple[float, float],
    progress: Progress | None,
) -> Audit:
    names = relative_names(here.paths(), root)
    near, detail = thresholds
    patients, _ = pd.factorize(here.rows["patient"])
    exact, pairs, clusters = find_duplicates(
        scan, threshold=near, detail=detail, patients=patients, progress=progress
    )
    known = traits(here, scan)
    masks, mask_faults = check_masks(here, scan, names)
    found = Audit(
        name=table.name,
        root=root,
        images=len(here),
        absent=len(table) - len(here),
        patients=int(patients.max(initial=-1)) + 1,
        unreadable=tuple(Unreadable(names[row], why) for row, why in scan.reasons.items()),
        exact=tuple(tuple(names[row] for row in group) for group in exact),
        identical_files=_identical(scan, exact),
        near=_named(strongest_links(pairs, len(here)), names),
        near_pair_count=len(pairs),
        groups=tuple(copy_groups(here, clusters, scan.pixel_digests, names)),
        spreads=tuple(patient_spreads(here)),
        counts=tuple(label_counts(here)),
        associations=tuple(associations(here, known)),
        baselines=tuple(baselines(here, scan, known, group_ids(here, clusters), progress=progress)),
        outliers=tuple(find_outliers(scan, names)),
        faults=(*check_boxes(here, scan, names), *mask_faults),
        boxes=len(here.boxes),
        masks=masks,
        remarks=(),
        settings={
            "near_threshold": near,
            "detail_threshold": detail,
            "same_patient_detail_threshold": SAME_PATIENT_DETAIL,
            "outlier_robust_z": OUTLYING,
        },
    )
    return replace(found, remarks=remarks(found))


def _identical(scan: Scan, groups: list[list[int]]) -> int:
    return sum(len({scan.file_digests[row] for row in group}) < len(group) for group in groups)


def _named(pairs: Pairs, names: list[str]) -> tuple[NearPair, ...]:
    order = np.argsort(-pairs.detail, kind="stable")
    return tuple(
        NearPair(
            names[pairs.first[k]],
            names[pairs.second[k]],
            float(pairs.similarity[k]),
            float(pairs.detail[k]),
            ORIENTATIONS[int(pairs.orientation[k])],
        )
        for k in order
    )
