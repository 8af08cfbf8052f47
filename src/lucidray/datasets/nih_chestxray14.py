"""NIH ChestX-ray14: 112,120 frontal films of 30,805 patients, 14 labels mined from reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import (
    ages,
    choose,
    find_table,
    has_columns,
    make_boxes,
    make_table,
    need_table,
    read_csv,
    sexes,
    split_labels,
    stem,
    views,
)
from lucidray.datasets.scanning import image_index, subfolders
from lucidray.datasets.simulated import is_simulated, truth_columns
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.findings import CHESTXRAY14, canonical

_ENTRY = "Data_Entry_2017*.csv"
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender")
#: Google's columns and the ChestX-ray14 labels that they read anew.
_RELABELS = {
    "Fracture": (),
    "Pneumothorax": ("Pneumothorax",),
    "Airspace opacity": (),
    "Nodule or mass": ("Mass", "Nodule"),
}


def _recognize(root: Path) -> bool:
    return find_table(root, _ENTRY) is not None


@adapter(
    "nih_chestxray14",
    source="Wang et al. 2017, arXiv:1705.02315; NIH Clinical Center",
    terms="free use with attribution to the NIH Clinical Center",
    layout="Data_Entry_2017.csv or Data_Entry_2017_v2020.csv (or .gz), images in images*/",
    recognize=_recognize,
)
def read_nih_chestxray14(
    root: Path,
    *,
    tables: Path | str | None = None,
    relabels: str = "join",
    no_finding: bool = False,
) -> ImageTable:
    """Read NIH ChestX-ray14 in the layout of its download.

    Images lie in ``images/`` or ``images_001/images/`` to ``images_012/images/``, as PNG or JPEG.
    Further tables are joined where present, plain or gzipped: the official patient-wise lists
    ``train_val_list.txt`` and ``test_list.txt`` (`split` train and test; elsewhere empty), the
    boxes of ``BBox_List_2017.csv``, the RSNA radiologists' opacity boxes
    (``rsna_opacity_boxes.csv``; boxes of Lung Opacity and the column `rsna_class`), and Google's
    adjudicated labels (columns `adjudicated_...`). Phantoms in this layout add what
    `simulated.truth_columns` names. `image` is the file name without suffix, so that PNG and JPEG
    copies share the tables.

    Args:
        root: The folder with ``Data_Entry_2017*.csv``.
        tables: A second folder to look for the further tables in.
        relabels: ``"join"`` adds Google's labels as columns; ``"replace"`` also puts them in the
            place of the mined Pneumothorax, Nodule and Mass (an adjudicated "nodule or mass"
            where neither was mined leaves both unknown); ``"off"`` leaves them out.
        no_finding: Whether to add the finding No Finding: 1 where no label applies.

    Source: Wang et al. 2017; relabels: Majkowska et al. 2020, doi:10.1148/radiol.2019191293;
        RSNA boxes: Shih et al. 2019, doi:10.1148/ryai.2019180041.
    """
    choose("relabels", relabels, ("join", "replace", "off"))
    path = need_table(root, _ENTRY)
    entry = read_csv(path, _COLUMNS)
    images = entry["Image Index"].map(stem)
    labels = split_labels(entry["Finding Labels"], "|", CHESTXRAY14, "No Finding")
    findings: tuple[str, ...] = CHESTXRAY14
    places = [root] if tables is None else [root, Path(tables)]
    extra = _joined(places, images)
    if relabels != "off":
        extra |= _adjudicated(places, images)
    if relabels == "replace":
        labels = _replaced(labels, extra)
    if no_finding:
        findings = (*findings, "No Finding")
        labels = np.column_stack([labels, 1 - labels.max(axis=1)]).astype(np.float32)
    columns = {"image": images, **_described(root, entry, images), **extra}
    if is_simulated(root):
        columns |= truth_columns(root, images)
    boxes = pd.concat([_nih_boxes(places), _rsna_boxes(places)], ignore_index=True)
    boxes = boxes[boxes["image"].isin(images)].reset_index(drop=True)
    table = make_table("nih_chestxray14", findings, labels, columns, boxes=boxes)
    return replace(table, terms="simulated, nobody's films") if is_simulated(root) else table


def _described(root: Path, entry: pd.DataFrame, images: pd.Series[Any]) -> dict[str, Any]:
    files = _files(root, "images")
    columns = {
        "path": images.map(files).astype(object),
        "patient": entry["Patient ID"].astype(str),
        "age_years": ages(entry["Patient Age"]),
        "sex": sexes(entry["Patient Gender"]),
        "source": "NIH Clinical Center",
    }
    if "View Position" in entry:
        columns["view_position"] = views(entry["View Position"])
    if "Follow-up #" in entry:
        columns["follow_up"] = entry["Follow-up #"]
    if "OriginalImage[Width" in entry and "Height]" in entry:
        columns["original_width"] = entry["OriginalImage[Width"]
        columns["original_height"] = entry["Height]"]
    return columns


def _files(root: Path, prefix: str) -> dict[str, str]:
    folders = [place for place in subfolders(root) if place.name.lower().startswith(prefix)]
    found: dict[str, str] = {}
    for folder in folders or [root]:
        found |= image_index(folder)
    return found


def _find(places: list[Path], *patterns: str) -> Path | None:
    return next((path for place in places if (path := find_table(place, *patterns))), None)


def _joined(places: list[Path], images: pd.Series[Any]) -> dict[str, Any]:
    extra: dict[str, Any] = {"split": _official(places, images)}
    path = _find(places, "rsna_opacity_boxes.csv")
    if path is not None:
        read = read_csv(path, ("Image Index", "class"))
        classes = read.assign(image=read["Image Index"].map(stem)).drop_duplicates("image")
        extra["rsna_class"] = images.map(classes.set_index("image")["class"]).astype(object)
    return extra


def _official(places: list[Path], images: pd.Series[Any]) -> npt.NDArray[np.object_]:
    split = np.full(len(images), None, dtype=object)
    for name, patterns in (
        ("train", ("train_val_list*.txt", "nih_train_val_list*.txt")),
        ("test", ("test_list*.txt", "nih_test_list*.txt")),
    ):
        path = _find(places, *patterns)
        if path is None:
            continue
        listed = pd.read_csv(path, header=None, names=["image"])["image"].map(stem)
        both = images.isin(listed).to_numpy()
        if (both & (split == "train")).any():
            raise DataError(f"{path} lists images that the train_val list names too.")
        split[both] = name
    return split


def _nih_boxes(places: list[Path]) -> pd.DataFrame:
    path = _find(places, "BBox_List_2017.csv")
    if path is None:
        return make_boxes([], [], [], [], size=([], []))
    box = read_csv(path, ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"))
    findings = box["Finding Label"].map(canonical)
    size = (box["w"], box["h]"])
    return make_boxes(box["Image Index"].map(stem), findings, box["Bbox [x"], box["y"], size=size)


def _rsna_boxes(places: list[Path]) -> pd.DataFrame:
    path = _find(places, "rsna_opacity_boxes.csv")
    if path is None:
        return make_boxes([], [], [], [], size=([], []))
    box = read_csv(path, ("Image Index", "x", "y", "width", "height")).dropna(subset=["x"])
    findings = ["Lung Opacity"] * len(box)
    size = (box["width"], box["height"])
    return make_boxes(box["Image Index"].map(stem), findings, box["x"], box["y"], size=size)


def _adjudicated(places: list[Path], images: pd.Series[Any]) -> dict[str, Any]:
    path = _find(places, "google2019_nih-chest-xray-labels.csv", "*four_findings*.csv")
    if not has_columns(path, ("Image Index", *_RELABELS)) or path is None:
        return {}
    google = read_csv(path, ("Image Index", *_RELABELS))
    google.index = pd.Index(google["Image Index"].map(stem))
    answers = {"YES": 1.0, "NO": 0.0}
    joined: dict[str, Any] = {
        f"adjudicated_{canonical(name)}": images.map(google[name].map(answers)).astype("float32")
        for name in _RELABELS
    }
    if "Set Id" in google:
        joined["adjudicated_set"] = images.map(google["Set Id"]).astype(object)
    return joined


def _replaced(labels: Any, extra: dict[str, Any]) -> Any:
    labels = labels.copy()
    for spelled, names in _RELABELS.items():
        adjudicated = extra.get(f"adjudicated_{canonical(spelled)}")
        if adjudicated is None or not names:
            continue
        answer = adjudicated.to_numpy()
        places = [CHESTXRAY14.index(name) for name in names]
        none_mined = labels[:, places].max(axis=1) == 0
        labels[np.ix_(answer == 0, places)] = 0
        labels[np.ix_((answer == 1) & none_mined, places)] = 1 if len(names) == 1 else np.nan
    return labels
