"""``lucidray paper``: published experiments, run again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lucidray.cli.app import REPRODUCE, app
from lucidray.cli.console import needs, out, print_json, progress_bar

if TYPE_CHECKING:
    from lucidray.papers import Paper, PublishedTable

paper = typer.Typer(help="List, describe and run published experiments.", no_args_is_help=True)
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
        print_json([{"name": e.name, "title": e.value.title, "source": e.source} for e in entries])
        return
    shown = Table("name", "question", "source", box=None)
    for entry in entries:
        shown.add_row(f"[bold]{entry.name}[/]", entry.value.question, entry.source)
    out.print(shown)


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
    out.print(f"[bold]{found.title}[/]\n{found.authors}\n\n{found.question}\n")
    for line in found.protocol(mode.value):
        out.print(f"- {line}", markup=False)
    for table in found.tables:
        out.print(f"\n[bold]{table.name}[/]: {table.caption}", _printed(table))
    if found.faults:
        out.print("\n[bold]What the publication contradicts[/]")
    for fault in found.faults:
        out.print(f"- {fault.what} {fault.evidence}", markup=False)
    out.print(f"\nNext: lucidray paper run {name} --data DIR --out OUT --scale small")


def _printed(table: PublishedTable) -> Table:
    shown = Table("", *table.columns, box=None)
    for heading, numbers in table.rows.items():
        shown.add_row(heading, *("" if number is None else f"{number:g}" for number in numbers))
    return shown


def _described(found: Paper, mode: Mode) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "authors": found.authors,
        "question": found.question,
        "protocol": list(found.protocol(mode.value)),
        "tables": {
            table.name: {"columns": list(table.columns), "rows": dict(table.rows)}
            for table in found.tables
        },
        "faults": [{"what": fault.what, "evidence": fault.evidence} for fault in found.faults],
    }


@paper.command()
def run(
    name: PaperName,
    data: Annotated[Path, typer.Option("--data", help="The data set's folder.")],
    folder: Annotated[
        Path, typer.Option("--out", help="Where page, numbers and runs go; continued if there.")
    ],
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
    as_json: Json = False,
) -> None:
    """Run a published experiment and print its numbers beside ours."""
    papers = _papers()
    with progress_bar(f"{name}, {mode.value}, {scale.value}") as tick:
        outcome = papers.run(
            papers.papers[name],
            data,
            folder,
            mode=mode.value,
            scale=scale.value,
            seeds=seeds,
            weights=weights,
            progress=lambda done, total, _what: tick(done, total),
        )
    if as_json:
        print_json(dict(outcome.numbers))
        return
    out.print(f"Numbers: {outcome.results}\nOpen the report: [bold]{outcome.report}[/]")
