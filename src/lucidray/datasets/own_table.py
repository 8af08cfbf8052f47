"""Anybody's own images in a CSV or Parquet table, and the way any table is written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.catalog import adapter
from lucidray.datasets.joining import choose, has_columns, make_table, number_columns, read_csv
from lucidray.datasets.table import BOX_COLUMNS, COLUMNS, ImageTable, no_boxes
from lucidray.errors import DataError
from lucidray.findings import canonical, is_known

_TABLES = ("images.parquet", "images.csv")


def _file(root: Path) -> Path | None:
    if root.is_file():
        return root if root.suffix in {".csv", ".parquet"} else None
    return next((root / name for name in _TABLES if (root / name).is_file()), None)


def _recognize(root: Path) -> bool:
    path = _file(root)
    return path is not None and (path.suffix == ".parquet" or has_columns(path, ("path",)))


@adapter(
    "table",
    source="your own images",
    terms="your own",
    layout="images.csv or images.parquet with a column 'path' (or such a file itself)",
    recognize=_recognize,
    generic=True,
)
def read_own_table(root: Path, *, findings: Sequence[str] | None = None) -> ImageTable:
    """Read images listed in ``images.csv`` or ``images.parquet``, or in one such file.

    Needed column: `path`, absolute or relative to the table's folder. Known columns: `image` (a
    unique id; otherwise the path), `patient`, `split`, `view_position`, `age_years`, `sex`,
    `source`. Every other column that is named like a finding and holds 1, 0 or nothing is a
    label. Boxes are read from ``boxes.csv`` or ``boxes.parquet`` beside it. What `write_table`
    wrote comes back as it was, by ``images.json``.

    Args:
        root: The folder, or the table file.
        findings: The label columns; None: by ``images.json``, else those named like a finding.
    """
    path = _file(root)
    if path is None:
        raise DataError(f"{root} has no {' or '.join(_TABLES)}; write one with the column 'path'.")
    about = _about(path)
    rows = _read(path, ("path",), about.get("dtypes", {}))
    names = list(findings or about.get("findings") or [n for n in rows.columns if is_known(n)])
    missing = [name for name in names if name not in rows.columns]
    if missing or not names:
        raise DataError(
            f"{path} has no label column {', '.join(missing) or 'named like a finding'}. "
            "Name the label columns with findings=[...]; cells are 1, 0 or empty."
        )
    labels = number_columns(rows, names, path)
    columns = {key: rows[key] for key in rows.columns if key not in names}
    columns["path"] = _absolute(rows["path"], path.parent)
    columns.setdefault("image", rows["path"])
    for key in about.get("json", []):
        columns[key] = pd.Series([_parsed(cell) for cell in rows[key]], dtype=object)
    own = [name if about else canonical(name) if is_known(name) else name for name in names]
    exclusive = bool(about.get("exclusive", False))
    table = make_table("table", own, labels, columns, boxes=_boxes(path), exclusive=exclusive)
    return replace(table, terms=str(about.get("terms", "")))


def write_table(table: ImageTable, folder: Path | str, *, file_format: str = "csv") -> Path:
    """Write a table into a folder, so that `read_own_table` reads it back unchanged.

    Image paths inside the folder are written relative to it, others absolute. Cells that are no
    single values (masks, fixations) are written as JSON.

    Args:
        table: The table.
        folder: Created where it is missing; an older table in it is replaced.
        file_format: ``"csv"`` or ``"parquet"``.

    Returns:
        The written table file.
    """
    choose("file format", file_format, ("csv", "parquet"))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    nested = [key for key in table.rows.columns if _is_nested(table.rows[key])]
    rows = table.rows.copy()
    for key in nested:
        rows[key] = [None if _is_missing(cell) else json.dumps(_plain(cell)) for cell in rows[key]]
    rows["path"] = [_relative(cell, folder) for cell in rows["path"]]
    about = {
        "name": table.name,
        "findings": list(table.findings),
        "exclusive": table.exclusive,
        "terms": table.terms,
        "json": nested,
        "dtypes": {key: _kind(table.rows[key]) for key in table.rows.columns},
    }
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (folder / "images.json").write_text(text + "\n", encoding="utf-8")
    for stem, frame in (("images", rows), ("boxes", table.boxes)):
        for old in ("csv", "parquet"):
            (folder / f"{stem}.{old}").unlink(missing_ok=True)
        _write(frame, folder / f"{stem}.{file_format}")
    return folder / f"images.{file_format}"


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        texts = [str(key) for key in frame if frame[key].dtype == object]
        frame.astype(dict.fromkeys(texts, "string")).to_parquet(path, index=False)


def _read(path: Path, columns: Sequence[str], kinds: dict[str, str]) -> pd.DataFrame:
    text = dict.fromkeys(("image", "patient"), "str")
    text |= {key: "str" for key, kind in kinds.items() if kind == "object"}
    if path.suffix == ".csv":
        rows = read_csv(path, columns, dtype=text, keep_default_na=False, na_values=[""])
    else:
        try:
            rows = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a Parquet table: {error}") from error
        if missing := [name for name in columns if name not in rows.columns]:
            raise DataError(f"{path} lacks the column {missing[0]}.")
    kinds = {key: kind for key, kind in kinds.items() if key in rows.columns}
    for key in rows.columns:
        kind = kinds.get(key, "object" if key in COLUMNS and key != "age_years" else None)
        if kind == "object":
            rows[key] = rows[key].astype(object).where(rows[key].notna(), None)
        elif kind is not None:
            rows[key] = rows[key].astype(kind)  # type: ignore[call-overload]
    return rows


def _about(path: Path) -> dict[str, Any]:
    file = path.with_name("images.json")
    if path.stem != "images" or not file.is_file():
        return {}
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not valid JSON: {error}") from error
    return about if isinstance(about, dict) else {}


def _boxes(path: Path) -> pd.DataFrame:
    file = path.with_name("boxes" + path.suffix)
    if not file.is_file():
        return no_boxes()
    kinds = {key: "float64" if key[1] == "_" else "object" for key in BOX_COLUMNS}
    return _read(file, BOX_COLUMNS, kinds)[list(BOX_COLUMNS)]


def _absolute(paths: pd.Series[Any], folder: Path) -> pd.Series[Any]:
    base = folder.resolve()
    full = [None if _is_missing(cell) else str(base / str(cell)) for cell in paths]
    known: dict[str, bool] = {}
    for cell in full:
        if cell is not None:
            known.setdefault(cell, Path(cell).is_file())
    return pd.Series([cell if cell and known[cell] else None for cell in full], dtype=object)


def _relative(cell: Any, folder: Path) -> str | None:
    if _is_missing(cell):
        return None
    path, base = Path(str(cell)), folder.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _kind(column: pd.Series[Any]) -> str:
    return str(column.dtype) if column.dtype.kind in "fiub" else "object"


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA


def _is_nested(column: pd.Series[Any]) -> bool:
    return column.dtype == object and any(
        isinstance(cell, (list, tuple, dict, np.ndarray)) for cell in column
    )


def _plain(cell: Any) -> Any:
    return {"float64": cell.tolist()} if isinstance(cell, np.ndarray) else cell


def _parsed(cell: Any) -> Any:
    if _is_missing(cell):
        return None
    value = json.loads(cell)
    if isinstance(value, dict) and set(value) == {"float64"}:
        return np.array(value["float64"], np.float64)
    return tuple(value) if isinstance(value, list) else value
