"""Adult films for lung opacity: ChestX-ray14 with radiologists' readings, and films for TB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter, datasets, load_dataset
from lucidray.datasets.joining import make_table
from lucidray.datasets.scanning import subfolders
from lucidray.datasets.table import COLUMNS, ImageTable
from lucidray.errors import DataError
from lucidray.records import Float32

_NIH, _LUNGS = "nih_chestxray14", "lung_masks"
_FINDINGS = ("Lung Opacity", "Tuberculosis")

#: Mined labels that are a lung opacity where no radiologist has read the film.
_OPAQUE = ("Consolidation", "Edema", "Infiltration", "Pneumonia")


def _parts(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in subfolders(root) if root.is_dir() else []:
        for name in (_NIH, _LUNGS):
            if name not in found and datasets.entry(name).facts["recognize"](folder):
                found[name] = folder
    return found


def _recognize(root: Path) -> bool:
    alone = root.is_dir() and sum(item.is_dir() for item in root.iterdir()) == 2
    return alone and len(_parts(root)) == 2


@adapter(
    "adult_opacity",
    source="Wang et al. 2017, arXiv:1705.02315; Shih et al. 2019, doi:10.1148/ryai.2019180041; "
    "Jaeger et al. 2014, doi:10.3978/j.issn.2223-4292.2014.11.20",
    terms="free use with attribution to the NIH Clinical Center, RSNA and the National Library of "
    "Medicine",
    layout="two folders and no other: one of nih_chestxray14, one of lung_masks",
    recognize=_recognize,
)
def read_adult_opacity(root: Path) -> ImageTable:
    """Read ChestX-ray14 and the Montgomery and Shenzhen films that lie side by side, as one set.

    Lung Opacity is known for ChestX-ray14 only: what the RSNA's radiologists say of a film that
    they have read (``No Lung Opacity / Not Normal`` is absent); else present where Consolidation,
    Edema, Infiltration or Pneumonia was mined from the report, absent where it had no finding, and
    unknown otherwise. Tuberculosis is known for the other films only: learned beside, it shows a
    network more adults. Column `reading` names who says so: ``radiologist`` or ``report``.

    Args:
        root: The folder that holds both.

    Source: Wang et al. 2017; Shih et al. 2019; Jaeger et al. 2014.
    """
    parts = _parts(root)
    for name in (_NIH, _LUNGS):
        if name not in parts:
            raise DataError(f"{root} holds no folder of {name}. Put both data sets into it.")
    nih = load_dataset(parts[_NIH], _NIH, no_finding=True)
    lungs = load_dataset(parts[_LUNGS], _LUNGS)
    rows = pd.concat([nih.rows[list(COLUMNS)], lungs.rows[list(COLUMNS)]], ignore_index=True)
    unknown = np.full(len(lungs), np.nan, np.float32)
    opacity, readers = _opacity(nih)
    labels = np.column_stack(
        [
            np.concatenate([opacity, unknown]),
            np.concatenate([np.full(len(nih), np.nan), lungs.labels(["Tuberculosis"])[:, 0]]),
        ]
    ).astype(np.float32)
    columns = {name: rows[name] for name in COLUMNS} | {
        "split": None,
        "reading": [*readers, *["report"] * len(lungs)],
    }
    boxes = nih.boxes[nih.boxes["finding"] == "Lung Opacity"].reset_index(drop=True)
    return make_table("adult_opacity", _FINDINGS, labels, columns, boxes=boxes)


def _opacity(nih: ImageTable) -> tuple[Float32, list[str]]:
    """Return whether there is one (nan = unknown), and who says so."""
    mined = nih.labels(_OPAQUE).max(axis=1)
    nothing = nih.labels(["No Finding"])[:, 0] == 1
    said = np.where(mined == 1, 1.0, np.where(nothing, 0.0, np.nan)).astype(np.float32)
    read: pd.Series[Any] = nih.rows.get("rsna_class", pd.Series(None, nih.rows.index, dtype=object))
    known = read.notna().to_numpy()
    said[known] = (read[known] == "Lung Opacity").to_numpy(dtype=np.float32)
    return said, ["radiologist" if each else "report" for each in known]
