"""The one table that every data set is read into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from lucidray.errors import DataError, unknown_name
from lucidray.records import Float32

Split = Literal["train", "validation", "test"]

#: Columns that every table has; those that a publisher does not give are empty (None / nan).
COLUMNS = ("path", "image", "patient", "split", "view_position", "age_years", "sex", "source")

#: Columns of the box table; coordinates are half-open and in source pixels.
BOX_COLUMNS = ("image", "finding", "x_min", "y_min", "x_max", "y_max")


def no_boxes() -> pd.DataFrame:
    """Return an empty box table."""
    return pd.DataFrame({name: pd.Series(dtype=_box_dtype(name)) for name in BOX_COLUMNS})


def _box_dtype(column: str) -> str:
    return "object" if column in {"image", "finding"} else "float64"


@dataclass(frozen=True)
class ImageTable:
    """Images of one data set with what is known of them.

    Args:
        name: The data set's registered name.
        findings: Canonical names of the label columns, in order.
        rows: One row an image: the columns `COLUMNS` (`image` is a unique id within the set;
            `path` is absolute or None where the file is absent; `patient` keys grouping;
            `split` is train, validation, test or None; `sex` is F or M), then one float32 column
            a finding, named by it: 1, 0 or nan (unknown). Adapters may add further columns.
        boxes: Boxes with `BOX_COLUMNS`; `image` refers to `rows.image`.
        exclusive: Whether exactly one finding is 1 in each row (multi-class, softmax) rather than
            any number of them (multi-label, sigmoid).
        terms: The publisher's terms of use in a few words.
    """

    name: str
    findings: tuple[str, ...]
    rows: pd.DataFrame
    boxes: pd.DataFrame = field(default_factory=no_boxes)
    exclusive: bool = False
    terms: str = ""

    def __post_init__(self) -> None:
        missing = [name for name in (*COLUMNS, *self.findings) if name not in self.rows.columns]
        if missing:
            raise DataError(f"table '{self.name}' lacks the columns {', '.join(missing)}.")
        if not self.rows["image"].is_unique:
            twice = int(self.rows["image"].duplicated().sum())
            raise DataError(
                f"table '{self.name}' names {twice} images more than once; "
                "each image must have one row."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, findings: Sequence[str] | None = None) -> Float32:
        """Return labels as float32 ``(N, F)``: 1, 0, or nan where unknown.

        Raises:
            UnknownNameError: A finding is not in the table.
        """
        chosen = list(findings if findings is not None else self.findings)
        for name in chosen:
            if name not in self.findings:
                raise unknown_name("finding", name, self.findings)
        return self.rows[chosen].to_numpy(dtype=np.float32)

    def paths(self) -> list[Path]:
        """Return the files, in row order.

        Raises:
            DataError: Some file is absent.
        """
        absent = int(self.rows["path"].isna().sum())
        if absent:
            raise DataError(
                f"{absent} of {len(self)} images of '{self.name}' have no file here. "
                "Drop them first with `table.present()`."
            )
        return [Path(path) for path in self.rows["path"]]

    def present(self) -> ImageTable:
        """Return the rows whose file is here."""
        return self.where(self.rows["path"].notna().to_numpy())

    def split(self, name: Split) -> ImageTable:
        """Return the rows of one split."""
        return self.where((self.rows["split"] == name).to_numpy())

    def where(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> ImageTable:
        """Return the rows at which a bool ``(N,)`` mask is True, with their boxes."""
        rows = self.rows[np.asarray(mask, dtype=bool)].reset_index(drop=True)
        boxes = self.boxes[self.boxes["image"].isin(rows["image"])].reset_index(drop=True)
        return replace(self, rows=rows, boxes=boxes)
