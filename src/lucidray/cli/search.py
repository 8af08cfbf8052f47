"""``lucidray search``: many trainings that differ in a few values, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lucidray.cli.app import LEARN, app
from lucidray.cli.choosing import has_test_images
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    parse_settings,
    print_json,
    print_warning,
    say,
    say_next,
    shown,
)
from lucidray.cli.places import Cluster, folder_to_write, must_exist
from lucidray.cli.progress import progress

if TYPE_CHECKING:
    from lucidray.training import Found

#: Trials that are printed; all are in the files.
_SHOWN = 10


@app.command(rich_help_panel=LEARN)
def search(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe with a table [search]: what to vary, and how.")
    ],
    data: Annotated[
        Path, typer.Option("--data", help="The data set, as its publisher lays it out.")
    ],
    folder: Annotated[
        Path, typer.Option("--out", help="The folder to write: one run folder a trial, a ranking.")
    ],
    strategy: Annotated[
        str | None, typer.Option(help="grid, random or bayesian; else what the recipe says.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="At most so many trials.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Begin no trial after so many minutes of them.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a search that was stopped, to the same end.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value, KEY=VALUE (search.seed=1); repeatable."),
    ] = None,
    cluster: Cluster = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Search for the values with which a recipe trains best, and rank all that were tried."""
    must_exist(recipe, "recipe", "Start from a file in recipes/ and add a table [search].")
    must_exist(data, "data folder", "Name the folder that holds the data set.")
    folder_to_write(folder)
    with needs("train", "searching"):
        from lucidray.training import load_search, run_search
        from lucidray.training.search_record import describe
    given = {"search.strategy": strategy, "search.trials": trials, "search.minutes": minutes}
    chosen = {key: value for key, value in given.items() if value is not None}
    base, plan = load_search(recipe, overrides=parse_settings(settings or []) | chosen)
    with progress("Reading tables") as stage:
        found = run_search(
            base,
            plan,
            data,
            folder,
            resume=resume,
            cluster=cluster,
            reading=stage("Reading images"),
            progress=stage("Searching (thousandths of trials)"),
        )
    if as_json:
        print_json({"search": str(folder), **describe(found), "best_run": _best_run(found)})
        return
    _show(found)
    on = [] if has_test_images(found.run(found.best)) else ["--split", "validation"]
    say_next("evaluate", _best_run(found), "--data", data, *on)


def _best_run(found: Found) -> str | None:
    ranked = found.ranked()
    return str(found.run(ranked[0]).folder) if ranked else None


def _show(found: Found) -> None:
    ranked, keys = found.ranked(), list(found.search.values)
    best = found.best
    say(
        f"{len(found.trials)} trials by {found.search.strategy} search, "
        f"{found.feature_passes} passes through frozen beginnings: {shown(found.folder)}"
    )
    table = new_table("rank", "trial", *keys, found.metric, "epoch", "seconds")
    for rank, trial in enumerate(ranked[:_SHOWN], start=1):
        values = [_value(trial.settings[key]) for key in keys]
        facts = [f"{trial.value:.4f}", str(trial.epoch), f"{trial.seconds:.0f}"]
        add_row(table, str(rank), f"{trial.number:03d}", *values, *facts)
    out.print(table)
    if len(ranked) > _SHOWN:
        say(f"All {len(ranked)} are in {shown(found.folder / 'ranking.csv')}.")
    for trial in found.trials:
        if trial.status == "failed":
            print_warning(f"trial {trial.number:03d} failed: {trial.reason}")
    print_warning(
        f"{found.metric} = {best.value:.4f} of the best was what chose it, and is too good by so "
        "much; measure it on test images."
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
