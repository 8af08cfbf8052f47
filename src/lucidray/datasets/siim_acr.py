"""SIIM-ACR Pneumothorax Segmentation 2019: 12,047 training films, 2,669 with pneumothorax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import find_table, has_columns, make_table, need_table, read_csv
from lucidray.datasets.scanning import image_index
from lucidray.datasets.table import ImageTable

_TABLES = ("train-rle*.csv", "stage_2_train.csv")
_COLUMNS = ("ImageId", "EncodedPixels")


def _recognize(root: Path) -> bool:
    return has_columns(find_table(root, *_TABLES), _COLUMNS)


@adapter(
    "siim_acr",
    source="SIIM-ACR Pneumothorax Segmentation, Kaggle 2019; Filice et al. 2020, "
    "doi:10.1007/s10278-019-00299-9",
    terms="competition terms: non-commercial research and education; images of ChestX-ray14",
    layout="train-rle.csv or stage_2_train.csv with ImageId, EncodedPixels; dicom-images-train/",
    recognize=_recognize,
)
def read_siim_acr(root: Path) -> ImageTable:
    """Read SIIM-ACR's training set: run-length masks, images anywhere below the folder.

    The table has one row a mask, so an image with several stands in several rows: images are
    counted by ImageId, and their masks are united. ``-1`` means none. The column `mask_runs` holds
    each image's run-length strings, a tuple, empty without pneumothorax; `masks.mask_of` decodes
    them. The publisher gives no patient ids outside the DICOM headers: `patient` is empty.

    Args:
        root: The folder with ``train-rle.csv`` (first stage) or ``stage_2_train.csv``.

    Source: the competition's data page.
    """
    rows = read_csv(need_table(root, *_TABLES), _COLUMNS, dtype=str)
    runs = rows["EncodedPixels"].fillna("-1").str.strip()
    by_image: dict[str, list[str]] = {}
    for image, run in zip(rows["ImageId"].str.strip(), runs, strict=True):
        by_image.setdefault(image, [])
        if run not in {"", "-1"}:
            by_image[image].append(run)
    images = pd.Series(list(by_image), dtype=object)
    masks = pd.Series([tuple(found) for found in by_image.values()], dtype=object)
    labels = np.array([[bool(found)] for found in by_image.values()], np.float32)
    columns = {
        "image": images,
        "path": images.map(image_index(root)).astype(object),
        "split": "train",
        "source": "NIH Clinical Center",
        "mask_runs": masks,
    }
    return make_table("siim_acr", ("Pneumothorax",), labels, columns)
