"""Brain tumor MRI: slices with glioma, meningioma, pituitary tumor or none."""

from __future__ import annotations

from pathlib import Path

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import make_table, one_hot
from lucidray.datasets.scanning import class_images, class_names
from lucidray.datasets.table import ImageTable

_FINDINGS = ("Glioma", "Meningioma", "No Tumor", "Pituitary Tumor")
_FOLDERS = (
    {"glioma", "meningioma", "notumor", "pituitary"},
    {"glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor"},
)


def _recognize(root: Path) -> bool:
    return class_names(root) in _FOLDERS


@adapter(
    "brain_mri",
    source="Nickparvar 2021, doi:10.34740/kaggle/dsv/2645886; Bhuvaji et al. 2020, "
    "doi:10.34740/kaggle/dsv/1183165",
    terms="CC0 (Nickparvar); MIT (Bhuvaji)",
    layout="{Training,Testing}/{glioma,meningioma,notumor,pituitary}/ or .../{glioma_tumor,...}/",
    recognize=_recognize,
)
def read_brain_mri(root: Path) -> ImageTable:
    """Read either published collection of brain MRI slices, told apart by its class folders.

    Nickparvar's set (7,023 slices) contains most of Bhuvaji's (3,264). No patient ids are
    published: `patient` is empty, and slices of one patient, even copies of one slice, stand on
    both sides of the official split; audit before you believe a test result.

    Args:
        root: The folder of ``Training/`` and ``Testing/``, or one of them.

    Source: Nickparvar 2021; Bhuvaji et al. 2020.
    """
    images = class_images(root)
    bhuvaji = any(item.folder.lower().endswith("_tumor") for item in images)
    columns = {
        "image": [item.image for item in images],
        "path": [str(item.path.resolve()) for item in images],
        "split": [item.split for item in images],
        "source": "Bhuvaji" if bhuvaji else "Nickparvar",
    }
    labels = one_hot([item.folder for item in images], _FINDINGS)
    return make_table("brain_mri", _FINDINGS, labels, columns, exclusive=True)
