"""Which films a trust report looks at, and all that is known of each on one small grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lucidray.datasets import ImageTable, mask_of, read_mask
from lucidray.errors import DataError
from lucidray.images.contrast import to_levels
from lucidray.images.geometry import compose, invert, map_boxes, mask_to_model, scaling
from lucidray.images.preprocessing import Preprocessing, shrink_limit, spatial
from lucidray.images.read import read_xray
from lucidray.images.resample import resample
from lucidray.metrics import age_bands
from lucidray.metrics.localization_masks import mask_from_boxes
from lucidray.records import Bool, Float32, Float64, Geometry, XRay
from lucidray.trust.result import Picture

#: Outlines both lungs of a radiograph, bool on its pixels.
Outline = Callable[[XRay], Bool]

#: Subgroups, by the name on the page.
ATTRIBUTES = {"sex": "sex", "age_years": "age", "view_position": "view", "source": "source"}


@dataclass(frozen=True)
class Film:
    """A film to be explained.

    Args:
        path: Its file.
        image: Its id.
        patient: Key of the patient; an image of nobody known is its own.
        boxes: float64 ``(G, 4)`` of the finding, in the file's pixels; None: there are none.
        groups: Subgroup by attribute; unknown ones left out.
        row: Its row in the table.
    """

    path: Path
    image: str
    patient: str
    boxes: Float64 | None
    groups: Mapping[str, str]
    row: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Frame:
    """A film, read, on a small grid that keeps its aspect.

    Args:
        film: The film.
        way: From the small grid to the square that the network sees.
        picture: uint8 ``(h, w)``, the film.
        mask: bool ``(h, w)``: where the finding is, its boxes where there is no outline; None:
            nobody says.
        boxes: float64 ``(G, 4)`` on the small grid; None: there are none.
        lungs: bool ``(h, w)``; None: not known.
        tag: bool ``(h, w)``: a planted tag; None: there is none.
        truth: What the finding was marked with; empty: nobody has marked it.
    """

    film: Film
    way: Geometry
    picture: Picture
    mask: Bool | None = None
    boxes: Float64 | None = None
    lungs: Bool | None = None
    tag: Bool | None = None
    truth: Literal["masks", "boxes", ""] = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the small grid."""
        return self.way.source_shape


def choose_films(table: ImageTable, finding: str, count: int, seed: int = 0) -> tuple[Film, ...]:
    """Choose films that show a finding: those whose place is known, else any.

    Args:
        table: Images; those without a file are left out.
        finding: One of its findings.
        count: At most so many.
        seed: Same seed, same films.

    Returns:
        Films in the order of the table; a second film of a patient only where all patients have
        one.

    Raises:
        UnknownNameError: The table has no such finding.
        DataError: No film shows it.
    """
    here = table.present()
    shown = np.flatnonzero(here.labels([finding])[:, 0] == 1)
    if not len(shown):
        raise DataError(
            f"none of the {len(here):,} images of '{table.name}' shows {finding}; a map is "
            "measured where the finding is. Choose another finding or other images."
        )
    rows = here.rows.to_dict("records")
    boxed = here.boxes[here.boxes["finding"] == finding]
    by_image = dict(list(boxed.groupby("image")))
    marked = [at for at in shown if _is_marked(rows[at], finding, by_image)]
    chosen = _spread(marked or list(shown), rows, count, seed)
    bands = age_bands(here.rows["age_years"].to_numpy(dtype=np.float64, na_value=np.nan))
    return tuple(_film(rows[at], by_image, bands[at]) for at in chosen)


def _is_marked(row: Mapping[Any, Any], finding: str, boxes: Mapping[Any, Any]) -> bool:
    if row["image"] in boxes:
        return True
    known = (row.get("mask_files"), row.get("mask_coco"))
    if any(isinstance(each, Mapping) and finding in each for each in known):
        return True
    runs = row.get("mask_runs")
    return finding == "Pneumothorax" and isinstance(runs, (list, tuple)) and len(runs) > 0


def _spread(places: list[Any], rows: list[Any], count: int, seed: int) -> list[int]:
    order = np.random.default_rng(seed).permutation(places)
    seen: dict[str, int] = {}
    turns = []
    for at in order:
        turns.append(seen.setdefault(_patient(rows[at]), 0))
        seen[_patient(rows[at])] += 1
    return sorted(int(at) for at in order[np.argsort(turns, kind="stable")][:count])


def _patient(row: Mapping[Any, Any]) -> str:
    name = row["patient"]
    return f"image {row['image']}" if pd.isna(name) else f"patient {name}"


def _film(row: Mapping[Any, Any], boxes: Mapping[Any, Any], band: str | None) -> Film:
    own = boxes.get(row["image"])
    known = {name: row[column] for column, name in ATTRIBUTES.items() if column != "age_years"}
    groups = {name: str(value) for name, value in known.items() if not pd.isna(value)}
    if band is not None:
        groups["age"] = band
    corners = ["x_min", "y_min", "x_max", "y_max"]
    return Film(
        Path(row["path"]),
        str(row["image"]),
        _patient(row),
        None if own is None else own[corners].to_numpy(np.float64),
        groups,
        row,
    )


def read_frame(
    film: Film,
    finding: str,
    preprocessing: Preprocessing,
    *,
    grid: int,
    outline: Outline | None = None,
) -> tuple[Float32, Frame]:
    """Read a film, and bring all that is known of it to one small grid.

    Args:
        film: The film.
        finding: Whose place is wanted.
        preprocessing: The model's.
        grid: Longer side of the small grid, in pixels.
        outline: Outlines lungs; None: only those that the data set brings.

    Returns:
        The square that the network sees, float32 ``(S, S)`` in [0, 1] before its contrast is
        changed, and the frame.

    Raises:
        ImageError: The film cannot be read.
    """
    xray = read_xray(film.path, shrink_to=max(shrink_limit(preprocessing), grid))
    square, geometry = spatial(xray, replace(preprocessing, contrast="none"))
    source = xray.geometry.source_shape
    shrink = min(grid / max(source), 1.0)
    shape = (max(round(source[0] * shrink), 1), max(round(source[1] * shrink), 1))
    small = scaling(source, shape)
    mask = _on_grid(mask_of(film.row, finding), shape)
    boxes = None if film.boxes is None else map_boxes(film.boxes, small)
    truth: Literal["masks", "boxes", ""] = "" if mask is None else "masks"
    if mask is None and boxes is not None:
        mask, truth = mask_from_boxes(boxes, shape), "boxes"
    return square, Frame(
        film,
        compose(invert(small), geometry),
        to_levels(resample(xray.pixels, shape)),
        mask,
        boxes,
        _lungs(film, xray, shape, outline),
        _on_grid(_tag(film), shape),
        truth,
    )


def _lungs(film: Film, xray: XRay, shape: tuple[int, int], outline: Outline | None) -> Bool | None:
    # Run lengths without a finding are SIIM-ACR's, of a pneumothorax; only files are of lungs.
    known = mask_of({"mask": film.row.get("mask")})
    if known is None and outline is not None:
        known = outline(xray)
    return _on_grid(known, shape)


def _on_grid(mask: Bool | None, shape: tuple[int, int]) -> Bool | None:
    if mask is None:
        return None
    return mask_to_model(mask, scaling((mask.shape[0], mask.shape[1]), shape))


def _tag(film: Film) -> Bool | None:
    """Return the tag that was planted on a phantom."""
    if film.row.get("shortcut") != 1:
        return None
    path = film.path.parents[1] / "masks" / "shortcut" / f"{film.image}.png"
    return read_mask(path) if path.is_file() else None
