"""``lucidray read``: what a bundle says of films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lucidray.cli.app import CARRY, app
from lucidray.cli.film_stream import FilmStream
from lucidray.cli.patient import Sex, View, given
from lucidray.cli.places import Cluster


@app.command(rich_help_panel=CARRY)
def read(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE|DIR|GLOB...", help="Films, folders, or quoted patterns."),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(help="A bundle's name (`lucidray bundle list`) or .lucid file."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Keep results here: results.jsonl, results.csv, index.html, maps, pictures.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line and image, at once.")
    ] = False,
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print a table, one row an image and finding; --out has it."),
    ] = False,
    as_html: Annotated[
        bool,
        typer.Option("--html", help="Print a page of all films, most urgent first; --out has it."),
    ] = False,
    engine: Annotated[
        str, typer.Option(help="onnxruntime, or openvino where it is installed.")
    ] = "onnxruntime",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads in all; all if left out.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Films read at the same time; as many as threads if left out."),
    ] = None,
    findings: Annotated[
        list[str] | None,
        typer.Option(
            "--findings",
            "--finding",
            help="What to draw and box, A,B or repeated; what is called present if left out.",
        ),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--maps/--no-maps", help="Whether to draw and box heat maps.")
    ] = True,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--anew", help="Skip films that --out has results of, or read all again."
        ),
    ] = True,
    age: Annotated[
        float | None,
        typer.Option(min=0, max=120, help="The patient's, for a bundle that takes it; else tags'."),
    ] = None,
    sex: Annotated[Sex | None, typer.Option(help="The same.")] = None,
    view: Annotated[View | None, typer.Option(help="The same.")] = None,
    cluster: Cluster = None,
) -> None:
    """Read films with a bundle: probabilities, calls, heat maps, boxes, or why there is no result.

    Any number of films. With --out, a reading that was stopped goes on by the same command. Files
    that cannot be read are named at the end; the exit code is 2 only if nothing could be read.
    """
    from lucidray.cli.read_session import Wish, open_session

    wish = Wish(
        bundle=bundle,
        folder=folder,
        as_json=as_json,
        as_csv=as_csv,
        as_html=as_html,
        engine=engine,
        threads=threads,
        workers=workers,
        findings=tuple(name for named in findings or () for name in named.split(",") if name),
        maps=maps,
        anew=not resume,
        cluster=cluster,
        known=given(age, sex, view),
    )
    with open_session(wish, FilmStream(images)) as session:
        session.run()
    if not session.account.finished:
        raise typer.Exit(2)
