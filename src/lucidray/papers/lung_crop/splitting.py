"""Who is trained on, who decides when to stop, and who judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lucidray.datasets import ImageTable, Split, load_dataset
from lucidray.datasets.split import assign_splits, check_no_leakage, fold_ids
from lucidray.errors import DataError
from lucidray.papers.lung_crop.protocol import (
    FOLDS,
    SPLIT_SEED,
    Settings,
)

FINDING = "Pneumonia"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Divided:
    """The images with their splits, and what a reader must know of these.

    Args:
        table: One finding, pneumonia: 1 or 0.
        official_test: Whether the publisher's own test split judges.
        shared_patients: Patients whose images stand in both training and validation.
        available: Images in the folder; more than in the table where a scale uses fewer.
    """

    table: ImageTable
    official_test: bool
    shared_patients: int
    available: int

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return split → class → number of images."""
        return {
            name: {
                "normal": int((part.labels()[:, 0] == 0).sum()),
                "pneumonia": int((part.labels()[:, 0] == 1).sum()),
            }
            for name in SPLITS
            for part in [self.table.split(name)]
        }

    def patients(self) -> Mapping[str, int]:
        """Return split → number of patients."""
        rows = self.table.rows
        return {name: int(rows.loc[rows["split"] == name, "patient"].nunique()) for name in SPLITS}


def divide(data: Path, chosen: Settings) -> Divided:
    """Read the data set and divide it as a mode asks.

    Args:
        data: The folder in the publisher's layout.
        chosen: Whether validation is drawn by patient, and how many images are used.

    Returns:
        The division; the same for every arm and seed.

    Raises:
        DataError: The folder does not hold the data set, or a split lacks a class.
    """
    whole = load_dataset(data, "pediatric_pneumonia").present()
    table = _fewer(replace(whole, findings=(FINDING,), exclusive=False), chosen.images)
    official = bool((table.rows["split"] == "test").any())
    held_out = _held_out(table, official=official)
    kept = held_out.where(held_out.rows["split"].notna().to_numpy())
    divided = _validated(kept, by_patient=chosen.split_patients)
    _check(divided)
    shared = _shared(divided)
    return Divided(divided, official, shared, len(whole))


def _held_out(table: ImageTable, *, official: bool) -> ImageTable:
    """Keep the official test images, or draw patients for the test; the rest is for training."""
    if official:
        return assign_splits(table, validation=0, test=0, keep_validation=False, overlap="drop")
    return _drawn(replace(table, rows=table.rows.assign(split="train")), "test")


def _drawn(table: ImageTable, name: Split) -> ImageTable:
    """Give a fifth of the training patients, one fold of five, to another split."""
    split = table.rows["split"].to_numpy(dtype=object).copy()
    pool = split == "train"
    folds = fold_ids(table.where(pool), FOLDS, seed=SPLIT_SEED)
    split[np.flatnonzero(pool)[folds == 0]] = name
    return replace(table, rows=table.rows.assign(split=split))


def _validated(table: ImageTable, *, by_patient: bool) -> ImageTable:
    if by_patient:
        divided = _drawn(table, "validation")
        check_no_leakage(divided)
        return divided
    split = table.rows["split"].to_numpy(dtype=object).copy()
    pool = np.flatnonzero(split == "train")
    names = table.rows["image"].to_numpy(dtype=str)[pool]
    drawn = np.random.default_rng(SPLIT_SEED).permutation(len(pool))
    count = round(len(pool) / FOLDS)
    split[pool[np.argsort(names, kind="stable")][drawn[:count]]] = "validation"
    return replace(table, rows=table.rows.assign(split=split))


def _fewer(table: ImageTable, limit: int | None) -> ImageTable:
    """Keep whole patients, drawn at random, until a number of images is reached."""
    if limit is None or len(table) <= limit:
        return table
    patients = table.rows["patient"].to_numpy(dtype=str)
    names = np.unique(patients)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    sizes = np.array([(patients == names[index]).sum() for index in order])
    kept = names[order[np.cumsum(sizes) <= limit]]
    return table.where(np.isin(patients, kept))


def _shared(table: ImageTable) -> int:
    rows = table.rows
    both = [set(rows.loc[rows["split"] == name, "patient"]) for name in ("train", "validation")]
    return len(both[0] & both[1])


def _check(table: ImageTable) -> None:
    for name in SPLITS:
        labels = table.split(name).labels()[:, 0]
        if not (labels == 0).any() or not (labels == 1).any():
            raise DataError(
                f"the {name} images hold {int((labels == 0).sum())} normal and "
                f"{int((labels == 1).sum())} pneumonia; both classes are needed. Give a folder "
                "with more patients of each class."
            )
