"""VinDr-CXR: 18,000 PA films of two hospitals in Hanoi with radiologists' boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    choose,
    find_table,
    has_columns,
    make_boxes,
    make_table,
    number_columns,
    read_csv,
)
from lucidray.datasets.scanning import image_index
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.findings import canonical

_BOX_COLUMNS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")


def _kaggle(root: Path) -> Path | None:
    path = find_table(root, "train.csv")
    return path if has_columns(path, (*_BOX_COLUMNS, "rad_id")) else None


def _recognize(root: Path) -> bool:
    official = find_table(root, "annotations/image_labels_*.csv")
    return official is not None or _kaggle(root) is not None


@adapter(
    "vindr_cxr",
    source="Nguyen et al. 2022, doi:10.1038/s41597-022-01498-w; PhysioNet, doi:10.13026/3akn-b287",
    terms="PhysioNet Credentialed Health Data License 1.5.0",
    layout="annotations/image_labels_train.csv (or Kaggle's train.csv with rad_id), train/, test/",
    recognize=_recognize,
)
def read_vindr_cxr(root: Path, *, readers: str = "majority") -> ImageTable:
    """Read VinDr-CXR from PhysioNet (22 local, 6 global labels) or from Kaggle (14 local labels).

    Three radiologists read each training film; the test labels are a consensus of five. Boxes of
    all readers are kept. The publisher gives no patient ids: `patient` is empty. Further column:
    `readers`, how many read the image.

    Args:
        root: The folder with ``annotations/`` (PhysioNet) or ``train.csv`` (Kaggle).
        readers: When a finding is 1: ``"majority"`` of the readers, or ``"any"`` of them.

    Source: Nguyen et al. 2022.
    """
    choose("readers", readers, ("majority", "any"))
    kaggle = _kaggle(root)
    votes, boxes = _from_boxes(kaggle) if kaggle is not None else _official(root)
    findings = [name for name in votes.columns if name not in ("image_id", "split")]
    grouped = votes.groupby("image_id", sort=True)
    share = grouped[findings].mean().to_numpy(np.float32)
    labels = (share > 0.5 if readers == "majority" else share > 0).astype(np.float32)
    labels[np.isnan(share)] = np.nan
    images = grouped["split"].first()
    columns = {
        "image": images.index.to_series(),
        "path": images.index.to_series().map(image_index(root)).astype(object),
        "split": images,
        "view_position": "PA",
        "source": "Hospital 108 and Hanoi Medical University Hospital",
        "readers": grouped.size(),
    }
    columns = {key: getattr(value, "array", value) for key, value in columns.items()}
    return make_table("vindr_cxr", findings, labels, columns, boxes=boxes)


def _official(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    votes, boxes = [], []
    for split in ("train", "test"):
        path = find_table(root, f"annotations/image_labels_{split}.csv")
        if path is None:
            continue
        rows = read_csv(path, ("image_id",))
        published = [name for name in rows.columns if name not in ("image_id", "rad_id")]
        values = number_columns(rows, published, path)
        vote = pd.DataFrame(values, columns=[canonical(name) for name in published])
        votes.append(vote.assign(image_id=rows["image_id"], split=split))
        local = find_table(root, f"annotations/annotations_{split}.csv")
        if local is not None:
            boxes.append(_boxes(read_csv(local, _BOX_COLUMNS)))
    if not votes:
        raise DataError(f"{root} has no annotations/image_labels_train.csv or _test.csv.")
    return pd.concat(votes, ignore_index=True), pd.concat([*boxes, _boxes(None)])


def _from_boxes(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = read_csv(path, (*_BOX_COLUMNS, "rad_id"))
    rows["class_name"] = rows["class_name"].map(canonical)
    votes = pd.crosstab([rows["image_id"], rows["rad_id"]], rows["class_name"]).clip(upper=1)
    votes = votes.astype("float32").reset_index().drop(columns="rad_id")
    votes.columns.name = None
    return votes.assign(split="train"), _boxes(rows)


def _boxes(rows: pd.DataFrame | None) -> pd.DataFrame:
    if rows is None:
        return make_boxes([], [], [], [], size=([], []))
    rows = rows.dropna(subset=["x_min"])
    names: Any = rows["class_name"].map(canonical)
    end = (rows["x_max"], rows["y_max"])
    return make_boxes(rows["image_id"], names, rows["x_min"], rows["y_min"], end=end)
