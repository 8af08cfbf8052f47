"""``lucidray demo --train``: the whole line on generated films, in a few minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from lucidray.cli.console import needs, print_json, say, shown
from lucidray.cli.evaluation import show_evaluation
from lucidray.cli.progress import progress

if TYPE_CHECKING:
    from lucidray.training import Evaluation, Run

#: What the demo's model learns, and how often the films show it.
FINDINGS = {"Cardiomegaly": 0.35, "Effusion": 0.35, "Mass": 0.35, "Pneumothorax": 0.3}


def train_demo(folder: Path, n: int, epochs: int, *, as_json: bool) -> None:
    """Generate films, train a small model on them, measure it, explain it, write the report.

    Args:
        folder: Where everything goes; what is there already is not made again.
        n: Films to generate.
        epochs: Epochs of training.
        as_json: Whether to print one JSON object and nothing else.

    Raises:
        MissingExtraError: The packages for training are not installed.
    """
    started = time.monotonic()
    with needs("train", "the demo with --train"):
        from lucidray.training import cache_folder as cache_folder
    tell = (lambda _: None) if as_json else say
    tell(f"[bold]1. Generate[/] {n:,} chest films with known truth.")
    films = _films(folder / f"films_{n}", n)
    tell(f"[bold]2. Train[/] a small ResNet to find {', '.join(FINDINGS)}.")
    run = _trained(films, folder / f"run_{n}_{epochs}", epochs)
    tell("[bold]3. Measure[/] it on films of other patients.")
    found = _measured(run, films)
    if not as_json:
        show_evaluation(found)
    tell("[bold]4. Explain[/] right and wrong decisions.")
    page = _page(found, run, folder / "report.html")
    if as_json:
        told = {"films": str(films), "run": str(run.folder), "report": str(page)}
        print_json(told | {"evaluation": found.to_json()})
    tell(f"Done in {time.monotonic() - started:.0f} s. Open {shown(page)} in a browser.")
    tell("Next: docs/getting-started.md, or lucidray data check on images of your own.")


def _films(folder: Path, n: int) -> Path:
    from lucidray.datasets.phantom import PhantomConfig, write_phantoms

    config = PhantomConfig(
        size=256,
        abundance=0.0,
        prevalences=FINDINGS,
        mildest=0.5,
        images_per_patient=1,
        child_share=0.0,
        test_share=0.25,
    )
    with progress("Projecting films") as stage:
        return write_phantoms(folder, n, config, workers=2, progress=stage("Projecting films"))


def _trained(films: Path, folder: Path, epochs: int) -> Run:
    from lucidray.config import from_mapping
    from lucidray.training import Recipe, train

    recipe = from_mapping(
        Recipe,
        {
            "data": {"findings": list(FINDINGS), "validation": 0.2},
            "image": {"size": 128, "channels": 1, "normalization": "zscore"},
            "model": {"backbone": "resnet18", "in_channels": 1},
            "augment": {"rotate": 5, "zoom": 0.1, "shift": 0.05, "contrast": 0.2},
            "phases": [{"epochs": epochs, "learning_rate": 1e-3, "scheduler": "onecycle"}],
            "ema": 0.98,
            "clip_gradient": 1.0,
        },
        where="the demo's recipe",
    )
    with progress("Reading films") as stage:
        reading, training = stage("Reading films"), stage("Training")
        return train(recipe, films, folder, resume=True, reading=reading, progress=training)


def _measured(run: Run, films: Path) -> Evaluation:
    from lucidray.datasets import load_dataset
    from lucidray.training import evaluate

    with progress("Reading films") as stage:
        test = load_dataset(films).split("test")
        reading, predicting = stage("Reading films"), stage("Predicting")
        return evaluate(run, test, reading=reading, progress=predicting)


def _page(found: Evaluation, run: Run, path: Path) -> Path:
    from lucidray.cli.page import write_page

    with progress("Explaining") as stage:
        return write_page(
            found,
            run,
            path,
            title="The whole line on generated films",
            lede="A small network, trained in minutes on films of which everything is known.",
            progress=stage("Explaining"),
        )
