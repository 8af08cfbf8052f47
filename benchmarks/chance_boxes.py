"""What a map that never saw the film scores on the boxes that radiologists drew on ChestX-ray14.

    python benchmarks/chance_boxes.py --tables DIR

`--tables` holds the publisher's BBox_List_2017.csv (or .gz); no image is needed. Printed is the
table of docs/explanation/measuring-maps.md: for each finding the pointing game of a uniform map, of
a Gaussian in the middle and of the mean box of the other patients (95 % interval, patients
resampled), and of that mean box the pixel AUROC and how often its outline meets a box at IoU .3.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lucidray.metrics import measure_localization

SIDE, GRID = 1024, 128
MEASURES = ("pointing_game", "pixel_auroc", "box_hit_30")

Boxes = dict[str, list[list[float]]]


def main() -> None:
    """Measure finding by finding, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tables", type=Path, required=True)
    options = parser.parse_args()
    boxes = read_boxes(next(options.tables.glob("BBox_List_2017.csv*")))
    rows = sorted((scores(found), name) for name, found in boxes.items())
    count = sum(len(each) for found in boxes.values() for each in found.values())
    print(f"{count} boxes, {GRID} x {GRID} grid\n")
    print("| finding | pointing game: uniform | center | mean box | AUROC | box hit at .3 |")
    print("|---|---|---|---|---|---|")
    for (_, cells), name in reversed(rows):
        print(f"| {name} | " + " | ".join(cells) + " |")


def read_boxes(path: Path) -> dict[str, Boxes]:
    """Return the boxes of each finding and image as corners on the grid."""
    opened = gzip.open if path.suffix == ".gz" else open
    found: dict[str, Boxes] = defaultdict(lambda: defaultdict(list))
    with opened(path, "rt") as file:
        lines: Iterator[list[str]] = csv.reader(file)
        next(lines)
        for image, finding, *numbers in lines:
            x, y, width, height = (float(each) * GRID / SIDE for each in numbers[:4])
            found[finding][image].append([x, y, x + width, y + height])
    return found


def scores(boxes: Boxes) -> tuple[float, list[str]]:
    """Return the mean box's pointing game, to sort by, and a row of the table."""
    maps = np.ones((len(boxes), GRID, GRID), np.float32)
    patients = [image.split("_")[0] for image in boxes]
    table = measure_localization(
        maps,
        boxes=[np.array(each) for each in boxes.values()],
        groups=np.array(patients),
        only=MEASURES,
    )
    chance = table.chance
    prior = chance["prior", "pointing_game"]
    cells = [shown(chance[name, "pointing_game"].value) for name in ("uniform", "center", "prior")]
    cells[-1] += f" [{shown(prior.low)}, {shown(prior.high)}]"
    cells += [shown(chance["prior", name].value) for name in MEASURES[1:]]
    return prior.value, cells


def shown(value: float) -> str:
    """Write a share without its leading zero."""
    return f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    main()
