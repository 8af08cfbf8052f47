"""RSNA Pneumonia Detection Challenge 2018: opacity boxes on 30,000 films of ChestX-ray14."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    find_table,
    has_columns,
    make_boxes,
    make_table,
    need_table,
    read_csv,
    stem,
)
from lucidray.datasets.scanning import image_index
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError

_TABLES = ("stage_2_train_labels*.csv", "stage_1_train_labels*.csv")
_COLUMNS = ("patientId", "x", "y", "width", "height", "Target")


def _recognize(root: Path) -> bool:
    return has_columns(find_table(root, *_TABLES), _COLUMNS)


@adapter(
    "rsna_pneumonia",
    source="Shih et al. 2019, doi:10.1148/ryai.2019180041; Kaggle and RSNA 2018",
    terms="RSNA challenge terms: academic and other non-commercial use, with attribution",
    layout="stage_2_train_labels.csv, stage_2_train_images/ID.dcm",
    recognize=_recognize,
)
def read_rsna_pneumonia(root: Path) -> ImageTable:
    """Read the RSNA challenge's training set as Kaggle gives it.

    The finding is Lung Opacity (the challenge calls it a suspicion of pneumonia). One row an
    image, although the table has one a box. ``stage_2_detailed_class_info.csv`` adds the column
    `rsna_class` (``Normal``, ``No Lung Opacity / Not Normal``, ``Lung Opacity``). The challenge's
    ``patientId`` names an image, not a patient; with RSNA's mapping
    (``pneumonia-challenge-dataset-mappings_2018.json``) `patient` is ChestX-ray14's and `nih_image`
    its image, without it `patient` is empty.

    Args:
        root: The folder with ``stage_2_train_labels.csv``.

    Source: Shih et al. 2019.
    """
    path = need_table(root, *_TABLES)
    rows = read_csv(path, _COLUMNS)
    images = rows.drop_duplicates("patientId").reset_index(drop=True)
    target = rows.groupby("patientId")["Target"].max().reindex(images["patientId"])
    if not target.isin([0, 1]).all():
        raise DataError(f"{path}: column 'Target' holds something other than 0 and 1.")
    boxed = rows.dropna(subset=["x"])
    size = (boxed["width"], boxed["height"])
    names = ["Lung Opacity"] * len(boxed)
    columns = {
        "image": images["patientId"],
        "path": images["patientId"].map(image_index(root)).astype(object),
        "split": "train",
        "source": "NIH Clinical Center",
        **_classes(root, images["patientId"]),
        **_mapped(root, images["patientId"]),
    }
    boxes = make_boxes(boxed["patientId"], names, boxed["x"], boxed["y"], size=size)
    labels = target.to_numpy(np.float32)[:, None]
    return make_table("rsna_pneumonia", ("Lung Opacity",), labels, columns, boxes=boxes)


def _classes(root: Path, images: pd.Series[Any]) -> dict[str, Any]:
    path = find_table(root, "stage_2_detailed_class_info.csv", "stage_1_detailed_class_info.csv")
    if path is None:
        return {}
    rows = read_csv(path, ("patientId", "class")).drop_duplicates("patientId")
    return {"rsna_class": images.map(rows.set_index("patientId")["class"]).astype(object)}


def _mapped(root: Path, images: pd.Series[Any]) -> dict[str, Any]:
    path = next(iter(sorted(root.glob("pneumonia-challenge-dataset-mappings*.json"))), None)
    if path is None:
        return {}
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
        nih = {pair["subset_img_id"]: stem(pair["img_id"]) for pair in pairs}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no list of subset_img_id and img_id; use RSNA's file unchanged."
        ) from error
    names = images.map(nih)
    patient = pd.to_numeric(names.str.split("_").str[0], errors="coerce").astype("Int64")
    return {"patient": patient.astype("string").astype(object), "nih_image": names.astype(object)}
