"""What is known of simulated films and of no real one, joined to their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lucidray.datasets.joining import read_csv, stem
from lucidray.datasets.scanning import image_files, image_index
from lucidray.findings import canonical

_FIXATION = ["x", "y", "start_s", "duration_s"]
_NAME_LENGTH = len("00000001_000")


def is_simulated(root: Path) -> bool:
    """Tell whether a folder in ChestX-ray14's layout holds phantoms."""
    return (root / "phantoms.json").is_file()


def truth_columns(root: Path, images: pd.Series[Any]) -> dict[str, Any]:
    """Return the truth of phantoms as columns, one value an image.

    Args:
        root: The folder that `write_phantoms` wrote.
        images: Image ids, in row order.

    Returns:
        `mask`, the lung mask's file; `mask_files`, a dict from finding to its mask's file;
        `fixations`, float64 ``(n, 4)`` of x, y (source pixels), start and duration (seconds);
        `shortcut`, whether the planted tag is there; `source`, ``"phantom"``.
    """
    columns: dict[str, Any] = {"source": "phantom"}
    if (root / "masks" / "lungs").is_dir():
        lungs = image_index(root / "masks" / "lungs")
        columns["mask"] = images.map(lungs).astype(object)
        lesions = _lesions(root)
        columns["mask_files"] = pd.Series([lesions.get(name, {}) for name in images], dtype=object)
    if (root / "fixations.csv").is_file():
        columns["fixations"] = _fixations(root / "fixations.csv", images)
    if (root / "truth.csv").is_file():
        truth = read_csv(root / "truth.csv", ("Image Index", "shortcut"))
        planted = truth.set_index(truth["Image Index"].map(stem))["shortcut"]
        columns["shortcut"] = images.map(planted).astype("float32")
    return columns


def _lesions(root: Path) -> dict[str, dict[str, str]]:
    folder = (root / "masks" / "lesions").resolve()
    found: dict[str, dict[str, str]] = {}
    for path in image_files(folder) if folder.is_dir() else ():
        image, finding = path.stem[:_NAME_LENGTH], canonical(path.stem[_NAME_LENGTH + 1 :])
        found.setdefault(image, {})[finding] = str(path)
    return found


def _fixations(path: Path, images: pd.Series[Any]) -> pd.Series[Any]:
    rows = read_csv(path, ("image", *_FIXATION))
    parts = {str(name): part[_FIXATION].to_numpy(np.float64)
             for name, part in rows.groupby(rows["image"].map(stem), sort=False)}  # fmt: skip
    nothing = np.empty((0, 4), np.float64)
    return pd.Series([parts.get(name, nothing) for name in images], dtype=object)
