"""CheXlocalize: radiologists' segmentations of ten findings on CheXpert's validation and test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.chexpert import chexpert_parts, described
from lucidray.datasets.joining import make_table
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError
from lucidray.findings import CHEXPERT, canonical

Segmentations = dict[str, dict[str, dict[str, Any]]]


def _segmentations(root: Path) -> list[Path]:
    found = [path for part in (root, root / "CheXlocalize")
             for path in sorted(part.glob("gt_segmentations_*.json"))]  # fmt: skip
    return found


def _recognize(root: Path) -> bool:
    return bool(_segmentations(root))


@adapter(
    "chexlocalize",
    source="Saporta et al. 2022, doi:10.1038/s42256-022-00536-x; Stanford AIMI",
    terms="Stanford CheXlocalize Research Use Agreement, no commercial use, no redistribution",
    layout="CheXlocalize/gt_segmentations_{val,test}.json beside CheXpert/{val,test}_labels.csv",
    recognize=_recognize,
)
def read_chexlocalize(root: Path) -> ImageTable:
    """Read CheXlocalize with the CheXpert folder of its download (or both in one folder).

    Labels and images come from ``CheXpert/``, masks from ``gt_segmentations_val.json`` and
    ``gt_segmentations_test.json``. Further columns: `study`, `frontal`, and `mask_coco`, for each
    image a dict from finding to COCO ``size`` and ``counts`` (empty masks left out;
    `masks.mask_of` decodes them), None where nobody segmented the image.

    Args:
        root: The folder that holds ``CheXlocalize/`` and ``CheXpert/``.

    Source: Saporta et al. 2022; its file calls Lung Opacity "Airspace Opacity".
    """
    labeled = root / "CheXpert" if (root / "CheXpert").is_dir() else root
    parts = chexpert_parts(labeled)
    if not parts:
        raise DataError(
            f"{labeled} has no val_labels.csv or test_labels.csv. CheXlocalize's download holds "
            "a CheXpert folder with them: put it beside the segmentations."
        )
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    columns = described(labeled, rows)
    masks = _masks(root)
    keys = columns["image"].str.replace(r"^[^/]*/|\.[^.]*$", "", regex=True)
    coco = [masks.get(key) for key in keys.str.replace("/", "_")]
    columns["mask_coco"] = pd.Series(coco, dtype=object)
    labels = np.concatenate([values for _, values in parts])
    return make_table("chexlocalize", CHEXPERT, labels, columns)


def _masks(root: Path) -> Segmentations:
    masks: Segmentations = {}
    for path in _segmentations(root):
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not valid JSON: {error}") from error
        for image, by_finding in read.items():
            masks[image] = {
                canonical(name): mask for name, mask in by_finding.items() if not _empty(mask)
            }
    return masks


def _empty(mask: dict[str, Any]) -> bool:
    """Tell whether a COCO mask is one single run, hence all background."""
    return all(ord(character) - 48 & 32 for character in mask["counts"][:-1])
