"""``lucidray paper``: published experiments, run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lucidray.cli.app import REPRODUCE, app
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    print_json,
    say,
    say_wrapped,
    shown,
)
from lucidray.cli.places import Cluster, folder_to_write, must_exist
from lucidray.cli.progress import progress

if TYPE_CHECKING:
    from lucidray.papers import Paper, PublishedTable

paper = typer.Typer(help="Published experiments, run again: list, show, run.", no_args_is_help=True)
app.add_typer(paper, name="paper", rich_help_panel=REPRODUCE)

PaperName = Annotated[str, typer.Argument(help="A name that `lucidray paper list` prints.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Mode(StrEnum):
    """How true to the original."""

    faithful = "faithful"
    careful = "careful"


class Scale(StrEnum):
    """How much of it."""

    smoke = "smoke"
    small = "small"
    full = "full"


def _papers() -> Any:
    with needs("train", "running published experiments"):
        from lucidray import papers
    return papers


@paper.command("list")
def list_papers(as_json: Json = False) -> None:
    """List the published experiments that can be run again."""
    entries = _papers().papers.entries()
    if as_json:
        print_json({"papers": [_summary(entry.value, entry.source) for entry in entries]})
        return
    table = new_table("name", "question", "source")
    for entry in entries:
        add_row(table, entry.name, entry.value.question, entry.source)
    out.print(table)
    say("Next: lucidray paper show NAME")


def _summary(found: Paper, source: str) -> dict[str, str]:
    return {
        "name": found.name,
        "title": found.title,
        "question": found.question,
        "data_set": found.dataset,
        "source": source,
    }


@paper.command()
def show(
    name: PaperName,
    mode: Annotated[Mode, typer.Option(help="Whose protocol to print.")] = Mode.careful,
    as_json: Json = False,
) -> None:
    """Describe an experiment: question, protocol, printed numbers, what they contradict."""
    found: Paper = _papers().papers[name]
    if as_json:
        print_json(_described(found, mode))
        return
    say(f"{shown(found.title)}\n{escape(found.authors)}\n")
    say_wrapped(found.question)
    say(f"\n[bold]What is done[/] ({mode.value})")
    for line in found.protocol(mode.value):
        say_wrapped(f"- {line}")
    for table in found.tables:
        say(f"\n{shown(table.name)}: {escape(table.caption)}")
        out.print(_printed(table))
    if found.faults:
        say("\n[bold]What the publication contradicts[/]")
    for fault in found.faults:
        say_wrapped(f"- {fault.what} {fault.evidence}")
    say(f"\nNext: lucidray paper run {name} --data DIR --out OUT --scale small")


def _printed(table: PublishedTable) -> Table:
    printed = new_table("", *table.columns)
    for heading, numbers in table.rows.items():
        add_row(printed, heading, *("" if n is None else f"{n:g}" for n in numbers))
    return printed


def _described(found: Paper, mode: Mode) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "authors": found.authors,
        "question": found.question,
        "data_set": found.dataset,
        "mode": mode.value,
        "protocol": list(found.protocol(mode.value)),
        "tables": {
            table.name: {"columns": list(table.columns), "rows": dict(table.rows)}
            for table in found.tables
        },
        "faults": [asdict(fault) for fault in found.faults],
    }


@paper.command()
def run(
    data: Annotated[Path, typer.Option("--data", help="The data set's folder.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Where page, numbers and runs go; continued if there.")
    ],
    name: Annotated[
        str | None, typer.Argument(help="A name that `lucidray paper list` prints; or --all.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every experiment, each in a subfolder, and an index page."),
    ] = False,
    mode: Annotated[
        Mode, typer.Option(help="As published with its faults, or with the faults mended.")
    ] = Mode.careful,
    scale: Annotated[
        Scale, typer.Option(help="Seconds, at most an hour on two cores, or as published.")
    ] = Scale.small,
    seeds: Annotated[int, typer.Option(min=1, help="How often each arm is trained.")] = 1,
    weights: Annotated[
        Path | None, typer.Option(help="Local safetensors file to start from; else from scratch.")
    ] = None,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Run a published experiment, or all, and print its numbers beside ours."""
    must_exist(data, "data folder", "Name the folder that holds the data set.")
    if everything == (name is not None):
        raise typer.BadParameter("name one experiment, or give --all.", param_hint="'NAME'")
    folder_to_write(folder)
    papers = _papers()
    if name is None:
        asked = (mode.value, scale.value, seeds, cluster)
        _run_all(papers, data, folder, *asked, as_json=as_json)
        return
    chosen = papers.papers[name]
    with progress(f"{name}, {mode.value}, {scale.value}") as stage:
        outcome = papers.run(
            chosen,
            data,
            folder,
            mode=mode.value,
            scale=scale.value,
            seeds=seeds,
            weights=weights,
            cluster=cluster,
            progress=lambda done, total, what: stage(f"{name}: {what}")(done, total),
        )
    if as_json:
        print_json(dict(outcome.numbers))
        return
    _show_numbers(outcome.numbers)
    say(f"Numbers: {escape(str(outcome.results))}")
    say(f"Open the report in a browser: {shown(outcome.report)}")


def _run_all(
    papers: Any,
    data: Path,
    folder: Path,
    mode: str,
    scale: str,
    seeds: int,
    cluster: str | None,
    *,
    as_json: bool,
) -> None:
    with progress(f"all experiments, {mode}, {scale}") as stage:
        page, chapters = papers.run_all(
            data,
            folder,
            mode=mode,
            scale=scale,
            seeds=seeds,
            cluster=cluster,
            progress=lambda done, total, what: stage(what)(done, total),
        )
    failed = [each for each in chapters if each.report is None]
    if as_json:
        print_json({"page": str(page), "experiments": [_ended(each) for each in chapters]})
    else:
        for each in failed:
            say(f"[red]did not run[/] {shown(each.paper.name)}: {escape(each.mistake)}")
        say(f"{len(chapters) - len(failed)} of {len(chapters)} experiments came to their end.")
        say(f"Open the index in a browser: {shown(page)}")
    if failed:
        raise typer.Exit(1)


def _ended(chapter: Any) -> dict[str, Any]:
    return {
        "name": chapter.paper.name,
        "data": str(chapter.data),
        "report": None if chapter.report is None else str(chapter.report),
        "seconds": chapter.seconds,
        "error": chapter.mistake or None,
    }


def _show_numbers(numbers: Mapping[str, Any]) -> None:
    for found in numbers["tables"].values():
        say(escape(found["caption"]))
        table = new_table(*found["columns"])
        for row in found["rows"]:
            add_row(table, *(str(cell) for cell in row))
        out.print(table)
