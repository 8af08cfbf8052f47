"""Eye gaze on chest films: a radiologist's gaze while reading 1,083 films of MIMIC-CXR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    ages,
    find_table,
    has_columns,
    make_boxes,
    make_table,
    number_columns,
    read_csv,
    sexes,
)
from lucidray.datasets.scanning import located
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError

_FINDINGS = ("Normal", "Heart Failure", "Pneumonia")
_PUBLISHED = ("Normal", "CHF", "pneumonia")
_MASTER = ("dicom_id", "path", "study_id", "patient_id", "gender", "anchor_age", *_PUBLISHED)
_FIXATION = ("DICOM_ID", "Time (in secs)", "FPOGD", "X_ORIGINAL", "Y_ORIGINAL")


def _recognize(root: Path) -> bool:
    return has_columns(find_table(root, "master_sheet.csv"), _MASTER)


@adapter(
    "eye_gaze",
    source="Karargyris et al. 2021, doi:10.1038/s41597-021-00863-5; PhysioNet egd-cxr 1.0.0",
    terms="PhysioNet Credentialed Health Data License 1.5.0",
    layout="master_sheet.csv, fixations.csv, bounding_boxes.csv, audio_segmentation_transcripts/",
    recognize=_recognize,
)
def read_eye_gaze(root: Path, *, images: Path | str | None = None) -> ImageTable:
    """Read the eye-gaze set of PhysioNet; the films themselves are MIMIC-CXR's.

    Films are looked for under ``files/`` of `images`, as DICOM (MIMIC-CXR) or JPEG
    (MIMIC-CXR-JPG). Fixations outside the film are left out. Further columns: `study`;
    `fixations`, float64 ``(n, 4)``: x and y in source pixels, start in seconds since the film was
    shown, duration in seconds, in order of time (None where nobody looked); `mask`, the files of
    both lungs' segmentations. `boxes` outline anatomical structures (``cardiac silhouette``), not
    findings. Age is the middle of the published decade.

    Args:
        root: The folder with ``master_sheet.csv``.
        images: The folder of MIMIC-CXR or MIMIC-CXR-JPG that holds ``files/``; None: `root`.

    Source: Karargyris et al. 2021.
    """
    path = root / "master_sheet.csv"
    rows = read_csv(path, _MASTER).drop_duplicates("dicom_id").reset_index(drop=True)
    labels = number_columns(rows, _PUBLISHED, path)
    exclusive = bool((np.nansum(labels, axis=1) == 1).all())
    columns = {
        "image": rows["dicom_id"],
        "path": _films(Path(images) if images else root, rows["path"]),
        "patient": rows["patient_id"].astype(str),
        "age_years": _decades(rows["anchor_age"]),
        "sex": sexes(rows["gender"]),
        "source": "Beth Israel Deaconess Medical Center",
        "study": rows["study_id"].astype(str),
        "mask": _lungs(root, rows["dicom_id"]),
        "fixations": _fixations(root, rows["dicom_id"]),
    }
    boxes = _anatomy(root)
    return make_table("eye_gaze", _FINDINGS, labels, columns, boxes=boxes, exclusive=exclusive)


def _films(root: Path, paths: pd.Series[str]) -> list[str | None]:
    if not root.is_dir():
        raise DataError(f"no such folder of films: {root}.")
    dicom = located(root, list(paths))
    jpeg = located(root, list(paths.str.replace(r"\.dcm$", ".jpg", regex=True)))
    return [first or second for first, second in zip(dicom, jpeg, strict=True)]


def _decades(text: pd.Series[Any]) -> npt.NDArray[np.float64]:
    ends = text.astype("string").str.extract(r"(\d+)\D+(\d+)").astype("Float64")
    middle = ends.mean(axis=1, skipna=False).to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isnan(middle), ages(text), middle)


def _lungs(root: Path, images: pd.Series[str]) -> pd.Series[Any]:
    base = "audio_segmentation_transcripts/" + images
    left = located(root, list(base + "/left_lung.png"))
    right = located(root, list(base + "/right_lung.png"))
    pairs = [(a, b) if a and b else None for a, b in zip(left, right, strict=True)]
    return pd.Series(pairs, dtype=object)


def _fixations(root: Path, images: pd.Series[str]) -> pd.Series[Any]:
    path = find_table(root, "fixations.csv")
    if path is None:
        return pd.Series([None] * len(images), dtype=object)
    rows = read_csv(path, _FIXATION, usecols=lambda name: name in _FIXATION)
    rows = rows[(rows["X_ORIGINAL"] >= 0) & (rows["Y_ORIGINAL"] >= 0)]
    rows = rows.assign(start=(rows["Time (in secs)"] - rows["FPOGD"]).clip(lower=0))
    rows = rows.sort_values(["DICOM_ID", "start"], kind="stable")
    order = ["X_ORIGINAL", "Y_ORIGINAL", "start", "FPOGD"]
    by_image = {
        str(image): part[order].to_numpy(np.float64)
        for image, part in rows.groupby("DICOM_ID", sort=False)
    }
    return pd.Series([by_image.get(image) for image in images], dtype=object)


def _anatomy(root: Path) -> pd.DataFrame:
    path = find_table(root, "bounding_boxes.csv")
    if path is None:
        return make_boxes([], [], [], [], size=([], []))
    rows = read_csv(path, ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2"))
    end = (rows["x2"], rows["y2"])
    return make_boxes(rows["dicom_id"], rows["bbox_name"], rows["x1"], rows["y1"], end=end)
