"""CheXpert: 224,316 films of 65,240 patients of Stanford Hospital, 14 observations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    Float32,
    ages,
    find_table,
    has_columns,
    make_table,
    number_columns,
    read_csv,
    settle,
    sexes,
    views,
)
from lucidray.datasets.scanning import located
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.findings import CHEXPERT, canonical

#: The publisher's tables and the split that each one is.
_TABLES = {
    "train": ("train.csv",),
    "validation": ("valid.csv", "val_labels.csv"),
    "test": ("test.csv", "test_labels.csv"),
}


def _recognize(root: Path) -> bool:
    if any(root.glob("gt_segmentations_*.json")):
        return False
    return any(
        has_columns(find_table(root, *names), ("Path", "Enlarged Cardiomediastinum"))
        for names in _TABLES.values()
    )


@adapter(
    "chexpert",
    source="Irvin et al. 2019, arXiv:1901.07031; Stanford AIMI",
    terms="Stanford University Dataset Research Use Agreement, no commercial use",
    layout="train.csv or valid.csv with a Path column (CheXpert-v1.0 or -small)",
    recognize=_recognize,
)
def read_chexpert(
    root: Path, *, uncertain: str = "unknown", unmentioned: str = "unknown"
) -> ImageTable:
    """Read CheXpert as it is unpacked: ``train.csv``, ``valid.csv`` and the images beside them.

    The official test labels (``test_labels.csv``) are read too where present. Where the report
    says No Finding, observations that it does not mention are 0. Further columns: `study`,
    `frontal` (bool). Lateral films without a side get the view position LL.

    Args:
        root: The folder with ``train.csv`` (``CheXpert-v1.0`` or ``CheXpert-v1.0-small``).
        uncertain: What the labeler's -1 becomes: ``"unknown"`` (nan), ``"zeros"``, ``"ones"``.
        unmentioned: What a blank becomes: ``"unknown"`` (nan) or ``"zeros"`` (as the paper).

    Source: Irvin et al. 2019, section 3 and table 1.
    Deviates: blanks are unknown by default, not negative.
    """
    parts = chexpert_parts(root)
    if not parts:
        raise DataError(f"{root} has no train.csv, valid.csv or test_labels.csv.")
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    labels = settle(np.concatenate([values for _, values in parts]), uncertain, unmentioned)
    return make_table("chexpert", CHEXPERT, labels, described(root, rows))


def chexpert_parts(root: Path) -> list[tuple[pd.DataFrame, Float32]]:
    """Read every label table of a folder: its rows with their split, and its labels."""
    parts = []
    for split, names in _TABLES.items():
        path = find_table(root, *names)
        if path is None:
            continue
        rows = read_csv(path, ("Path",))
        published = {canonical(name): name for name in rows.columns if _is_observation(name)}
        values = np.full((len(rows), len(CHEXPERT)), np.nan, np.float32)
        for place, finding in enumerate(CHEXPERT):
            if finding in published:
                values[:, place] = number_columns(rows, [published[finding]], path)[:, 0]
        parts.append((rows.assign(split=split), _nothing_found(values)))
    return parts


def _is_observation(column: str) -> bool:
    return column.casefold() in {name.casefold() for name in (*CHEXPERT, "Pleural Effusion")} | {
        "airspace opacity"
    }


def _nothing_found(labels: Float32) -> Float32:
    healthy = (labels[:, CHEXPERT.index("No Finding")] == 1)[:, None]
    return np.asarray(np.where(healthy & np.isnan(labels), 0, labels), np.float32)


def described(root: Path, rows: pd.DataFrame) -> dict[str, Any]:
    """Turn CheXpert's columns into ours; its paths start with a name of the folder itself."""
    parts = rows["Path"].str.extract(
        r"(?P<path>(?:train|valid|val|test)/(?P<patient>patient\d+)/(?P<study>study\d+)/.*)$"
    )
    if parts["path"].isna().any():
        raise DataError(
            f"{int(parts['path'].isna().sum())} paths are not SPLIT/patientN/studyN/FILE. "
            "Use the publisher's table unchanged."
        )
    lateral = rows["Path"].str.contains("lateral", case=False)
    view = views(_column(rows, "AP/PA"))
    sex, age = _column(rows, "Sex"), ages(_column(rows, "Age"))
    return {
        "image": parts["path"],
        "path": _paths(root, list(parts["path"])),
        "patient": parts["patient"],
        "split": rows["split"],
        "view_position": view.where(~lateral | view.isin(["LL", "RL"]), "LL"),
        "age_years": np.where(age == 0, np.nan, age),
        "sex": sexes(sex.where(sex.isin(["Female", "Male"]))),
        "source": "Stanford Hospital",
        "study": parts["patient"] + "/" + parts["study"],
        "frontal": ~lateral,
    }


def _paths(root: Path, names: list[str]) -> list[str | None]:
    """Find the images, whose validation folder is called valid or val."""
    if not (root / "valid").is_dir() and (root / "val").is_dir():
        names = ["val" + name[5:] if name.startswith("valid/") else name for name in names]
    return located(root, names)


def _column(rows: pd.DataFrame, name: str) -> pd.Series[Any]:
    return rows[name] if name in rows else pd.Series([None] * len(rows), dtype=object)
