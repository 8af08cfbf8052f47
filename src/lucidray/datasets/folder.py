"""Anybody's own images in class folders."""

from __future__ import annotations

import re
from pathlib import Path

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import make_table, one_hot
from lucidray.datasets.scanning import class_images, class_names
from lucidray.datasets.table import ImageTable
from lucidray.errors import ConfigError, DataError
from lucidray.findings import canonical, is_known


def _recognize(root: Path) -> bool:
    return len(class_names(root)) >= 2


@adapter(
    "folder",
    source="your own images",
    terms="your own",
    layout="CLASS/IMAGE or {train,val,test}/CLASS/IMAGE with two classes or more",
    recognize=_recognize,
    generic=True,
)
def read_folder(root: Path, *, patient: str = "") -> ImageTable:
    r"""Read images in class folders, with or without split folders around them.

    Each class folder is a finding, under its canonical name where it has one and under its own
    otherwise; exactly one is 1 in each row. `patient` is empty unless file names carry it.

    Args:
        root: The folder.
        patient: A regular expression whose first group (or whole match) in the file name is the
            patient, for example ``r"^(P\d+)_"``; empty: unknown.
    """
    images = class_images(root)
    names = {item.folder: canonical(item.folder) if is_known(item.folder) else item.folder
             for item in images}  # fmt: skip
    findings = tuple(sorted(set(names.values())))
    columns = {
        "image": [item.image for item in images],
        "path": [str(item.path.resolve()) for item in images],
        "split": [item.split for item in images],
    }
    if patient:
        columns["patient"] = _patients([item.path.stem for item in images], patient)
    labels = one_hot([names[item.folder] for item in images], findings)
    return make_table("folder", findings, labels, columns, exclusive=True)


def _patients(names: list[str], expression: str) -> list[str]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ConfigError(
            f"patient is '{expression}', which is no regular expression: {error}."
        ) from error
    found = [pattern.search(name) for name in names]
    missed = sum(match is None for match in found)
    if missed:
        raise DataError(
            f"'{expression}' fits no patient in {missed} of {len(names)} file names; it must fit "
            "all, or a split by patient would leak."
        )
    return [match[1] if pattern.groups else match[0] for match in found if match]
