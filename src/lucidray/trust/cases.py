"""Best and worst films of a method, and the subgroups in which its maps do better or worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from lucidray.images.geometry import heatmap_to_source
from lucidray.images.render import draw_boxes, overlay, to_rgb
from lucidray.metrics.catalog import metrics
from lucidray.metrics.localization_table import MapTable, tabulate
from lucidray.records import Bool, Float32, Float64, Measurement
from lucidray.trust.films import ATTRIBUTES, Frame
from lucidray.trust.result import Case, Picture, SubgroupRow
from lucidray.trust.store import Store

#: Below this part of its maximum a map is not drawn.
_THRESHOLD = 0.2

#: Fewest films of a subgroup that are measured by themselves.
SMALLEST = 5

#: Longer side of a picture on the page.
_SIDE = 384


def pick_cases(
    values: Float64, measure: str, places: Sequence[int], count: int
) -> list[tuple[int, Literal["best", "worst"], float]]:
    """Pick the films with the best and the worst values.

    Args:
        values: ``(N,)``, one a film; undefined ones are not picked.
        measure: The registered measure, which knows its direction.
        places: The number of each film.
        count: Best and worst, of each; fewer where there are few films, and none twice.

    Returns:
        Number, kind and value, the best first and the worst last.
    """
    known = np.flatnonzero(np.isfinite(values))
    sign = -1 if metrics.entry(measure).facts["higher_is_better"] else 1
    order = known[np.argsort(sign * values[known], kind="stable")]
    each = min(count, len(order) // 2)
    best = [(places[at], "best", float(values[at])) for at in order[:each]]
    worst = [(places[at], "worst", float(values[at])) for at in order[len(order) - each :]]
    return [*best, *worst]  # type: ignore[list-item]


def draw_cases(
    key: str,
    maps: Store,
    frames: Sequence[Frame],
    table: MapTable | None,
    places: Sequence[int],
    measure: str,
    count: int,
) -> tuple[tuple[Case, ...], dict[str, Picture]]:
    """Pick and draw a method's best and worst films.

    Args:
        key: What the keys of its pictures begin with.
        maps: Its raw maps.
        frames: The films.
        table: Measures of the films at `places`; None: nothing to pick by.
        places: Numbers of films.
        measure: By which to pick.
        count: Of each kind.

    Returns:
        The cases and their pictures.
    """
    if table is None:
        return (), {}
    cases, pictures = [], {}
    for at, kind, value in pick_cases(table.values[measure], measure, places, count):
        name = f"{key}/{at}"
        cases.append(Case(frames[at].film.image, kind, measure, value, name))
        pictures[name] = draw(frames[at], maps[at])
        pictures[f"film/{at}"] = plain(frames[at])
    return tuple(cases), pictures


def draw(frame: Frame, raw: Float32) -> Picture:
    """Return the film under a map, with the true boxes, or the outline of the true mask."""
    pixels = frame.picture.astype(np.float32) / np.float32(255)
    values = np.zeros(frame.shape, np.float32)
    if np.isfinite(raw).all():
        values = heatmap_to_source(raw, frame.way)
    return _marked(overlay(pixels, values, threshold=_THRESHOLD), frame)


def plain(frame: Frame) -> Picture:
    """Return the film with the true place and nothing else."""
    return _marked(to_rgb(frame.picture.astype(np.float32) / np.float32(255)), frame)


def _marked(picture: Picture, frame: Frame) -> Picture:
    scale = _SIDE / max(frame.shape)
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    if frame.truth == "boxes" and frame.boxes is not None:
        return draw_boxes(large, frame.boxes * scale)
    if frame.mask is None:
        return large
    mask = np.asarray(Image.fromarray(frame.mask).resize(size, Image.Resampling.NEAREST))
    outlined = large.copy()
    outlined[border(mask)] = (0, 229, 255)
    return outlined


def border(mask: Bool) -> Bool:
    """Return the pixels of a mask ``(H, W)`` that have a neighbor outside of it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)


def measure_groups(
    table: MapTable | None,
    places: Sequence[int],
    frames: Sequence[Frame],
    measure: str,
    options: Mapping[str, Any],
) -> tuple[SubgroupRow, ...]:
    """Measure subgroups of at least `SMALLEST` films, where an attribute has several.

    Args:
        table: Measures of the films at `places`; None: there are none.
        places: Numbers of films.
        frames: The films.
        measure: Which to take.
        options: Bootstrap settings.

    Returns:
        A row for each subgroup.
    """
    rows = []
    for attribute in ATTRIBUTES.values() if table is not None else ():
        names = np.array([frames[at].film.groups.get(attribute, "") for at in places])
        counts = {str(name): int((names == name).sum()) for name in sorted(set(names) - {""})}
        if len(counts) < 2:
            continue
        for name, count in counts.items():
            if count >= SMALLEST and table is not None:
                found = _of_group(table, names == name, places, frames, measure, options)
                rows.append(SubgroupRow(attribute, name, found))
    return tuple(rows)


def _of_group(
    table: MapTable,
    chosen: Bool,
    places: Sequence[int],
    frames: Sequence[Frame],
    measure: str,
    options: Mapping[str, Any],
) -> Measurement:
    kept = [int(at) for at in np.flatnonzero(chosen)]
    part = tabulate(
        {measure: table.values[measure][kept]},
        {name: {measure: found[measure][kept]} for name, found in table.baselines.items()},
        [table.status[at] for at in kept],
        groups=[frames[places[at]].film.patient for at in kept],
        **options,
    )
    return part.measurements[measure]
