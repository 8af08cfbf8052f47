"""Measure a run that makes masks on images that it has not seen, on the pixels of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lucidray.datasets.masks import mask_of
from lucidray.datasets.table import ImageTable
from lucidray.images.geometry import heatmap_to_source
from lucidray.images.lungs import tidy_lungs
from lucidray.metrics.segmentation import measure_mask, measure_masks
from lucidray.records import Bool, Float32, Geometry, Measurement
from lucidray.training.evaluation import count_seen, measurement_json
from lucidray.training.fit import patients
from lucidray.training.masks import LUNGS, predict_masks, with_masks
from lucidray.training.pixels import CachedPixels, Progress, cache_folder
from lucidray.training.run import Run, plain


@dataclass(frozen=True)
class MaskEvaluation:
    """How well a run outlines what it learned to outline.

    Args:
        images: What was measured, one row an image.
        values: One row an image: its name, source and measures; distances in pixels of the file.
        patients: The patient of each image.
        measurements: By mask and name, over all images.
        subgroups: By ``"source"``, hospital and name.
        seen: How many of the images the run has learned from or validated on, byte for byte.
    """

    images: ImageTable
    values: pd.DataFrame
    patients: tuple[str, ...]
    measurements: Mapping[str, Mapping[str, Measurement]]
    subgroups: Mapping[str, Mapping[str, Mapping[str, Measurement]]]
    seen: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the means, and all by mask, by hospital and by image."""
        (name, measured), *_ = self.measurements.items()
        values: dict[str, Any] = plain(
            {
                "data": self.images.name,
                "images": len(self.images),
                "seen_in_training": self.seen,
                "patients": len(set(self.patients)),
                "findings": [name],
                "dice": measured["dice"].value,
                "mask_iou": measured["mask_iou"].value,
                "measurements": {name: _json(measured)},
                "subgroups": {
                    kind: {value: _json(found) for value, found in groups.items()}
                    for kind, groups in self.subgroups.items()
                },
                "by_image": self.values.to_dict("records"),
            }
        )
        return values


def evaluate_masks(
    run: Run,
    table: ImageTable,
    *,
    n_boot: int = 2000,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    reading: Progress | None = None,
) -> MaskEvaluation:
    """Outline a table's images and measure the outlines.

    The probability map is carried to the pixels of the file, cut at the run's threshold, and
    rid of specks and holes, as a bundle does it; there it is compared with the true mask.

    Args:
        run: A finished run that makes masks.
        table: Images that the run has not learned from.
        n_boot: Bootstrap replicates, drawn by patient; 0: no intervals.
        cache: Folder of decoded pixels; None: the user's cache folder.
        progress: Called with images done and in all.
        reading: Called before that with images decoded and in all.

    Raises:
        DataError: No image has a mask, or a file cannot be read.
        ShapeError: A mask is not on the pixels of its image.
        RunError: The run makes no masks.
    """
    table = with_masks(table.present())
    folder = cache_folder() if cache is None else Path(cache)
    pixels = CachedPixels(table.paths(), run.recipe.image, folder, reading)
    pixels.check()
    found = predict_masks(run.segmenters(), pixels, run.recipe, progress=progress)
    rows: list[Any] = table.rows.to_dict("records")
    measured = [
        measure_mask(truth_of(row), outline(maps[0], pixels.cache.geometry(index), run))
        for index, (row, maps) in enumerate(zip(rows, found, strict=True))
    ]
    groups = patients(table)
    values = pd.DataFrame(measured)
    sources = table.rows["source"].fillna("unknown")
    keys = np.array(groups)
    of_source = {str(name): (sources == name).to_numpy() for name in sorted(sources.unique())}
    by_source = {
        name: _measure(values[those], keys[those], n_boot) for name, those in of_source.items()
    }
    return MaskEvaluation(
        table,
        pd.concat([table.rows[["image"]].assign(source=sources), values], axis=1),
        tuple(groups),
        {LUNGS: _measure(values, keys, n_boot)},
        {"source": by_source},
        count_seen(run, pixels),
    )


def truth_of(row: Mapping[str, Any]) -> Bool:
    """Return the true mask of a row that has one."""
    mask = mask_of(row)
    return np.zeros((1, 1), bool) if mask is None else mask


def outline(probabilities: Float32, geometry: Geometry, run: Run) -> Bool:
    """Return the mask on the pixels of the file, bool ``(H, W)``, as a bundle gives it."""
    on_file = heatmap_to_source(probabilities, geometry)
    return tidy_lungs(on_file >= run.operating_points[run.findings[0]])


def _measure(
    values: pd.DataFrame, keys: npt.NDArray[np.str_], n_boot: int
) -> dict[str, Measurement]:
    columns = {str(name): values[name].to_numpy(np.float64) for name in values}
    return measure_masks(columns, groups=keys, n_boot=n_boot)


def _json(measured: Mapping[str, Measurement]) -> dict[str, Any]:
    return {name: measurement_json(value) for name, value in measured.items()}
