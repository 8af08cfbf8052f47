"""The images of one data set: read, their copies found, divided, and made small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lucidray.datasets import ImageTable, Split, load_dataset, recognized
from lucidray.datasets.audit import find_duplicates, scan_images
from lucidray.datasets.split import assign_splits
from lucidray.errors import DataError
from lucidray.images.preprocessing import Preprocessing, spatial
from lucidray.images.read import read_xray
from lucidray.papers.cam_roi.protocol import SPLIT_SEED, Settings, fractions
from lucidray.papers.cam_roi.published import BRAIN, CHEST
from lucidray.records import Bool
from lucidray.training.weights import fingerprint

Int = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Material:
    """One data set, ready to be trained on.

    Args:
        name: Its registered name.
        table: The images that are used, with their splits.
        labels: int64 ``(N,)`` class indices.
        groups: int64 ``(N,)``: images of one number are copies of one picture.
        pixels: uint8 ``(N, S, S)``.
        available: Images in the folder.
        copies: Images that were left out because another copy of them is kept.
        official_test: Whether the publisher's own test split judges.
    """

    name: str
    table: ImageTable
    labels: Int
    groups: Int
    pixels: Pixels
    available: int
    copies: int
    official_test: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.table.findings

    def rows(self, *splits: Split) -> Int:
        """Return the row numbers of some splits, in the table's order."""
        mine = self.table.rows["split"].isin(splits).to_numpy(dtype=bool)
        return np.flatnonzero(mine).astype(np.int64)

    def clean(self) -> Bool:
        """Return which test images have no copy in training or validation, each picture once.

        Returns:
            bool ``(T,)``, in the order of ``rows("test")``.
        """
        test = self.groups[self.rows("test")]
        known = np.isin(test, self.groups[self.rows("train", "validation")])
        first = np.zeros(len(test), bool)
        first[np.unique(test, return_index=True)[1]] = True
        return np.asarray(first & ~known)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return split → class → number of images."""
        return {
            split: {
                name: int((self.labels[self.rows(split)] == at).sum())
                for at, name in enumerate(self.classes)
            }
            for split in SPLITS
        }

    def digest(self) -> str:
        """Return a digest of the images, their labels and splits."""
        names = self.table.rows["image"].astype(str) + "|" + self.table.rows["split"].astype(str)
        return fingerprint(["\n".join(names), self.pixels.tobytes()])[:16]


def find_sets(data: Path) -> Mapping[str, Path]:
    """Find the two data sets.

    Args:
        data: A folder that holds ``chest_multiclass`` and ``brain_mri``, or one of them, or is one.

    Returns:
        Registered name → folder, chest first.

    Raises:
        DataError: Neither is there.
    """
    found = {name: data / name for name in (CHEST, BRAIN) if (data / name).is_dir()}
    if not found and data.is_dir():
        found = {name: data for name in recognized(data) if name in (CHEST, BRAIN)}
    if not found:
        raise DataError(
            f"{data} holds neither of the two data sets. Give a folder with `{CHEST}/` (train, "
            "validation and test, each with normal, pneumonia and tuberculosis) and with "
            f"`{BRAIN}/` (Training and Testing, each with glioma, meningioma, notumor and "
            "pituitary), or one of these two."
        )
    return found


def prepare(
    name: str, root: Path, chosen: Settings, progress: Callable[[int, int], None] | None = None
) -> Material:
    """Read a data set, find its copies, divide it and make its images small.

    Args:
        name: Its registered name.
        root: Its folder.
        chosen: How many images, which size, and whether copies are left out.
        progress: Called with images done and in all.

    Raises:
        DataError: The folder does not hold the data set, or a split lacks a class.
    """
    whole = load_dataset(root, name).present()
    table = _fewer(whole, chosen.images)
    steps = _halves(progress)
    _, _, groups = find_duplicates(scan_images(table.paths(), progress=steps[0]))
    kept = _first_of_each(groups) if chosen.distinct else np.ones(len(table), bool)
    used, groups = table.where(kept), groups[kept]
    official = bool((used.rows["split"] == "test").any())
    divided = _divide(used, name, official=official)
    material = Material(
        name,
        divided,
        divided.labels().argmax(axis=1).astype(np.int64),
        groups,
        read_small(divided.paths(), chosen.size, steps[1]),
        len(whole),
        int((~kept).sum()),
        official,
    )
    _check(material)
    return material


def _halves(
    progress: Callable[[int, int], None] | None,
) -> list[Callable[[int, int], None] | None]:
    if progress is None:
        return [None, None]
    told = progress
    return [lambda a, b: told(a, 2 * b), lambda a, b: told(a + b, 2 * b)]


def _fewer(table: ImageTable, limit: int | None) -> ImageTable:
    """Draw images of each class in proportion, at random."""
    if limit is None or len(table) <= limit:
        return table
    names = table.rows["image"].to_numpy(dtype=str)
    labels = table.labels().argmax(axis=1)
    rng = np.random.default_rng(SPLIT_SEED)
    kept = np.zeros(len(table), bool)
    for value in np.unique(labels):
        rows = np.flatnonzero(labels == value)
        rows = rows[np.argsort(names[rows], kind="stable")]
        kept[rng.permutation(rows)[: round(limit * len(rows) / len(table))]] = True
    return table.where(kept)


def _first_of_each(groups: Int) -> Bool:
    kept = np.zeros(len(groups), bool)
    kept[np.unique(groups, return_index=True)[1]] = True
    return kept


def _divide(table: ImageTable, name: str, *, official: bool) -> ImageTable:
    """Divide at random; where copies were left out before, no group has two images left."""
    validation, test = fractions(name)
    if official:
        validation, test = validation / (1 - test), 0.0
    else:
        table = replace(table, rows=table.rows.assign(split=None))
    return assign_splits(
        table,
        validation=validation,
        test=test,
        seed=SPLIT_SEED,
        official=official,
        keep_validation=False,
        overlap="allow",
    )


def read_small(
    paths: list[Path], size: int, progress: Callable[[int, int], None] | None = None
) -> Pixels:
    """Read images as small squares.

    Args:
        paths: The files.
        size: Side in pixels.
        progress: Called with images done and in all.

    Returns:
        uint8 ``(N, size, size)``.
    """
    small = np.empty((len(paths), size, size), np.uint8)
    for index, path in enumerate(paths):
        pixels, _ = spatial(read_xray(path), Preprocessing(size=size))
        small[index] = np.rint(np.clip(pixels, 0, 1) * 255)
        if progress is not None:
            progress(index + 1, len(paths))
    return small


def _check(material: Material) -> None:
    for split, found in material.counts().items():
        absent = [name for name, count in found.items() if not count]
        if absent:
            raise DataError(
                f"the {split} images of '{material.name}' hold no {', '.join(absent)}; every class "
                "is needed in each split. Give a folder with more images of each class."
            )
