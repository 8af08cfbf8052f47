"""MIMIC-CXR-JPG: 377,110 films of 65,379 patients of Beth Israel Deaconess Medical Center."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    ages,
    choose,
    find_table,
    make_table,
    need_table,
    number_columns,
    read_csv,
    settle,
    sexes,
    views,
)
from lucidray.datasets.scanning import located
from lucidray.datasets.table import ImageTable
from lucidray.findings import CHEXPERT, spellings

_METADATA = "mimic-cxr-2.*-metadata.csv"
_KEYS = ("dicom_id", "subject_id", "study_id")


def _recognize(root: Path) -> bool:
    return find_table(root, _METADATA) is not None


@adapter(
    "mimic_cxr_jpg",
    source="Johnson et al. 2019, arXiv:1901.07042; PhysioNet, doi:10.13026/8360-t248",
    terms="PhysioNet Credentialed Health Data License 1.5.0",
    layout="mimic-cxr-2.0.0-metadata.csv.gz (or 2.1.0), -chexpert, -split; images in files/",
    recognize=_recognize,
)
def read_mimic_cxr_jpg(
    root: Path,
    *,
    labeler: str = "chexpert",
    uncertain: str = "unknown",
    unmentioned: str = "unknown",
) -> ImageTable:
    """Read MIMIC-CXR-JPG: metadata, split and one labeler's table, images under ``files/``.

    Sex and age come from MIMIC-IV's ``patients.csv`` where it lies beside them (age: the anchor
    age moved by the years between anchor and study). Further column: `study`.

    Args:
        root: The folder with ``mimic-cxr-2.0.0-metadata.csv.gz``.
        labeler: ``"chexpert"`` or ``"negbio"``.
        uncertain: What the labeler's -1 becomes: ``"unknown"`` (nan), ``"zeros"``, ``"ones"``.
        unmentioned: What a blank becomes: ``"unknown"`` (nan) or ``"zeros"``.

    Source: Johnson et al. 2019.
    """
    choose("labeler", labeler, ("chexpert", "negbio"))
    rows = read_csv(need_table(root, _METADATA), (*_KEYS, "ViewPosition"))
    split = read_csv(need_table(root, "mimic-cxr-2.*-split.csv"), ("dicom_id", "split"))
    path = need_table(root, f"mimic-cxr-2.*-{labeler}.csv")
    published = [next(iter(spellings(name, "mimic_cxr_jpg")), name) for name in CHEXPERT]
    labeled = read_csv(path, ("study_id", *published)).drop_duplicates("study_id")
    joined = labeled.set_index("study_id").reindex(rows["study_id"])
    labels = settle(number_columns(joined, published, path), uncertain, unmentioned)
    columns = {
        "image": rows["dicom_id"],
        "path": located(root, list(_files(rows))),
        "patient": rows["subject_id"].astype(str),
        "split": rows["dicom_id"].map(_splits(split)).astype(object),
        "view_position": views(rows["ViewPosition"]),
        "source": "Beth Israel Deaconess Medical Center",
        "study": rows["study_id"].astype(str),
        **_people(root, rows),
    }
    return make_table("mimic_cxr_jpg", CHEXPERT, labels, columns)


def _files(rows: pd.DataFrame) -> pd.Series[str]:
    patient, study = "p" + rows["subject_id"].astype(str), "s" + rows["study_id"].astype(str)
    return (
        "files/" + patient.str[:3] + "/" + patient + "/" + study + "/" + rows["dicom_id"] + ".jpg"
    )


def _splits(split: pd.DataFrame) -> pd.Series[Any]:
    return split.set_index("dicom_id")["split"].replace("validate", "validation")


def _people(root: Path, rows: pd.DataFrame) -> dict[str, Any]:
    path = find_table(root, "patients.csv")
    if path is None:
        return {}
    people = read_csv(path, ("subject_id", "gender", "anchor_age", "anchor_year"))
    people = people.set_index("subject_id").reindex(rows["subject_id"]).reset_index()
    columns: dict[str, Any] = {"sex": sexes(people["gender"])}
    if "StudyDate" in rows:
        later = rows["StudyDate"].astype(int) // 10000 - people["anchor_year"]
        columns["age_years"] = ages(people["anchor_age"] + later.clip(lower=0))
    return columns
