"""Make the picture of the README from the demo's run: ``python docs/images/make.py demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lucidray.datasets import load_dataset
from lucidray.images import contact_sheet, overlay, read_xray, save_png, to_rgb
from lucidray.pipeline import diagnose
from lucidray.training import load_run, open_reader

SHOWN = ("Effusion", "Pneumothorax")


def main(demo: Path) -> None:
    """Draw, for each finding, a typical test film that shows only it, plain and explained."""
    run = next(path for path in sorted(demo.glob("run_*")) if (path / "run.json").is_file())
    reader = open_reader(load_run(run))
    table = load_dataset(next(demo.glob("films*"))).split("test")
    labels = table.labels(reader.findings)
    pictures, captions = [], []
    for finding in SHOWN:
        column = reader.findings.index(finding)
        alone = (labels[:, column] == 1) & (labels.sum(1) == 1)
        row = int(np.flatnonzero(alone)[0])
        film = read_xray(table.rows["path"].iloc[row])
        found = diagnose(film, reader, findings=[finding])
        probability = found.prediction.probabilities[column]
        shown = overlay(film.pixels, found.attributions[0].values, threshold=0.3)
        pictures += [to_rgb(film.pixels), shown]
        captions += ["film", f"{finding}, probability {probability:.2f}"]
    sheet = contact_sheet(pictures, captions, columns=4, tile=256)
    save_png(sheet, Path(__file__).parent / "explained.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
