"""Which films: SIIM-ACR's where they are, phantoms elsewhere; balanced, and dealt 7 : 1 : 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lucidray.datasets import ImageTable, Split, balanced_subset, load_dataset, mask_of, recognized
from lucidray.datasets.phantom import PhantomConfig, write_phantoms
from lucidray.datasets.split import fold_ids
from lucidray.errors import DataError
from lucidray.images.resample import resample
from lucidray.papers.cam_depth.protocol import PARTS, SPLIT_SEED, Settings
from lucidray.records import Bool, Float32

FINDING = "Pneumothorax"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

#: Mean number of phantom films a patient.
_FILMS = 1.5


@dataclass(frozen=True)
class Divided:
    """The images with their splits, and what a reader must know of these.

    Args:
        table: One finding, pneumothorax: 1 or 0.
        phantoms: Whether the films are generated.
        available: Images in the folder.
        positives: Those with a pneumothorax.
        shared_patients: Patients whose images stand in more than one split.
    """

    table: ImageTable
    phantoms: bool
    available: int
    positives: int
    shared_patients: int

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return split → class → number of images."""
        return {
            name: {
                "no pneumothorax": int((labels == 0).sum()),
                "pneumothorax": int((labels == 1).sum()),
            }
            for name in SPLITS
            for labels in [self.table.split(name).labels()[:, 0]]
        }


def divide(
    data: Path,
    out: Path,
    chosen: Settings,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Divided:
    """Read SIIM-ACR, or generate phantoms, and divide the images.

    Args:
        data: SIIM-ACR's folder; phantoms are generated where it is another one.
        out: Folder of the experiment; phantoms go to its ``phantoms``.
        chosen: How many images, and whether patients or images are dealt.
        progress: Called with phantoms done and in all.

    Returns:
        The division; the same for every network and seed.

    Raises:
        DataError: SIIM-ACR's table is there without its images, or a class has too few.
    """
    real = data.is_dir() and "siim_acr" in recognized(data)
    whole = _siim(data) if real else _phantoms(out / "phantoms", chosen, progress)
    labels = whole.labels()[:, 0]
    each = min(chosen.images // 2, int((labels == 0).sum()), int((labels == 1).sum()))
    if each < PARTS:
        raise DataError(
            f"the images hold {int((labels == 1).sum())} with and {int((labels == 0).sum())} "
            f"without pneumothorax; at least {PARTS} of each are needed to divide them."
        )
    dealt = _deal(balanced_subset(whole, FINDING, each, seed=SPLIT_SEED), chosen)
    return Divided(dealt, not real, len(whole), int(labels.sum()), _shared(dealt))


def _siim(data: Path) -> ImageTable:
    table = load_dataset(data, "siim_acr").present()
    if not len(table):
        raise DataError(
            f"{data} holds SIIM-ACR's table but none of its images. Put dicom-images-train/ "
            "beside it, or name an empty folder to run on phantoms."
        )
    return replace(table, findings=(FINDING,))


def _phantoms(
    folder: Path, chosen: Settings, progress: Callable[[int, int], None] | None
) -> ImageTable:
    config = PhantomConfig(
        size=chosen.phantom_size, prevalences={FINDING: 0.5}, images_per_patient=_FILMS
    )
    count = round(1.1 * chosen.images) + 12
    write_phantoms(folder, count, config, seed=SPLIT_SEED, progress=progress)
    table = load_dataset(folder, "nih_chestxray14").present()
    return replace(table, findings=(FINDING,))


def _deal(table: ImageTable, chosen: Settings) -> ImageTable:
    """Give one of nine folds to the test, one to validation, the rest to training."""
    free = replace(table, rows=table.rows.assign(split=None))
    pool = free if chosen.split_patients else replace(free, rows=free.rows.assign(patient=None))
    folds = fold_ids(pool, PARTS, seed=SPLIT_SEED)
    names = np.array(["test", "validation", *["train"] * (PARTS - 2)], dtype=object)
    return replace(table, rows=table.rows.assign(split=names[folds]))


def _shared(table: ImageTable) -> int:
    rows = table.rows[table.rows["patient"].notna()]
    return int((rows.groupby("patient")["split"].nunique() > 1).sum())


def positives(table: ImageTable, split: Split = "test") -> ImageTable:
    """Return the images of a split that have a pneumothorax."""
    part = table.split(split)
    return part.where(part.labels()[:, 0] == 1)


def mean_mask(table: ImageTable, size: int) -> Float32:
    """Return where pneumothoraces usually lie: the mean mask of the training images.

    Args:
        table: Images with splits and masks.
        size: Side of the networks' input.

    Returns:
        float32 ``(size, size)`` in [0, 1].
    """
    sums, count = np.zeros((size, size), np.float64), 0
    for mask in masks_on_input(positives(table, "train"), size):
        sums += mask
        count += 1
    return np.asarray(sums / count, dtype=np.float32)


def masks_on_input(table: ImageTable, size: int) -> Iterator[Bool]:
    """Yield the masks of images as a network's input shows them.

    Args:
        table: Images with masks.
        size: Side of the input.

    Yields:
        bool ``(size, size)`` each: pixels that the mask covers at least by half. A pneumothorax
        thinner than that leaves nothing, and what is measured of it is undefined and counted.

    Raises:
        DataError: An image has no mask.
    """
    for row in table.rows.to_dict("records"):
        mask = mask_of({str(name): value for name, value in row.items()}, FINDING)
        if mask is None:
            raise DataError(f"image '{row['image']}' has a pneumothorax but no mask.")
        yield np.asarray(resample(mask.astype(np.float32), (size, size)) >= 0.5)
