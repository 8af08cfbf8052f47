"""What the table says of the images: copies across splits, conflicting labels, patients, counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.audit.result import CopyGroup, LabelCount, PatientSpread
from lucidray.datasets.table import ImageTable
from lucidray.records import Float32

SPLIT_ORDER = ("train", "validation", "test", "")


def copy_groups(
    table: ImageTable,
    numbers: npt.NDArray[np.int64],
    digests: Sequence[bytes],
    names: Sequence[str],
) -> list[CopyGroup]:
    """Describe each cluster of copies: its splits, its labels, and whether they conflict.

    Args:
        table: The data set; the other arguments follow its rows.
        numbers: The cluster of each row.
        digests: Digest of each image's pixels.
        names: How each image is called in the result.

    Returns:
        Groups of two or more images, the largest first.
    """
    rows = np.argsort(numbers, kind="stable")
    borders = np.flatnonzero(np.diff(numbers[rows])) + 1
    labels = table.labels()
    splits = split_names(table)
    groups = [
        _described(table, group, labels, splits, digests, names)
        for group in np.split(rows, borders)
        if len(group) > 1
    ]
    return sorted(groups, key=lambda group: (-len(group.paths), group.paths))


def _described(
    table: ImageTable,
    group: npt.NDArray[np.int64],
    labels: Float32,
    splits: Sequence[str],
    digests: Sequence[bytes],
    names: Sequence[str],
) -> CopyGroup:
    own = labels[group]
    conflict = bool(((own == 1).any(axis=0) & (own == 0).any(axis=0)).any())
    spelled = dict.fromkeys(label_text(table.findings, row) for row in own)
    present = {splits[row] for row in group} - {""}
    return CopyGroup(
        paths=tuple(names[row] for row in group),
        exact=len({digests[row] for row in group}) == 1,
        splits=tuple(name for name in SPLIT_ORDER if name in present),
        labels=tuple(spelled),
        conflict=conflict,
    )


def label_text(findings: Sequence[str], labels: Float32) -> str:
    """Spell one row of labels: the findings that are present, or what else is known.

    >>> label_text(["Mass", "Edema"], np.array([0, 1], dtype=np.float32))
    'Edema'
    """
    present = [name for name, label in zip(findings, labels, strict=True) if label == 1]
    if present:
        return ", ".join(present)
    return "no label" if len(labels) == 0 or np.isnan(labels).all() else "none"


def patient_spreads(table: ImageTable) -> list[PatientSpread]:
    """Find patients whose images stand in several splits, those with most images first."""
    rows = pd.DataFrame({"patient": table.rows["patient"], "split": split_names(table)})
    rows = rows[rows["patient"].notna() & (rows["split"] != "")]
    several = rows.groupby("patient")["split"].transform("nunique") > 1
    spreads = []
    for patient, own in rows[several].groupby("patient"):
        present = set(own["split"])
        order = tuple(name for name in SPLIT_ORDER if name in present)
        spreads.append(PatientSpread(str(patient), order, len(own)))
    return sorted(spreads, key=lambda spread: (-spread.images, spread.patient))


def label_counts(table: ImageTable) -> list[LabelCount]:
    """Count each finding in each split."""
    labels = table.labels()
    splits = np.array(split_names(table), dtype=object)
    counts = []
    for split in (name for name in SPLIT_ORDER if (splits == name).any()):
        own = labels[splits == split]
        for column, finding in enumerate(table.findings):
            present = int((own[:, column] == 1).sum())
            absent = int((own[:, column] == 0).sum())
            counts.append(LabelCount(finding, split, present, absent, len(own) - present - absent))
    return counts


def split_names(table: ImageTable) -> list[str]:
    """Return the split of each row, ``""`` where it has none."""
    return ["" if pd.isna(name) else str(name) for name in table.rows["split"]]
