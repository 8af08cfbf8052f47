"""``lucidray train`` and ``lucidray evaluate``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lucidray.cli.app import LEARN, app
from lucidray.cli.console import needs, out, parse_settings, print_json, progress_bar
from lucidray.errors import DataError, unknown_name

if TYPE_CHECKING:
    from lucidray.datasets import ImageTable
    from lucidray.training import Evaluation, Run

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DataFolder = Annotated[
    Path, typer.Option("--data", help="The data set, as its publisher lays it out.")
]
SPLITS = ("train", "validation", "test")


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
    as_json: Json = False,
) -> None:
    """Train a recipe on a data set and leave a run folder."""
    with needs("train", "training"):
        from lucidray.training import load_recipe
        from lucidray.training import train as fit
    chosen = load_recipe(recipe, overrides=parse_settings(settings or []))
    with progress_bar("Training") as tick:
        run = fit(chosen, data, folder, resume=resume, devices=devices, progress=tick)
    if as_json:
        print_json(describe_run(run))
        return
    show_run(run)
    out.print(f"Next: lucidray evaluate {folder} --data {data}")


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run in plain values."""
    return {
        "run": str(run.folder),
        "findings": list(run.findings),
        "operating_points": dict(run.operating_points),
        "seconds": run.facts.get("seconds"),
        "weights": [str(path) for path in run.weights],
    }


def show_run(run: Run) -> None:
    """Print what a training came to."""
    seen = run.facts["data"]
    out.print(
        f"Trained on {seen['train']:,} images, validated on {seen['validation']:,} of other "
        f"patients, in {run.facts['seconds'] / 60:.1f} minutes: [bold]{run.folder}[/]"
    )
    for finding, threshold in run.operating_points.items():
        out.print(f"  {finding} counts as present from probability {threshold:.3f} on.")


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
    """Measure a run on images that it has not seen, at its own operating points."""
    with needs("train", "evaluating a run"):
        from lucidray.cli.page import write_page
        from lucidray.datasets import load_dataset
        from lucidray.training import evaluate as measure
        from lucidray.training import load_run
    run = load_run(folder)
    images = choose_images(load_dataset(data, name, **_options(run, name)), run, split)
    with progress_bar("Predicting") as tick:
        found = measure(run, images, n_boot=n_boot, progress=tick)
    if table is not None:
        write_predictions(found, table)
    if page is not None:
        write_page(found, run, page)
    if as_json:
        print_json(found.to_json())
        return
    show_evaluation(found)
    if page is not None:
        out.print(f"\nThe report is in [bold]{page}[/].")


def _options(run: Run, name: str | None) -> dict[str, Any]:
    """Take the recipe's reader options where the data set is the recipe's own."""
    same = name is None or name == run.recipe.data.name
    return dict(run.recipe.data.options) if same else {}


def choose_images(table: ImageTable, run: Run, split: str) -> ImageTable:
    """Choose the images to measure on.

    Args:
        table: A data set.
        run: Whose training images are left out where `split` is ``"auto"``.
        split: ``"auto"``, ``"all"`` or a split's name. ``"auto"`` takes the test split; where
            there is none, every image that the run was neither trained nor validated on.

    Raises:
        UnknownNameError: No such split.
        DataError: Nothing is left.
    """
    if split not in ("auto", "all", *SPLITS):
        raise unknown_name("split", split, ("auto", "all", *SPLITS))
    if split == "auto":
        chosen = table.split("test")
        chosen = chosen if len(chosen.present()) else unseen(table, run)
    else:
        chosen = table if split == "all" else table.where((table.rows["split"] == split).to_numpy())
    if not len(chosen.present()):
        raise DataError(
            f"'{table.name}' has no image for split '{split}' that the run has not seen. "
            "Name another folder, or choose --split validation or --split all."
        )
    return chosen


def unseen(table: ImageTable, run: Run) -> ImageTable:
    """Return the images whose content the run was neither trained nor validated on."""
    import numpy as np
    import pandas as pd

    known = set(pd.read_csv(run.folder / "split.csv")["sha256"].dropna())
    here = table.present()
    return here.where(np.array([_digest(path) not in known for path in here.paths()], dtype=bool))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def show_evaluation(found: Evaluation) -> None:
    """Print every headline number with its interval."""
    patients = len(set(found.patients))
    out.print(f"{len(found.labels):,} images of {patients:,} patients of {found.images.name}.")
    groups = [*found.findings, *(g for g in ("overall", "macro") if g in found.measurements)]
    names = [n for n in _SHOWN if any(n in found.measurements.get(g, {}) for g in groups)]
    shown = Table("", *(g for g in groups if g in found.measurements), box=None)
    for name in names:
        cells = [found.measurements[g].get(name) for g in groups if g in found.measurements]
        shown.add_row(name.replace("_", " "), *(str(cell) if cell else "" for cell in cells))
    out.print(shown if len(groups) <= 4 else _by_finding(found, names))
    out.print("In brackets: 95 % interval, patients resampled. For research use only.")


_SHOWN = (
    *("auc", "average_precision", "balanced_accuracy", "accuracy"),
    *("sensitivity", "specificity", "precision", "f1"),
)


def _by_finding(found: Evaluation, names: list[str]) -> Table:
    names = [
        name for name in names if name in ("auc", "average_precision", "sensitivity", "specificity")
    ]
    shown = Table("finding", *(name.replace("_", " ") for name in names), box=None)
    for group, values in found.measurements.items():
        shown.add_row(group, *(str(values.get(name, "")) for name in names))
    return shown


def write_predictions(found: Evaluation, path: Path) -> None:
    """Write one row an image: its id, labels, logits and probabilities."""
    import pandas as pd

    columns: dict[str, Any] = {"image": found.images.rows["image"].to_numpy()}
    for i, finding in enumerate(found.findings):
        columns[f"{finding} label"] = found.labels[:, i]
        columns[f"{finding} logit"] = found.predictions.logits[:, i]
        columns[f"{finding} probability"] = found.predictions.probabilities[:, i]
    pd.DataFrame(columns).to_csv(path, index=False)
