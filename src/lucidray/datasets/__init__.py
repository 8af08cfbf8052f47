"""Published chest X-ray data sets, each read in its publisher's own layout into one table.

`load_dataset` reads any of them; `assign_splits` divides a table by patient. Needs the extra
``data``.
"""

from lucidray.datasets import adult_opacity as adult_opacity
from lucidray.datasets import brain_mri as brain_mri
from lucidray.datasets import chest_multiclass as chest_multiclass
from lucidray.datasets import chexlocalize as chexlocalize
from lucidray.datasets import chexpert as chexpert
from lucidray.datasets import covidx as covidx
from lucidray.datasets import eye_gaze as eye_gaze
from lucidray.datasets import folder as folder
from lucidray.datasets import lung_masks as lung_masks
from lucidray.datasets import mimic_cxr_jpg as mimic_cxr_jpg
from lucidray.datasets import nih_chestxray14 as nih_chestxray14
from lucidray.datasets import own_table as own_table
from lucidray.datasets import padchest as padchest
from lucidray.datasets import pediatric_pneumonia as pediatric_pneumonia
from lucidray.datasets import rsna_pneumonia as rsna_pneumonia
from lucidray.datasets import siim_acr as siim_acr
from lucidray.datasets import vindr_cxr as vindr_cxr
from lucidray.datasets.catalog import datasets, load_dataset, recognized
from lucidray.datasets.masks import decode_coco, decode_siim, encode_siim, mask_of, read_mask
from lucidray.datasets.own_table import write_table
from lucidray.datasets.split import (
    Leakage,
    assign_splits,
    balanced_subset,
    check_no_leakage,
    fold_ids,
    group_ids,
)
from lucidray.datasets.table import BOX_COLUMNS, COLUMNS, ImageTable, Split, no_boxes

__all__ = [
    "BOX_COLUMNS",
    "COLUMNS",
    "ImageTable",
    "Leakage",
    "Split",
    "assign_splits",
    "balanced_subset",
    "check_no_leakage",
    "datasets",
    "decode_coco",
    "decode_siim",
    "encode_siim",
    "fold_ids",
    "group_ids",
    "load_dataset",
    "mask_of",
    "no_boxes",
    "read_mask",
    "recognized",
    "write_table",
]
