"""The registry of data sets, and the one function that reads any of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from lucidray.datasets.scanning import check_name
from lucidray.datasets.table import ImageTable
from lucidray.errors import DataError, unknown_name
from lucidray.registry import Registry

Reader = Callable[..., ImageTable]
Recognizer = Callable[[Path], bool]

#: Every data set that can be read, by the name that a user types.
datasets: Registry[Reader] = Registry("data set")


def adapter(
    name: str,
    *,
    source: str,
    terms: str,
    layout: str,
    recognize: Recognizer,
    generic: bool = False,
) -> Callable[[Reader], Reader]:
    """Return a decorator that registers the reader of one published data set.

    The registered reader first checks that the folder is there and not empty and that every
    option is known, and puts the name and terms into the table that it returns.

    Args:
        name: The name that a user types.
        source: The publication or publisher.
        terms: The publisher's terms of use in a few words.
        layout: The files by which the data set is recognized, in words.
        recognize: Tells whether a folder holds this data set; must be quick.
        generic: Whether the layout is nobody's own, so that any other data set goes first.
    """

    def enter(reader: Reader) -> Reader:
        options = [key for key in inspect.signature(reader).parameters if key != "root"]

        @wraps(reader)
        def read(root: Path | str, **given: Any) -> ImageTable:
            for key in given:
                if key not in options:
                    raise unknown_name(f"option of data set '{name}'", key, options or ["none"])
            table = reader(_checked(Path(root)), **given)
            return replace(table, name=name, terms=table.terms or terms)

        facts = {"terms": terms, "layout": layout, "recognize": recognize, "generic": generic}
        return datasets.register(name, source=source, **facts)(read)

    return enter


def load_dataset(root: Path | str, name: str | None = None, **options: Any) -> ImageTable:
    """Read a data set from its publisher's own folder.

    Args:
        root: The folder as the publisher lays it out (or a table file of our own format).
        name: The registered name; None: recognized from the layout.
        options: Options of that data set's reader.

    Returns:
        Its table, one row an image; `path` is empty where an image is not in the folder.

    Raises:
        DataError: The folder is missing or empty, no data set (or more than one) is recognized
            in it, or its tables are not as their publisher describes them.
        UnknownNameError: No such data set or option.
    """
    root = _checked(Path(root))
    if name is None:
        found = recognized(root)
        if len(found) != 1:
            raise _not_one(root, found)
        name = found[0]
    return datasets[name](root, **options)


def recognized(root: Path) -> list[str]:
    """Return the names of the data sets whose layout a folder has; generic ones only if alone."""
    matching = [entry for entry in datasets.entries() if entry.facts["recognize"](root)]
    published = [entry.name for entry in matching if not entry.facts["generic"]]
    return published or [entry.name for entry in matching]


def _checked(root: Path) -> Path:
    if not root.exists():
        raise DataError(f"no such data folder: {root}. Name the folder that holds the data set.")
    check_name(root.resolve())
    if root.is_dir() and next(root.iterdir(), None) is None:
        raise DataError(f"data folder {root} is empty. Unpack the data set into it first.")
    return root


def _not_one(root: Path, found: list[str]) -> DataError:
    if root.is_file():
        return DataError(
            f"no known data set in {root}: it is a file, and no table of images. Name the folder "
            "that holds the data set, or a .csv or .parquet file with the column 'path'."
        )
    if found:
        return DataError(
            f"{root} looks like several data sets: {', '.join(found)}. Say which one it is by name."
        )
    expected = "\n".join(f"  {entry.name}: {entry.facts['layout']}" for entry in datasets.entries())
    inside = sorted(item.name for item in root.iterdir())[:8]
    return DataError(
        f"no known data set in {root}, which holds {', '.join(inside)}. Expected one of:\n"
        f"{expected}\nName the data set, or point to the folder that holds these files."
    )
