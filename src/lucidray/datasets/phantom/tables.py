"""The tables of ChestX-ray14, letter for letter as published, and the truth's own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lucidray.datasets.phantom.case import stream
from lucidray.datasets.phantom.config import FINDINGS

_ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
_BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
_FIXATION_HEADER = "image,x,y,start_s,duration_s,target"


def write_tables(
    folder: Path, names: Sequence[str], suffix: str, *, seed: int, test_share: float
) -> None:
    """Write every table from the images' records.

    Args:
        folder: Where the phantoms are.
        names: The images' ids, in order.
        suffix: ``.png`` or ``.dcm``.
        seed: The series' seed, on which the test patients depend.
        test_share: Share of patients in the test list; each list gets a patient if there are two.
    """
    records = [json.loads((folder / "truth" / f"{name}.json").read_bytes()) for name in names]
    for record in records:
        record["file"] = record["image"] + suffix
    _save(folder / "Data_Entry_2017.csv", _ENTRY_HEADER, map(_entry, records))
    _save(folder / "BBox_List_2017.csv", _BOX_HEADER, (r for rec in records for r in _boxes(rec)))
    _save(
        folder / "fixations.csv",
        _FIXATION_HEADER,
        (row for record in records for row in _fixations(record)),
    )
    _save(
        folder / "truth.csv",
        ",".join(("Image Index", *FINDINGS, "cardiothoracic_ratio", "shortcut", "devices")),
        map(_truth, records),
    )
    held = held_patients([record["patient"]["number"] for record in records], seed, test_share)
    _lists(folder, records, held)


def held_patients(numbers: Iterable[int], seed: int, share: float) -> set[int]:
    """Choose the patients of the test list, each by seed and number alone.

    Returns:
        Their numbers; never all and, of two or more with a share above 0, never none.
    """
    draws = {number: float(stream(seed, number, "split").random()) for number in numbers}
    order = sorted(draws, key=lambda number: draws[number])
    held = {number for number in order if draws[number] < share}
    if len(order) > 1 and share > 0:
        held |= {order[0]}
        if share < 1:
            held -= {order[-1]}
    return held


def _save(path: Path, header: str, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    text.write(header + "\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    _put(path, text.getvalue())


def _put(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8", newline="")
    draft.replace(path)


def _entry(record: dict[str, Any]) -> list[Any]:
    who, spacing = record["patient"], record["spacing_mm"]
    labels = "|".join(record["severities"]) or "No Finding"
    return [
        record["file"],
        labels,
        who["follow_up"],
        who["number"],
        who["age_years"],
        who["sex"],
        record["view_position"],
        record["size"],
        record["size"],
        spacing[1],
        spacing[0],
    ]


def _boxes(record: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for box in record["boxes"]:
        # The publisher's box list, and it alone, says Infiltrate for Infiltration.
        finding = "Infiltrate" if box["finding"] == "Infiltration" else box["finding"]
        rows.append(
            [
                record["file"],
                finding,
                box["x_min"],
                box["y_min"],
                box["x_max"] - box["x_min"],
                box["y_max"] - box["y_min"],
            ]
        )
    return rows


def _fixations(record: dict[str, Any]) -> list[list[Any]]:
    keys = ("x", "y", "start_s", "duration_s", "target")
    return [[record["file"], *(fixation[key] for key in keys)] for fixation in record["fixations"]]


def _truth(record: dict[str, Any]) -> list[Any]:
    severities = [record["severities"].get(finding, 0) for finding in FINDINGS]
    return [
        record["file"],
        *severities,
        record["cardiothoracic_ratio"],
        int(record["shortcut"]),
        "|".join(record["devices"]),
    ]


def _lists(folder: Path, records: list[dict[str, Any]], held: set[int]) -> None:
    for name, wanted in (("train_val_list.txt", False), ("test_list.txt", True)):
        files = [r["file"] for r in records if (r["patient"]["number"] in held) is wanted]
        _put(folder / name, "".join(f"{file}\n" for file in files))
