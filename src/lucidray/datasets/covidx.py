"""COVIDx CXR: chest films of several public collections, with and without COVID-19."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import choose, make_table, one_hot
from lucidray.datasets.scanning import located
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError

_THREE = ("Normal", "Pneumonia", "COVID-19")
_CLASSES = {"normal", "pneumonia", "covid-19", "positive", "negative"}
#: Split, the list's name and the folder of its images.
_SPLITS = (("train", "train"), ("validation", "val"), ("test", "test"))


def _recognize(root: Path) -> bool:
    if not root.is_dir() or not (lists := sorted(root.glob("train*.txt"))):
        return False
    with lists[0].open(encoding="utf-8", errors="replace") as lines:
        words = next(lines, "").split()
    return len(words) >= 3 and bool({word.lower() for word in words[-2:]} & _CLASSES)


@adapter(
    "covidx",
    source="Wang, Lin and Wong 2020, doi:10.1038/s41598-020-76550-z; Wu et al. 2023 (COVIDx CXR-4)",
    terms="each collection's own terms (CC BY, CC BY-NC and research use)",
    layout="train.txt, test.txt (val.txt) of 'patient file class source'; train/, test/ (val/)",
    recognize=_recognize,
)
def read_covidx(root: Path, *, version: str = "") -> ImageTable:
    """Read COVIDx: space-separated lists of patient, file, class and source.

    Lists with the classes normal, pneumonia and COVID-19 give three exclusive findings; lists with
    positive and negative give the finding COVID-19 alone. `patient` is prefixed by the source, as
    collections number their patients alike. Label and source are confounded in this set.

    Args:
        root: The folder with the lists.
        version: Which lists, where several lie there: ``"_COVIDx9A"`` reads
            ``train_COVIDx9A.txt``; empty: ``train.txt``, or the only list that there is.

    Source: Wang, Lin and Wong 2020, and the data page of COVID-Net.
    """
    version = version or _only_version(root)
    rows = pd.concat([_read(root, split, name, version) for split, name in _SPLITS])
    rows = rows.drop_duplicates("image").reset_index(drop=True)
    if rows.empty:
        raise DataError(f"{root}/train{version}.txt lists no images.")
    binary = rows["class"].isin(["positive", "negative"])
    if binary.any() and not binary.all():
        raise DataError(f"{root} mixes lists of two and of three classes; choose a version.")
    if binary.all():
        findings: tuple[str, ...] = ("COVID-19",)
        labels = np.array([[name == "positive"] for name in rows["class"]], np.float32)
    else:
        findings, labels = _THREE, one_hot(list(rows["class"]), _THREE)
    columns = {
        "image": rows["image"],
        "path": located(root, list(rows["image"])),
        "patient": rows["source"].fillna("") + "/" + rows["patient"],
        "split": rows["split"],
        "source": rows["source"],
    }
    return make_table("covidx", findings, labels, columns, exclusive=len(findings) > 1)


def _only_version(root: Path) -> str:
    versions = sorted(path.stem.removeprefix("train") for path in root.glob("train*.txt"))
    if not versions:
        raise DataError(f"{root} has no train.txt. Put COVIDx's lists there.")
    if "" in versions or len(versions) == 1:
        return "" if "" in versions else versions[0]
    raise DataError(
        f"{root} has several lists: {', '.join(versions)}. Say which with version='{versions[0]}'."
    )


def _read(root: Path, split: str, name: str, version: str) -> pd.DataFrame:
    path = root / f"{name}{version}.txt"
    columns = ["patient", "image", "class", "source", "split"]
    if not path.is_file():
        if split == "train":
            choose("version of COVIDx", version, [p.stem[5:] for p in root.glob("train*.txt")])
        return pd.DataFrame(columns=columns)
    with path.open(encoding="utf-8") as lines:
        parsed = [_parse(line.split(), path) for line in lines if line.strip()]
    rows = [(patient, f"{name}/{file}", kind, source, split)
            for patient, file, kind, source in parsed]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _parse(words: list[str], path: Path) -> tuple[str, str, str, str | None]:
    """Take a line apart from its end, as file names may hold spaces."""
    for place, source in ((-2, words[-1]), (-1, None)):
        if len(words) + place >= 2 and words[place].lower() in _CLASSES:
            return words[0], " ".join(words[1:place]), words[place].lower(), source
    raise DataError(
        f"{path} has a line of {len(words)} words that ends in no class; expected "
        f"'patient file class source' with one of {', '.join(sorted(_CLASSES))}."
    )
