"""Montgomery and Shenzhen: 800 films for tuberculosis screening, 704 with lung masks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import ages, make_table, one_hot, sexes
from lucidray.datasets.scanning import image_files, subfolders
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError

_NAME = re.compile(r"((?:MCUCXR|CHNCXR)_\d{4}_([01]))(_mask)?$")
_IMAGES = {"images", "cxr_png"}
_MASKS = {"masks", "mask", "leftmask", "rightmask", "manualmask"}
_SOURCES = {"MCUCXR": "Montgomery County", "CHNCXR": "Shenzhen No. 3 Hospital"}


def _recognize(root: Path) -> bool:
    folders = [root, *subfolders(root)]
    places = [root / "images", *(folder / "CXR_png" for folder in folders)]
    first = (next(image_files(place), None) for place in places if place.is_dir())
    return any(path is not None and _NAME.match(path.stem) for path in first)


@adapter(
    "lung_masks",
    source="Jaeger et al. 2014, doi:10.3978/j.issn.2223-4292.2014.11.20; US National Library of "
    "Medicine; masks: Candemir et al. 2014, Stirenko et al. 2018",
    terms="free use with attribution to the National Library of Medicine",
    layout="MontgomerySet/CXR_png, ChinaSet_AllFiles/CXR_png, or images/ and masks/ of MCUCXR_*",
    recognize=_recognize,
)
def read_lung_masks(root: Path) -> ImageTable:
    """Read the Montgomery and Shenzhen films with their lung masks, together or one of them.

    Layouts: the publisher's (``MontgomerySet/CXR_png``, its ``ManualMask/leftMask`` and
    ``rightMask``; ``ChinaSet_AllFiles/CXR_png``, Stirenko's ``mask/NAME_mask.png`` beside it), or
    ``images/NAME.*`` with ``masks/NAME.png``. The last digit of a name is the label: 0 normal,
    1 tuberculosis. Each film is a patient of its own. Age, sex and the column `reading` come from
    ``ClinicalReadings/NAME.txt`` where present. Column `mask`: a tuple of files whose union masks
    both lungs (`masks.mask_of` reads it), None where the film has none.

    Args:
        root: The folder that holds the folders above.

    Source: Jaeger et al. 2014.
    """
    images, masks = _files(root)
    if not images:
        raise DataError(
            f"{root} has no films named MCUCXR_0001_0 or CHNCXR_0001_0 in CXR_png/ or images/."
        )
    names = sorted(images)
    readings = {path.stem: path for path in root.rglob("ClinicalReadings/*.txt")}
    texts = pd.Series([_text(readings.get(name)) for name in names], dtype="string")
    columns: dict[str, Any] = {
        "image": names,
        "path": [images[name] for name in names],
        "patient": names,
        "view_position": "PA",
        "source": [_SOURCES[name[:6]] for name in names],
        "mask": pd.Series([tuple(masks[name]) if name in masks else None for name in names]),
        **_read(texts),
    }
    classes = ["Tuberculosis" if name.endswith("1") else "Normal" for name in names]
    findings = ("Normal", "Tuberculosis")
    return make_table("lung_masks", findings, one_hot(classes, findings), columns, exclusive=True)


def _files(root: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    images: dict[str, str] = {}
    masks: dict[str, list[str]] = {}
    for path in image_files(root.resolve()):
        found, folder = _NAME.match(path.stem), path.parent.name.lower()
        if found and folder in _IMAGES:
            images[found[1]] = str(path)
        elif found and folder in _MASKS:
            masks.setdefault(found[1], []).append(str(path))
    return images, masks


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8", errors="replace").strip()


def _read(texts: pd.Series[str]) -> dict[str, Any]:
    """Read ``Patient's Sex: F``, ``Patient's Age: 031Y`` or ``male 45yrs``, then the reading."""
    if texts.isna().all():
        return {}
    sex = texts.str.extract(r"\b(male|female|[MF]\b)", flags=re.IGNORECASE)[0]
    age = texts.str.extract(r"(\d+\s*(?:y|m|w|d)?)", flags=re.IGNORECASE)[0]
    lines: list[Any] = list(texts.str.split("\n"))
    reading = [None if not isinstance(part, list) or len(part) < 2 else part[-1].strip()
               for part in lines]  # fmt: skip
    return {"sex": sexes(sex), "age_years": ages(age), "reading": pd.Series(reading, dtype=object)}
