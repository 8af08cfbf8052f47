"""How a run holds up where films come from elsewhere: its test films, changed as hospitals differ.

Every film keeps its anatomy and label but takes on what commonly tells hospitals apart: the
histogram or the sharpness of a film of the *other* class, its margins, black margins, another
framing, aspect or exposure. A model that leans on any of these falls here, long before it falls in
somebody else's hospital.

    python benchmarks/what_travels.py RUN --data DIR            # the run's own test films
    python benchmarks/what_travels.py RUN --data DIR --outside name=DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from lucidray.datasets import ImageTable, load_dataset
from lucidray.metrics import auc, count
from lucidray.metrics.confusion import sensitivity, specificity
from lucidray.training import Run, cache_folder, load_run
from lucidray.training.inputs import to_unit
from lucidray.training.pixels import CachedPixels
from lucidray.training.prediction import predict_pixels
from lucidray.training.style import match_histograms, match_spectra

Change = Callable[[Tensor, Tensor], Tensor]


def scaled(across: float, down: float) -> Change:
    """Return a change that shows more (above 1) or less of the world along each axis."""
    matrix = torch.tensor([[across, 0.0, 0.0], [0.0, down, 0.0]])

    def change(films: Tensor, _: Tensor) -> Tensor:
        grid = functional.affine_grid(
            matrix.repeat(len(films), 1, 1), list(films.shape), align_corners=False
        )
        return functional.grid_sample(films, grid, align_corners=False)

    return change


def margins(part: float, *, black: bool = False) -> Change:
    """Return a change that takes margins from a film of the other class, or blackens them."""

    def change(films: Tensor, others: Tensor) -> Tensor:
        edge = round(part * films.shape[-1])
        changed = torch.zeros_like(films) if black else others.clone()
        changed[..., edge:-edge, edge:-edge] = films[..., edge:-edge, edge:-edge]
        return changed

    return change


def _full(films: Tensor) -> Tensor:
    return torch.ones(len(films))


CHANGES: dict[str, Change] = {
    "as they are": lambda films, _: films,
    "histogram of the other class": match_histograms,
    "sharpness of the other class": lambda films, others: match_spectra(
        films, others, _full(films)
    ).clamp(0, 1),
    "margins (8 %) of the other class": margins(0.08),
    "margins (15 %) of the other class": margins(0.15),
    "margins (8 %) black": margins(0.08, black=True),
    "margins (15 %) black": margins(0.15, black=True),
    "framed 20 % wider": scaled(1.2, 1.2),
    "framed 15 % closer": scaled(0.85, 0.85),
    "stretched 25 % in height": scaled(1.25**0.5, 1.25**-0.5),
    "stretched 25 % in width": scaled(1.25**-0.5, 1.25**0.5),
    "darker (gamma 1.6)": lambda films, _: films**1.6,
    "brighter (gamma 0.6)": lambda films, _: films**0.6,
}


def films_of(run: Run, table: ImageTable) -> tuple[Tensor, np.ndarray]:
    """Return films ``(N, 1, S, S)`` in [0, 1] and labels ``(N,)`` of the run's first finding."""
    labels = table.labels(run.findings)[:, 0]
    known = table.where(~np.isnan(labels))
    pixels = CachedPixels(known.paths(), run.recipe.image, cache_folder())
    films = to_unit(torch.from_numpy(pixels[np.arange(len(pixels))]))[:, None]
    return films, known.labels(run.findings)[:, 0]


class Changed:
    """Changed films in the place of the pixels that a run reads."""

    def __init__(self, films: Tensor) -> None:
        self.levels = (films * 255).round().to(torch.uint8)[:, 0].numpy()

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self.levels[indices]


def judge(run: Run, films: Tensor, labels: np.ndarray) -> str:
    """Return AUC, sensitivity and specificity at the run's operating point, as a table row."""
    scores = predict_pixels(run, Changed(films)).probabilities[:, 0]
    counts = count(labels, scores, threshold=run.operating_points[run.findings[0]])
    return f"{auc(labels, scores):.3f} | {sensitivity(counts):.3f} | {specificity(counts):.3f}"


def main() -> None:
    """Print one row a change."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--outside", action="append", default=[], help="name=DIR of another set")
    options = parser.parse_args()
    run = load_run(options.run)
    split = pd.read_csv(Path(options.run) / "split.csv").set_index("image")["split"]
    table = load_dataset(options.data).present()
    test = table.where((table.rows["image"].map(split) == "test").to_numpy())
    films, labels = films_of(run, test)
    rng = np.random.default_rng(0)
    others = films[[rng.choice(np.flatnonzero(labels != label)) for label in labels]]
    print(f"{len(films)} test films of {table.name}, {run.findings[0]}\n")
    print("| change | AUC | sensitivity | specificity |\n|---|---|---|---|")
    for name, change in CHANGES.items():
        print(f"| {name} | {judge(run, change(films, others), labels)} |", flush=True)
    for entry in options.outside:
        name, _, folder = entry.partition("=")
        print(f"| outside: {name} | {judge(run, *films_of(run, load_dataset(folder).present()))} |")


if __name__ == "__main__":
    main()
