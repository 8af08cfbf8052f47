"""``lucidray demo``: the whole line on generated films, in a few minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lucidray.cli.app import app
from lucidray.cli.console import needs, out, progress_bar
from lucidray.cli.train import show_evaluation

if TYPE_CHECKING:
    from lucidray.training import Run

#: What the demo's model learns, and how often the films show it.
FINDINGS = {"Cardiomegaly": 0.35, "Effusion": 0.35, "Mass": 0.35, "Pneumothorax": 0.3}


@app.command(rich_help_panel="Start here")
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where everything goes.")] = Path("demo"),
    n: Annotated[int, typer.Option("--n", min=60, help="Films to generate.")] = 900,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 12,
) -> None:
    """Generate films, train a small model on them, measure it, explain it, write the report."""
    started = time.monotonic()
    with needs("train", "the demo"):
        from lucidray.cli.page import write_page
        from lucidray.datasets import load_dataset
        from lucidray.training import evaluate
    films = _films(folder / "films", n)
    run = _trained(films, folder / f"run_{n}_{epochs}", epochs)
    out.print("[bold]3. Measure[/] it on films of other patients.")
    with progress_bar("Predicting") as tick:
        found = evaluate(run, load_dataset(films).split("test"), progress=tick)
    show_evaluation(found)
    out.print("[bold]4. Explain[/] right and wrong decisions.")
    page = write_page(
        found,
        run,
        folder / "report.html",
        title="The whole line on generated films",
        lede="A small network, trained for a minute or two on films of which everything is known.",
    )
    out.print(f"Done in {time.monotonic() - started:.0f} s. Open [bold]{page}[/] in a browser.")
    out.print("Next: docs/getting-started.md, or lucidray data check on images of your own.")


def _films(folder: Path, n: int) -> Path:
    from lucidray.datasets.phantom import PhantomConfig, write_phantoms

    out.print(f"[bold]1. Generate[/] {n:,} chest films with known truth.")
    config = PhantomConfig(
        size=256,
        abundance=0.0,
        prevalences=FINDINGS,
        mildest=0.5,
        images_per_patient=1,
        child_share=0.0,
        test_share=0.25,
    )
    with progress_bar("Projecting phantoms") as tick:
        return write_phantoms(folder, n, config, workers=2, progress=tick)


def _trained(films: Path, folder: Path, epochs: int) -> Run:
    from lucidray.config import from_mapping
    from lucidray.training import Recipe, train

    out.print(f"[bold]2. Train[/] a small ResNet to find {', '.join(FINDINGS)}.")
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
    with progress_bar("Training") as tick:
        return train(recipe, films, folder, resume=True, progress=tick)
