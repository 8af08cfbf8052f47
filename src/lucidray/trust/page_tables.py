"""Tables of the trust page: methods down, measures across, blind maps below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucidray.records import Measurement
from lucidray.report.document import Table
from lucidray.trust.result import Aspect, FindingTrust
from lucidray.trust.verdict import short

PLACE = (
    *("map_iou", "pointing_game", "energy_inside", "pixel_auprc"),
    *("box_iou", "box_hit_10", "box_hit_30", "box_hit_50"),
)
REMOVAL = ("deletion", "insertion", "faithfulness_gap")
ROAD = ("road_most_first", "road_least_first", "road_gap")
ALIKE = ("map_ssim", "rank_correlation")
NOISE = ("mean_sensitivity", "max_sensitivity")

#: What measures are called on the page.
NAMES = {
    "map_iou": "IoU (Otsu)",
    "pointing_game": "Pointing game",
    "energy_inside": "Energy inside",
    "pixel_auprc": "Pixel AUPRC",
    "box_iou": "Box IoU",
    "box_hit_10": "Box hit ≥ .1",
    "box_hit_30": "≥ .3",
    "box_hit_50": "≥ .5",
    "outside_lungs": "Outside the lungs",
    "deletion": "Deletion",
    "insertion": "Insertion",
    "faithfulness_gap": "Gap",
    "road_most_first": "Most first",
    "road_least_first": "Least first",
    "road_gap": "Gap",
    "map_ssim": "SSIM",
    "rank_correlation": "Rank correlation",
    "top_overlap": "Hottest tenth shared",
    "mean_sensitivity": "Moves, mean",
    "max_sensitivity": "Moves, at most",
    "gini_sparseness": "Sparseness",
}


def cell(found: Measurement, digits: int = 2) -> str:
    """Return a value and its interval, as a stacked table sets it; a dash where undefined."""
    if not np.isfinite(found.value):
        return "–"
    text = short(found.value, digits)
    if np.isfinite(found.low) and np.isfinite(found.high):
        text += f" [{short(found.low, digits)}, {short(found.high, digits)}]"
    return text


def aspect_table(
    found: FindingTrust,
    name: str,
    measures: Sequence[str],
    caption: str,
    *,
    chance: Sequence[str] = (),
    more: tuple[str, Sequence[str]] = ("", ()),
    digits: int = 2,
    films: bool = True,
) -> Table:
    """Return one aspect of all methods, and what blind maps score below it.

    Args:
        found: The finding.
        name: The aspect.
        measures: Across.
        caption: What the table shows.
        chance: Blind maps, as far as they were measured.
        more: Another aspect and its measures, set beside.
        digits: Behind the point.
        films: Whether the last column counts films.
    """
    rows = []
    for method in found.methods:
        own = [cell(method.aspect(name).get(each), digits) for each in measures]
        own += [cell(method.aspect(more[0]).get(each), digits) for each in more[1]]
        rows.append((method.method, *own, _count(method.aspect(name), measures[0])))
    first = len(rows)
    for label, aspect, baseline in _blind(found, name, chance):
        own = [cell(aspect.chance_of(each, baseline), digits) for each in measures]
        rows.append((label, *own, *("–" for _ in more[1]), ""))
    columns = ("Method", *(NAMES[each] for each in (*measures, *more[1])), "Films")
    end = None if films else -1
    return Table(
        columns[:end],
        tuple(row[:end] for row in rows),
        caption,
        emphasis=tuple(range(first, len(rows))),
        stacked=True,
    )


def _blind(found: FindingTrust, name: str, chance: Sequence[str]) -> list[tuple[str, Aspect, str]]:
    """Return blind maps to be listed: once where they are alike for all methods."""
    listed: list[tuple[str, Aspect, str]] = []
    for baseline in chance:
        known = [
            (method.method, method.aspect(name))
            for method in found.methods
            if any(baseline in each for each in method.aspect(name).chance.values())
        ]
        seen: list[dict[str, float]] = []
        for method, aspect in known:
            values = {m: round(b[baseline].value, 4) for m, b in aspect.chance.items()}
            if values not in seen and not any(_same(values, other) for other in seen):
                seen.append(values)
                listed.append((baseline if len(seen) == 1 else f"{baseline}, {method}", aspect,
                               baseline))  # fmt: skip
    return listed


def _same(one: dict[str, float], two: dict[str, float]) -> bool:
    keys = one.keys() | two.keys()
    return all(
        np.isclose(one.get(k, np.nan), two.get(k, np.nan), atol=5e-3, equal_nan=True) for k in keys
    )


def _count(aspect: Aspect, measure: str) -> str:
    if aspect.missing:
        return aspect.missing.removeprefix("not measured: ")
    found = aspect.get(measure)
    silent = aspect.counts.get("no_positive_evidence", 0)
    return f"{found.count}" + (f", {silent} without evidence" if silent else "")


def sanity_table(found: FindingTrust) -> Table:
    """Return what came of randomizing the network."""
    rows = []
    for method in found.methods:
        aspect = method.aspect("sanity")
        bar = aspect.chance_of("map_ssim", "others")
        rows.append(
            (
                method.method,
                cell(aspect.get("map_ssim")),
                cell(bar),
                cell(aspect.get("rank_correlation")),
                cell(aspect.get("rank_correlation_absolute")),
                aspect.outcome or aspect.missing,
            )
        )
    return Table(
        (
            *("Method", "SSIM with random network", "SSIM between patients"),
            *("Rank correlation", "Without signs", "Verdict"),
        ),
        tuple(rows),
        "Maps of the trained network against those of the same network with all weights drawn "
        "anew. It passes where they are less alike than maps of different patients: below that "
        "bar the map cannot be the mere look of films. It ranks nothing.",
        numeric=(1, 2, 3, 4),
        stacked=True,
    )
