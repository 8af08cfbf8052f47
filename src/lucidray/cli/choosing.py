"""Which images of a data set a run is measured on."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lucidray.errors import DataError, RunError, unknown_name

if TYPE_CHECKING:
    from lucidray.cli.progress import Tick
    from lucidray.datasets import ImageTable
    from lucidray.training import Run

SPLITS = ("train", "validation", "test")
CHOICES = ("auto", "all", *SPLITS)


def load_images(folder: Path, name: str | None, run: Run) -> ImageTable:
    """Read a data set, with the recipe's options where it is the one that the run learned from.

    Args:
        folder: The data set.
        name: Its registered name; None: recognized.
        run: A finished run.

    Raises:
        DataError: The data set does not label what the run judges, or brings no masks for a run
            that outlines lungs.
    """
    from lucidray.datasets import load_dataset
    from lucidray.datasets.catalog import recognized

    names = [name] if name else recognized(folder) if folder.exists() else []
    same = names == [run.facts["data"]["name"]]
    table = load_dataset(folder, name, **dict(run.recipe.data.options) if same else {})
    if run.recipe.model.decoder:
        from lucidray.training.masks import with_masks

        return with_masks(table)
    lacking = [finding for finding in run.findings if finding not in table.findings]
    if lacking:
        raise DataError(
            f"the run judges {', '.join(lacking)}, which '{table.name}' does not label; it labels: "
            f"{', '.join(table.findings)}. Name a data set that labels what the run judges."
        )
    return table


def check_split(split: str) -> None:
    """Refuse a split that nobody knows.

    Raises:
        UnknownNameError: No such split.
    """
    if split not in CHOICES:
        raise unknown_name("split", split, CHOICES)


def choose_images(table: ImageTable, run: Run, split: str, tick: Tick) -> ImageTable:
    """Choose the images to measure on.

    Args:
        table: A data set.
        run: A finished run, which knows its images by their content.
        split: ``"auto"``, ``"all"`` or a split's name. ``"auto"`` takes the data set's own test
            split unless the recipe overruled it; otherwise every image that the run was neither
            trained nor validated on. ``"train"`` and ``"validation"`` are the run's own where
            any of those images are here, else the data set's.
        tick: Told how many of the files have been compared.

    Returns:
        The images that have a file here, at least one.

    Raises:
        DataError: Nothing is left.
    """
    here = table.present()
    if not len(here):
        raise DataError(f"none of the {len(table):,} images of '{table.name}' has its file here.")
    if split == "all":
        return here
    if split == "test" or (split == "auto" and run.recipe.data.official):
        chosen = here.split("test")
        if len(chosen) or split == "test":
            return _not_empty(chosen, here, split)
    known = seen_images(run)
    if split == "auto":
        return _not_empty(_where(here, lambda digest: digest not in known, tick), here, split)
    own = _where(here, lambda digest: known.get(digest) == split, tick)
    return _not_empty(own if len(own) else _labeled(here, split), here, split)


def seen_images(run: Run) -> dict[str, str]:
    """Return the split, train or validation, of each image of a run, by SHA-256.

    Raises:
        RunError: The run's list of images is missing.
    """
    return {row["sha256"]: row["split"] for row in _split(run) if row.get("sha256")}


def has_test_images(run: Run) -> bool:
    """Tell whether the data set that a run learned from keeps images for testing."""
    return any(row["split"] == "test" for row in _split(run))


def _split(run: Run) -> list[dict[str, str]]:
    path = run.folder / "split.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; train again, or restore it from a copy.") from error


def _labeled(table: ImageTable, split: str) -> ImageTable:
    return table.where((table.rows["split"] == split).to_numpy())


def _where(table: ImageTable, wanted: Callable[[str], bool], tick: Tick) -> ImageTable:
    mask = np.zeros(len(table), dtype=bool)
    for row, path in enumerate(table.paths()):
        mask[row] = wanted(_digest(path))
        tick(row + 1, len(table))
    return table.where(mask)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_empty(chosen: ImageTable, here: ImageTable, split: str) -> ImageTable:
    if len(chosen):
        return chosen
    if split == "auto":
        raise DataError(
            f"the run has learned from or been validated on every one of the {len(here):,} images "
            f"of '{here.name}' here. Name a folder with others, or measure on what it was "
            "validated on with --split validation."
        )
    counts = here.rows["split"].value_counts().to_dict()
    there = ", ".join(f"{name} ({count:,})" for name, count in counts.items()) or "none"
    raise DataError(
        f"'{here.name}' has no images here in the split '{split}'; it has: {there}. "
        "Leave --split out to measure on the images that the run has not seen."
    )
