"""Pediatric pneumonia: 5,856 frontal films of children aged one to five, Guangzhou."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import choose, make_table, one_hot
from lucidray.datasets.scanning import ClassImage, class_folders, class_images, first_image
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError

_FOLDERS = {"normal", "pneumonia"}
#: Kaggle's names (person<N>_<kind>_<film>, [NORMAL2-]IM-<N>-<film>), then Mendeley's.
_NAMES = (
    re.compile(r"person(?P<person>\d+)_(?P<kind>bacteria|virus)_\d+(_\d+)?$"),
    re.compile(r"(?P<series>NORMAL\d*-)?IM-(?P<person>\d+)-\d+(-\d+)*$"),
    re.compile(r"(?P<kind>BACTERIA|VIRUS|NORMAL)-(?P<person>\d+)-\d+$"),
)


def _inside(root: Path) -> Path:
    inner = root / "chest_xray"
    return inner if inner.is_dir() and not class_folders(root) else root


def _recognize(root: Path) -> bool:
    folders = [folder for _, folder in class_folders(_inside(root))] if root.is_dir() else []
    names = [first_image(folder) for folder in folders]
    return (
        bool(folders)
        and {folder.name.lower() for folder in folders} <= _FOLDERS
        and all(_match(Path(str(name)).stem) for name in names)
    )


@adapter(
    "pediatric_pneumonia",
    source="Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; Mendeley, doi:10.17632/rscbjbr9sj",
    terms="CC BY 4.0",
    layout="{train,val,test}/{NORMAL,PNEUMONIA}/ with files like person1_virus_6.jpeg",
    recognize=_recognize,
)
def read_pediatric_pneumonia(root: Path, *, labels: str = "pneumonia") -> ImageTable:
    """Read Kermany's chest films as Kaggle or Mendeley lay them out, or one split of them.

    `patient` is subtype and person (``bacteria-447``; the numbers start anew in each subtype), for
    normal films series and IM number (``normal2-1427``). Further column: `kind`, one of
    ``normal``, ``bacteria``, ``virus``. The official validation split holds 16 films only:
    `split.assign_splits` can draw a larger one.

    Args:
        root: The folder of ``train/``, ``val/`` and ``test/`` (or around its ``chest_xray/``), or
            one of these splits itself.
        labels: ``"pneumonia"``: Normal, Pneumonia; ``"kind"``: Normal, Bacterial Pneumonia, Viral
            Pneumonia, exactly one of each; ``"both"``: Pneumonia, Bacterial Pneumonia, Viral
            Pneumonia, each present or absent by itself.

    Source: Kermany et al. 2018.
    """
    choose("labels", labels, ("pneumonia", "kind", "both"))
    root = _inside(root)
    images = class_images(root)
    parsed = [_patient(item) for item in images]
    kinds = [kind for kind, _ in parsed]
    classes = kinds
    findings: tuple[str, ...] = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
    if labels == "pneumonia":
        classes, findings = [item.folder for item in images], ("Normal", "Pneumonia")
    columns = {
        "image": [item.image for item in images],
        "path": [str(item.path.resolve()) for item in images],
        "patient": [patient for _, patient in parsed],
        "split": [item.split for item in images],
        "source": "Guangzhou Women and Children's Medical Center",
        "kind": kinds,
    }
    table = one_hot(classes, findings)
    if labels == "both":
        findings, table = ("Pneumonia", *findings[1:]), np.c_[1 - table[:, 0], table[:, 1:]]
    return make_table("pediatric_pneumonia", findings, table, columns, exclusive=labels != "both")


def _match(name: str) -> re.Match[str] | None:
    return next((found for pattern in _NAMES if (found := pattern.match(name))), None)


def _patient(item: ClassImage) -> tuple[str, str]:
    """Return the kind and the patient key that a file name carries."""
    found = _match(item.path.stem)
    if found is None:
        raise DataError(
            f"{item.image} is not named as this data set names its files (person1_virus_6.jpeg, "
            "IM-0115-0001.jpeg, BACTERIA-1008087-0001.jpeg), so its patient is unknown. "
            "Read your own files as data set 'folder'."
        )
    parts = found.groupdict()
    kind = (parts.get("kind") or "normal").lower()
    series = (parts.get("series") or kind).rstrip("-").lower()
    if (kind == "normal") != (item.folder.lower() == "normal"):
        raise DataError(f"{item.image} lies in the folder of another class than its name says.")
    return kind, f"{series}-{parts['person']}"
