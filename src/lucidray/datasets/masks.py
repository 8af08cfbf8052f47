"""Masks as publishers store them: image files, and run lengths of SIIM-ACR and of COCO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from lucidray.errors import DataError, ShapeError
from lucidray.records import Bool

Int64 = npt.NDArray[np.int64]


def decode_siim(runs: str, shape: tuple[int, int] = (1024, 1024)) -> Bool:
    """Decode SIIM-ACR's relative run lengths.

    Args:
        runs: ``"gap length gap length ..."``, each gap counted from the end of the run before,
            along columns (top to bottom, then left to right); ``"-1"`` or empty: no mask.
        shape: ``(height, width)`` of the image.

    Returns:
        bool ``(H, W)``, True inside.

    Raises:
        DataError: The runs are no pairs of numbers, or leave the image.

    Source: the competition's `mask_functions.py`, Kaggle 2019.

    >>> decode_siim("1 2 1 1", (3, 2)).astype(int).tolist()
    [[0, 0], [1, 1], [1, 0]]
    """
    text = runs.strip()
    if text in {"", "-1"}:
        return np.zeros(shape, bool)
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except ValueError as error:
        raise DataError("a run-length mask holds something that is no whole number.") from error
    if len(numbers) % 2 or (numbers < 0).any():
        raise DataError(
            f"a run-length mask has {len(numbers)} numbers; expected pairs of gap and length, "
            "none negative."
        )
    return _from_runs(numbers, shape)


def encode_siim(mask: Bool) -> str:
    """Encode a bool ``(H, W)`` mask as SIIM-ACR's run lengths; ``"-1"`` where it is empty."""
    if mask.ndim != 2:
        raise ShapeError(f"mask is {mask.shape}; expected (H, W).")
    runs = _to_runs(np.asarray(mask, bool))
    pairs = runs[: len(runs) // 2 * 2]
    return " ".join(str(number) for number in pairs) if len(pairs) else "-1"


def decode_coco(counts: str, shape: tuple[int, int]) -> Bool:
    """Decode COCO's compressed run lengths (CheXlocalize stores its segmentations so).

    Args:
        counts: The string; six bits a character from ``"0"`` on: five of value, lowest first,
            one that tells whether the number goes on; from the third number on, differences to
            the number before the last.
        shape: ``(height, width)`` of the image.

    Returns:
        bool ``(H, W)``, True inside.

    Raises:
        DataError: The string is damaged, or its runs do not fill the image.

    Source: the COCO API's `maskApi`, Lin et al. 2014.

    >>> decode_coco("132", (3, 2)).astype(int).tolist()
    [[0, 1], [1, 0], [1, 0]]
    """
    numbers = _coco_numbers(counts)
    for place in range(3, len(numbers)):
        numbers[place] += numbers[place - 2]
    runs = np.array(numbers, dtype=np.int64)
    if (runs < 0).any() or runs.sum() != shape[0] * shape[1]:
        raise DataError(
            f"a COCO mask counts {int(runs.sum())} pixels, but the image has "
            f"{shape[0]} x {shape[1]}. Use the publisher's file unchanged."
        )
    return _from_runs(runs, shape)


def _coco_numbers(counts: str) -> list[int]:
    numbers: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise DataError("a COCO mask holds a character that is no run length.")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        numbers.append(value - (1 << shift) if bits & 16 else value)
        value, shift = 0, 0
    if shift:
        raise DataError("a COCO mask breaks off in the middle of a number.")
    return numbers


def read_mask(*paths: str | Path) -> Bool:
    """Read a mask from image files: the union, True where a pixel is over half the brightest.

    Raises:
        DataError: A file is missing or no image.
        ShapeError: The files differ in size.
    """
    union: Bool | None = None
    for path in paths:
        try:
            with Image.open(path) as image:
                values = np.asarray(image.convert("L"))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{path} cannot be read as a mask: {error}") from error
        inside = values > values.max() / 2
        if union is not None and union.shape != inside.shape:
            raise ShapeError(
                f"mask files are {union.shape} and {inside.shape}; they must share one grid."
            )
        union = inside if union is None else union | inside
    if union is None:
        raise DataError("no mask file was named.")
    return union


def mask_of(row: Mapping[str, Any], finding: str | None = None) -> Bool | None:
    """Return the mask that a row of an `ImageTable` carries.

    Args:
        row: A row, with one of the columns ``mask`` (a path, or paths whose union it is),
            ``mask_runs`` (SIIM-ACR run lengths, united, on 1024 x 1024), ``mask_coco``
            (finding to COCO ``size`` and ``counts``) or ``mask_files`` (finding to path).
        finding: Whose mask; None: the one that belongs to no finding (both lungs), or SIIM-ACR's.

    Returns:
        bool ``(H, W)`` on source pixels; None where the row has no such mask.
    """
    if finding is not None:
        return _of_finding(row, finding)
    files = row.get("mask")
    if isinstance(files, (str, Path)):
        return read_mask(files)
    if isinstance(files, Sequence) and len(files):
        return read_mask(*files)
    return _of_runs(row)


def _of_runs(row: Mapping[str, Any]) -> Bool | None:
    runs = row.get("mask_runs")
    if isinstance(runs, Sequence) and len(runs):
        return np.asarray(np.any([decode_siim(run) for run in runs], axis=0), bool)
    return None


def _of_finding(row: Mapping[str, Any], finding: str) -> Bool | None:
    coco, files = row.get("mask_coco"), row.get("mask_files")
    if isinstance(coco, Mapping) and finding in coco:
        height, width = coco[finding]["size"]
        return decode_coco(coco[finding]["counts"], (int(height), int(width)))
    if isinstance(files, Mapping) and finding in files:
        return read_mask(files[finding])
    return _of_runs(row) if finding == "Pneumothorax" else None


def _from_runs(runs: Int64, shape: tuple[int, int]) -> Bool:
    ends = np.cumsum(runs)
    height, width = shape
    if len(ends) and ends[-1] > height * width:
        raise DataError(
            f"a run-length mask ends at pixel {int(ends[-1])}, but the image has "
            f"{height} x {width}; give its true shape."
        )
    steps = np.zeros(height * width + 1, np.int32)
    np.add.at(steps, ends[0::2][: len(ends) // 2], 1)
    np.add.at(steps, ends[1::2], -1)
    return np.asarray(np.cumsum(steps[:-1]) > 0, bool).reshape(width, height).T


def _to_runs(mask: Bool) -> Int64:
    flat = np.concatenate(([False], mask.T.ravel()))
    changes = np.flatnonzero(np.diff(flat.astype(np.int8)))
    return np.diff(np.concatenate(([0], changes, [mask.size]))).astype(np.int64)
