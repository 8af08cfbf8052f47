"""The published order of steps: every image is shrunk first, the crop is taken afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lucidray.datasets import ImageTable
from lucidray.images.preprocessing import Preprocessing, spatial
from lucidray.images.read import read_xray


def shrink_first(
    table: ImageTable,
    size: int,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> ImageTable:
    """Write every image as a small square and let the table point to these.

    Args:
        table: Every row must have a file.
        size: Side of the square in pixels.
        folder: Where the small images go; those that are there are kept.
        progress: Called with images done and in all.

    Returns:
        The same rows with the paths of the small images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, (path, image) in enumerate(zip(table.paths(), table.rows["image"], strict=True)):
        small = folder / (str(image).replace("/", "_") + ".png")
        if not small.is_file():
            _shrink(path, small, size)
        paths.append(str(small.resolve()))
        if progress is not None:
            progress(index + 1, len(table))
    return replace(table, rows=table.rows.assign(path=paths))


def _shrink(path: Path, small: Path, size: int) -> None:
    pixels, _ = spatial(read_xray(path), Preprocessing(size=size))
    beside = small.with_suffix(".part")
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(beside, format="PNG")
    beside.replace(small)
