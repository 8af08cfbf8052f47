"""PadChest: 160,868 films of 67,625 patients of Hospital San Juan, Alicante."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    Float32,
    ages,
    choose,
    find_table,
    make_table,
    need_table,
    read_csv,
    sexes,
    views,
)
from lucidray.datasets.scanning import image_index
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.findings import SPELLINGS, canonical, is_known

_TABLE = "PADCHEST_chest_x_ray_images_labels_160K*.csv"
_COLUMNS = ("ImageID", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth",
            "PatientSex_DICOM", "Projection", "MethodLabel", "Labels")  # fmt: skip
#: Labels that say nothing of the patient, or that the film shows nothing new.
_OTHER = {"", "exclude", "unchanged", "suboptimal study"}
_OWN = ("Air Trapping", "Alveolar Pattern", "Bronchiectasis", "Cardiomegaly", "Clavicle Fracture",
        "Consolidation", "Costophrenic Angle Blunting", "Emphysema", "Fracture",
        "Hemidiaphragm Elevation", "Interstitial Pattern", "Mediastinal Shift", "Normal",
        "Scoliosis", "Tuberculosis")  # fmt: skip

#: The findings that we read, by canonical name.
FINDINGS = tuple(sorted({*SPELLINGS["padchest"].values(), *_OWN}))


def _recognize(root: Path) -> bool:
    return find_table(root, _TABLE) is not None


@adapter(
    "padchest",
    source="Bustos et al. 2020, arXiv:1901.07441; BIMCV",
    terms="PadChest Dataset Research Use Agreement, no commercial use",
    layout="PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .gz), images in 0/ to 54/",
    recognize=_recognize,
)
def read_padchest(root: Path, *, method: str = "any") -> ImageTable:
    """Read PadChest: the table of labels, and the images in their folders 0 to 54 or in one.

    The publisher's 190 labels are kept in the column `published` (a tuple an image); those with a
    canonical name become findings, 1 or 0, several spellings of one finding united. Films whose
    only labels say nothing of the patient (``exclude``, ``suboptimal study``, ``unchanged``) and
    films without labels have unknown findings. Age is the study's year less the birth year.
    Further columns: `study`, `method` (``Physician`` or ``RNN_model``), `published`.

    Args:
        root: The folder with the table.
        method: ``"any"``, or ``"physician"`` for the 39,039 films that physicians labeled.

    Source: Bustos et al. 2020.
    """
    choose("method", method, ("any", "physician"))
    rows = read_csv(need_table(root, _TABLE), _COLUMNS, usecols=lambda name: name in _COLUMNS)
    if method == "physician":
        rows = rows[rows["MethodLabel"] == "Physician"].reset_index(drop=True)
    published, labels = _labels(rows["Labels"])
    year = pd.to_numeric(rows["StudyDate_DICOM"], errors="coerce") // 10000
    columns = {
        "image": rows["ImageID"],
        "path": rows["ImageID"].str.removesuffix(".png").map(image_index(root)).astype(object),
        "patient": rows["PatientID"].astype(str),
        "view_position": views(rows["Projection"]),
        "age_years": ages(year - pd.to_numeric(rows["PatientBirth"], errors="coerce")),
        "sex": sexes(rows["PatientSex_DICOM"]),
        "source": "Hospital San Juan",
        "study": rows["StudyID"],
        "method": rows["MethodLabel"],
        "published": published,
    }
    return make_table("padchest", FINDINGS, labels, columns)


def _labels(cells: pd.Series[Any]) -> tuple[pd.Series[Any], Float32]:
    codes, texts = pd.factorize(cells.fillna("[]"))
    lists = np.empty(len(texts), dtype=object)
    vectors = np.zeros((len(texts), len(FINDINGS)), np.float32)
    for place, text in enumerate(texts):
        lists[place] = _parse(str(text))
        vectors[place] = _vector(lists[place])
    return pd.Series(lists[codes]), vectors[codes]


def _parse(text: str) -> tuple[str, ...]:
    try:
        return tuple(sorted({str(item).strip() for item in ast.literal_eval(text)}))
    except (ValueError, SyntaxError) as error:
        raise DataError(
            "a cell of the column 'Labels' is no list of labels. Use the publisher's table "
            "unchanged."
        ) from error


def _vector(published: tuple[str, ...]) -> Float32:
    if set(published) <= _OTHER:
        return np.full(len(FINDINGS), np.nan, np.float32)
    names = {canonical(label) for label in published if is_known(label)}
    return np.array([name in names for name in FINDINGS], np.float32)
