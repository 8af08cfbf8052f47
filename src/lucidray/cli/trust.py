"""``lucidray trust``: how far heat maps can be trusted, measured and said in words."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lucidray.cli.app import EXPLAIN, app
from lucidray.cli.choosing import check_split
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    print_json,
    print_warning,
    say,
    shown,
)
from lucidray.cli.places import Cluster, folder_to_write, must_exist
from lucidray.cli.progress import progress
from lucidray.errors import ConfigError

if TYPE_CHECKING:
    from lucidray.trust import TrustReport

PAGE, VALUES = "trust.html", "trust.json"


@app.command(rich_help_panel=EXPLAIN)
def trust(
    model: Annotated[
        str, typer.Argument(metavar="RUN|BUNDLE", help="A finished run folder, or a bundle.")
    ],
    data: Annotated[
        Path, typer.Option("--data", help="Labeled films, as their publisher lays them out.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Which data set it is; else recognized.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, validation, test or all; auto: those new to the model.")
    ] = "auto",
    methods: Annotated[
        str | None, typer.Option(help="Methods, separated by commas; else six usual ones.")
    ] = None,
    findings: Annotated[
        str | None,
        typer.Option(help="Findings, separated by commas; else those whose place is marked."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Films of each finding, at most.")] = 200,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the page and the JSON.")
    ] = None,
    lungs: Annotated[
        str | None,
        typer.Option(help="Bundle that outlines lungs; else lung-fields, if it is here."),
    ] = None,
    shortcut: Annotated[
        bool,
        typer.Option("--shortcut", help="Also train two networks on phantoms with a planted tag."),
    ] = False,
    card: Annotated[
        str | None, typer.Option("--write-card", help="Bundle whose card gets the verdicts.")
    ] = None,
    n_boot: Annotated[
        int, typer.Option("--bootstrap", min=100, help="Resamplings of patients.")
    ] = 2000,
    cluster: Cluster = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure whether heat maps can be trusted, and say it in words.

    Place against boxes, deletion, randomization, small moves, heat outside the lungs: each method
    and finding beside chance, with a verdict.
    """
    check_split(split)
    must_exist(data, "data folder", "Name the folder that holds the data set.")
    if Path(model).parent != Path() and Path(model).suffix != ".lucid":
        must_exist(Path(model), "run folder", "Name one that `lucidray train` wrote, or a bundle.")
    if folder is not None:
        folder_to_write(folder)
    is_run = Path(model).is_dir()
    if shortcut and not is_run:
        raise ConfigError(
            "--shortcut compares methods, and a bundle holds one. Name a run instead."
        )
    with needs("train" if is_run or shortcut else "data", "measuring explanations"):
        from lucidray.cli.trusting import Request, trust_report
    asked = Request(
        model,
        data,
        name,
        split,
        _listed(methods),
        _listed(findings),
        images,
        lungs,
        n_boot,
        cluster,
    )
    with progress("Opening the model") as stage:
        report = trust_report(asked, stage, shortcut=shortcut, card=card)
    written = _write(report, folder)
    if as_json:
        print_json(report.to_json() | {"files": {key: str(path) for key, path in written.items()}})
        return
    _show(report)
    for path in written.values():
        say(f"Written: {shown(path)}")
    if card is not None:
        say(f"The verdicts stand in the card of {shown(card)}, which is signed anew.")


def _listed(text: str | None) -> tuple[str, ...] | None:
    """Split what is separated by commas; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _write(report: TrustReport, folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    from lucidray.cli.console import to_json_line
    from lucidray.trust.page import write_trust_page

    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["lucidray", *sys.argv[1:]])
    values = folder / VALUES
    draft = folder / f".{VALUES}"
    draft.write_text(to_json_line(report.to_json()), encoding="utf-8")
    draft.replace(values)
    return {"page": write_trust_page(report, folder / PAGE, (command,)), "json": values}


def _show(report: TrustReport) -> None:
    for found in report.findings:
        say(f"{shown(found.finding)}: {found.images:,} films of {found.patients:,} patients.")
        table = new_table("method", "maps are", "because")
        for method in found.methods:
            add_row(table, method.method, method.verdict.grade, method.verdict.text)
        out.print(table)
    for name, reason in report.left_out.items():
        print_warning(f"{name} is left out: {reason}")
    for remark in report.remarks:
        print_warning(remark)
    if report.shortcut is not None:
        _show_shortcut(report.shortcut)
    say("In brackets: 95 % interval, patients resampled. For research use only.")


def _show_shortcut(test: Any) -> None:
    from lucidray.trust.page_shortcut import REVEALED
    from lucidray.trust.verdict import is_exposed

    table = new_table("method", "reveals a planted shortcut?")
    for name, planted in test.planted.items():
        add_row(table, name, REVEALED[is_exposed(planted), is_exposed(test.clean[name])])
    out.print(table)
