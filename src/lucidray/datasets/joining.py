"""The steps that the adapters share: find a table, read it, turn its columns into ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.table import BOX_COLUMNS, COLUMNS, ImageTable, no_boxes
from lucidray.errors import DataError, unknown_name
from lucidray.findings import canonical, is_known

Float32 = npt.NDArray[np.float32]

_VIEWS = {"PA": "PA", "AP": "AP", "LL": "LL", "RL": "RL", "L": "LL", "LATERAL": "LL"}
_VIEWS |= {"AP_HORIZONTAL": "AP", "AP AXIAL": "AP"}
_YEARS_PER = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def find_table(root: Path, *patterns: str) -> Path | None:
    """Return the first file of a folder that fits a pattern, plain or gzipped; None if none."""
    for pattern in patterns:
        for ending in ("", ".gz"):
            found = sorted(root.glob(pattern + ending))
            if found:
                return found[0]
    return None


def need_table(root: Path, *patterns: str) -> Path:
    """Return the first file of a folder that fits a pattern, plain or gzipped.

    Raises:
        DataError: There is none.
    """
    found = find_table(root, *patterns)
    if found is None:
        raise DataError(
            f"{root} has no {' or '.join(patterns)} (nor the same with .gz). "
            "Put the publisher's table there, under its own name."
        )
    return found


def read_csv(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    """Read a publisher's CSV and check that it has the columns that we need.

    Spaces around column names are removed (SIIM-ACR writes ``" EncodedPixels"``).

    Raises:
        DataError: The file is no CSV, is empty, or lacks a column.
    """
    try:
        frame: pd.DataFrame = pd.read_csv(path, **{"low_memory": False, **options})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as a CSV table: {error}") from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        near = difflib.get_close_matches(missing[0], list(frame.columns), n=1)
        hint = f" (nearest to '{missing[0]}': '{near[0]}')" if near else ""
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}{hint}; it has "
            f"{', '.join(frame.columns[:12])}. Use the publisher's table unchanged."
        )
    return frame


def has_columns(path: Path | None, columns: Iterable[str]) -> bool:
    """Tell whether a CSV's first line names all these columns."""
    if path is None:
        return False
    try:
        head = pd.read_csv(path, nrows=0)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError):
        return False
    return set(columns) <= {str(name).strip() for name in head.columns}


def choose(option: str, value: str, choices: Sequence[str]) -> str:
    """Return an option's value if it is one of the choices.

    Raises:
        UnknownNameError: It is not.
    """
    if value not in choices:
        raise unknown_name(option, str(value), choices)
    return value


def make_table(
    name: str,
    findings: Sequence[str],
    labels: Float32,
    columns: Mapping[str, Any],
    *,
    boxes: pd.DataFrame | None = None,
    exclusive: bool = False,
) -> ImageTable:
    """Build an image table; standard columns that are not given are empty.

    Args:
        name: The data set's registered name.
        findings: Canonical names, one a column of `labels`.
        labels: float32 ``(N, F)``: 1, 0 or nan.
        columns: `image` and any further columns, each of N values.
        boxes: The box table; None: no boxes.
        exclusive: Whether exactly one finding is 1 in each row.
    """
    values = {key: np.asarray(value, dtype=object) if _is_list(value) else value
              for key, value in columns.items()}  # fmt: skip
    given = pd.DataFrame(values).reset_index(drop=True)
    for column in COLUMNS:
        if column not in given:
            given[column] = np.nan if column == "age_years" else None
    given["age_years"] = given["age_years"].astype("float64")
    extra = [column for column in given.columns if column not in COLUMNS]
    target = pd.DataFrame(np.asarray(labels, np.float32), columns=list(findings))
    rows = pd.concat([given[list(COLUMNS)], target, given[extra]], axis=1)
    kept = no_boxes() if boxes is None else boxes
    return ImageTable(name, tuple(findings), rows, boxes=kept, exclusive=exclusive)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def split_labels(
    text: pd.Series[str], separator: str, findings: Sequence[str], nothing: str
) -> Float32:
    """Turn ``"A|B"`` cells into labels 0 and 1.

    Args:
        text: Published findings of each image, joined by the separator.
        separator: What joins them.
        findings: Canonical names, in the wanted order.
        nothing: The spelling that stands for none of them.

    Raises:
        DataError: A cell names a finding that is not among them.
    """
    labels = np.zeros((len(text), len(findings)), np.float32)
    codes, cells = pd.factorize(text)
    for code, cell in enumerate(cells):
        for spelled in (part.strip() for part in str(cell).split(separator)):
            if spelled.casefold() == nothing.casefold():
                continue
            labels[codes == code, _place(spelled, findings)] = 1
    return labels


def _place(spelled: str, findings: Sequence[str]) -> int:
    name = canonical(spelled) if is_known(spelled) else spelled
    if name not in findings:
        raise DataError(
            f"a label is spelled '{spelled}'; expected one of {', '.join(findings)}. "
            "Use the publisher's files unchanged."
        )
    return list(findings).index(name)


def one_hot(classes: Sequence[str], findings: Sequence[str]) -> Float32:
    """Turn one published class an image into labels 0 and 1.

    Raises:
        DataError: A class is not among the findings.
    """
    labels = np.zeros((len(classes), len(findings)), np.float32)
    labels[np.arange(len(classes)), [_place(name, findings) for name in classes]] = 1
    return labels


def number_columns(frame: pd.DataFrame, published: Sequence[str], where: Path) -> Float32:
    """Read label columns of 1, 0, -1 and blank as float32 ``(N, F)``, blank as nan.

    Raises:
        DataError: A cell holds something else.
    """
    values = frame[list(published)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    blank = frame[list(published)].isna().to_numpy()
    wrong = ~blank & ~np.isin(values, (-1, 0, 1))
    if wrong.any():
        column = published[int(wrong.any(axis=0).argmax())]
        raise DataError(
            f"{where}: column '{column}' holds {int(wrong.sum())} labels that are not 1, 0, -1 "
            "or blank. Use the publisher's table unchanged."
        )
    return np.asarray(values, np.float32)


def settle(labels: Float32, uncertain: str, unmentioned: str) -> Float32:
    """Settle what CheXpert's labeler leaves open: -1 (uncertain) and blank (unmentioned).

    Args:
        labels: float32 ``(N, F)`` of 1, 0, -1 and nan.
        uncertain: What -1 becomes: ``"unknown"`` (nan), ``"zeros"`` or ``"ones"``.
        unmentioned: What nan becomes: ``"unknown"`` (nan) or ``"zeros"``.

    Source: Irvin et al. 2019 (arXiv:1901.07031), section 3: U-Ignore, U-Zeros, U-Ones.
    """
    policy = {"unknown": np.nan, "zeros": 0.0, "ones": 1.0}
    choose("uncertain", uncertain, tuple(policy))
    choose("unmentioned", unmentioned, ("unknown", "zeros"))
    settled = np.where(np.isnan(labels), policy[unmentioned], labels)
    return np.asarray(np.where(labels == -1, policy[uncertain], settled), np.float32)


def ages(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Read ages in years from numbers or DICOM-like text (``"058Y"``, ``"013M"``, ``"19yrs"``).

    Returns:
        float64 ``(N,)``; nan where absent, unreadable or over 120 (ChestX-ray14 holds ages of
        400 and more).
    """
    parts = values.astype("string").str.extract(r"^\s*(\d+(?:\.\d+)?)\s*([YyMmWwDd]?)")
    number = pd.to_numeric(parts[0], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    unit = parts[1].str.upper().replace("", "Y").map(_YEARS_PER)
    years = number * unit.to_numpy(np.float64, na_value=np.nan)
    return np.asarray(np.where(years <= 120, years, np.nan), np.float64)


def sexes(values: pd.Series[Any]) -> pd.Series[Any]:
    """Read sexes as F or M; None where absent or anything else."""
    first = values.astype("string").str.strip().str.upper().str[:1]
    return first.map({"F": "F", "M": "M"}).astype(object)


def views(values: pd.Series[Any]) -> pd.Series[Any]:
    """Read view positions as PA, AP, LL or RL; None where absent or anything else."""
    return values.astype("string").str.strip().str.upper().map(_VIEWS).astype(object)


def make_boxes(
    image: Any, finding: Any, x: Any, y: Any, *, size: tuple[Any, Any] | None = None,
    end: tuple[Any, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Build a box table from corners and either sizes or opposite corners, in source pixels."""
    left, top = pd.to_numeric(x), pd.to_numeric(y)
    if size is not None:
        end = (left + pd.to_numeric(size[0]), top + pd.to_numeric(size[1]))
    if end is None:
        raise DataError("boxes need a size or an opposite corner.")
    parts = (image, finding, left, top, end[0], end[1])
    boxes = pd.DataFrame({key: pd.Series(np.asarray(part)) for key, part in
                          zip(BOX_COLUMNS, parts, strict=True)})  # fmt: skip
    kinds = {key: "float64" if key[1] == "_" else "object" for key in BOX_COLUMNS}
    return boxes.astype(kinds)


def stem(name: str) -> str:
    """Return a file name without folders and image suffix."""
    return re.sub(r"\.(png|jpe?g|tiff?|dcm|dicom)$", "", name.rsplit("/", 1)[-1], flags=re.I)
