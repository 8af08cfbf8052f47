"""``lucidray train`` and ``lucidray evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lucidray.cli.app import LEARN, app
from lucidray.cli.choosing import check_split, choose_images, has_test_images, load_images
from lucidray.cli.console import (
    needs,
    parse_settings,
    print_json,
    say,
    say_next,
    shown,
)
from lucidray.cli.evaluation import show_evaluation, write_predictions
from lucidray.cli.mask_evaluation import evaluate_outlines
from lucidray.cli.places import Cluster, file_to_write, folder_to_write, must_exist
from lucidray.cli.progress import progress

if TYPE_CHECKING:
    from lucidray.training import Recipe, Run

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DataFolder = Annotated[
    Path, typer.Option("--data", help="The data set, as its publisher lays it out.")
]


@app.command(rich_help_panel=LEARN)
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a TOML file, as in recipes/.")],
    data: DataFolder,
    folder: Annotated[Path, typer.Option("--out", help="The run folder to write.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was stopped, to the same result.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value, KEY=VALUE (phases.0.epochs=3); repeatable."),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes or GPUs that share each batch (DDP).")
    ] = 1,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Train a recipe on a data set and leave a run folder."""
    must_exist(recipe, "recipe", "Start from a file in recipes/.")
    must_exist(data, "data folder", "Name the folder that holds the data set.")
    folder_to_write(folder)
    with needs("train", "training"):
        from lucidray.training import load_recipe
        from lucidray.training import train as fit
        from lucidray.training.crew import speaks
    chosen = load_recipe(recipe, overrides=parse_settings(settings or []))
    with progress("Reading tables") as stage:
        run = (
            fit(
                chosen,
                data,
                folder,
                resume=resume,
                devices=devices,
                reading=stage("Reading images"),
                progress=stage("Training"),
            )
            if cluster is None
            else _train_apart(chosen, data, folder, cluster, devices, resume=resume)
        )
    if not speaks():
        return
    if as_json:
        print_json(describe_run(run))
        return
    show_run(run)
    on = [] if has_test_images(run) else ["--split", "validation"]
    say_next("evaluate", folder, "--data", data, *on)


def _train_apart(
    recipe: Recipe, data: Path, folder: Path, cluster: str, workers: int, *, resume: bool
) -> Run:
    from lucidray.training.fit_apart import train_apart

    return train_apart(recipe, data, folder, cluster=cluster, workers=workers, resume=resume)


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run in plain values."""
    return {
        "run": str(run.folder),
        "findings": list(run.findings),
        "train_images": run.facts["data"]["train"],
        "validation_images": run.facts["data"]["validation"],
        "operating_points": dict(run.operating_points),
        "seconds": run.facts.get("seconds"),
        "weights": [str(path) for path in run.weights],
    }


def show_run(run: Run) -> None:
    """Print what a training came to."""
    seen = run.facts["data"]
    say(
        f"Trained on {seen['train']:,} images, validated on {seen['validation']:,} others, in "
        f"{_duration(run.facts['seconds'])}: {shown(run.folder)}"
    )
    if run.recipe.model.decoder:
        best = run.facts["members"][0]
        say(f"  Dice on the validation images: {best['val_dice']:.3f}.")
        return
    for finding in run.findings:
        point = run.operating_points.get(finding)
        if point is None:
            say(f"  {shown(finding)} has no operating point: too few validation images show it.")
        else:
            say(f"  {shown(finding)} counts as present from probability {point:.3f} on.")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} minutes"


@app.command(rich_help_panel=LEARN)
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    data: DataFolder,
    name: Annotated[
        str | None, typer.Option("--name", help="Which data set it is; else recognized.")
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="train, validation, test or all; auto: test images, or those new to the run."
        ),
    ] = "auto",
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a report with drawings.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write one row an image: label and probability.")
    ] = None,
    n_boot: Annotated[
        int, typer.Option("--bootstrap", min=0, help="Resamplings of patients for the intervals.")
    ] = 2000,
    as_json: Json = False,
) -> None:
    """Measure a run on images that it has not seen, at its own operating points.

    A run that outlines lungs is measured by the overlap and the distance of borders.
    """
    check_split(split)
    must_exist(folder, "run folder", "Name a folder that `lucidray train` wrote.")
    must_exist(data, "data folder", "Name the folder that holds the data set.")
    page, table = file_to_write(page), file_to_write(table)
    with needs("train", "evaluating a run"):
        from lucidray.cli.page import write_page
        from lucidray.training import evaluate as measure
        from lucidray.training import load_run
    run = load_run(folder)
    if run.recipe.model.decoder:
        evaluate_outlines(run, data, name, split, page, table, n_boot=n_boot, as_json=as_json)
        return
    with progress("Reading tables") as stage:
        images = choose_images(
            load_images(data, name, run), run, split, stage("Telling new images from seen ones")
        )
        reading, predicting = stage("Reading images"), stage("Predicting")
        found = measure(run, images, n_boot=n_boot, reading=reading, progress=predicting)
        if table is not None:
            write_predictions(found, table)
        if page is not None:
            write_page(found, run, page, progress=stage("Explaining typical images"))
    if as_json:
        print_json(found.to_json())
        return
    show_evaluation(found)
    for path, what in ((table, "Every probability is in"), (page, "The report is in")):
        if path is not None:
            say(f"{what} {shown(path)}.")
