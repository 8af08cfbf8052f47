"""``lucidray data``: look at a data set before training on it, or make one."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lucidray.cli.app import DATA, app
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    parse_settings,
    print_json,
    say,
    say_next,
    say_wrapped,
    shown,
    waiting,
)
from lucidray.cli.places import file_to_write, folder_to_write, must_exist
from lucidray.cli.progress import progress
from lucidray.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from lucidray.datasets import ImageTable
    from lucidray.datasets.phantom import PhantomConfig

data = typer.Typer(
    help="Look at a data set before training on it, or make one: check, info, phantom.",
    no_args_is_help=True,
)
app.add_typer(data, name="data", rich_help_panel=DATA)

Folder = Annotated[Path, typer.Argument(help="The data set, as its publisher lays it out.")]
Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="Which data set it is (`lucidray list datasets`); else recognized."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class FileFormat(StrEnum):
    """How a generated film is written."""

    png = "png"
    dicom = "dicom"


@data.command()
def check(
    folder: Folder,
    name: Name = None,
    page: Annotated[
        Path | None, typer.Option("--out", help="Write the audit as an HTML page with pictures.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read files.")] = 2,
    as_json: Json = False,
) -> None:
    """Audit a data set: damaged files, copies, leaking patients, confounded labels, odd images."""
    must_exist(folder, "data folder", "Name the folder that holds the data set.")
    page = file_to_write(page)
    with needs("data", "checking a data set"):
        from lucidray.datasets import load_dataset
        from lucidray.datasets.audit import audit, write_audit_page
    with progress("Reading tables") as stage:
        table = load_dataset(folder, name)
        found = audit(table, workers=workers, root=folder, progress=stage("Checking images"))
    if page is not None:
        with waiting("Drawing the page"):
            write_audit_page(found, table, page)
    if as_json:
        print_json(found.to_json())
        return
    say_wrapped(found.to_text())
    if page is not None:
        say(f"\nThe pictures are in {shown(page)}.")
    else:
        say("\nSee the pictures: add --out audit.html.")


@data.command()
def info(folder: Folder, name: Name = None, as_json: Json = False) -> None:
    """Describe a data set: images, patients, splits and labels, without reading a pixel."""
    must_exist(folder, "data folder", "Name the folder that holds the data set.")
    with needs("data", "reading a data set"):
        from lucidray.datasets import load_dataset
    with waiting("Reading tables"):
        summary = summarize(load_dataset(folder, name))
    if as_json:
        print_json(summary)
        return
    say(f"{shown(summary['name'])}: {summary['terms']}")
    for key in ("images", "files_here", "patients", "boxes"):
        say(f"  {key.replace('_', ' '):12} {summary[key]:>9,}")
    for split, count in summary["splits"].items():
        say(f"  {split:12} {count:>9,}")
    table = new_table("finding", "present", "absent", "unknown", numbers=True)
    for row in summary["labels"]:
        counts = (f"{row[key]:,}" for key in ("present", "absent", "unknown"))
        add_row(table, row["finding"], *counts)
    out.print(table)


def summarize(table: ImageTable) -> dict[str, Any]:
    """Count what a table holds."""
    labels = table.labels()
    rows = [
        {
            "finding": finding,
            "present": int((labels[:, i] == 1).sum()),
            "absent": int((labels[:, i] == 0).sum()),
            "unknown": int((labels[:, i] != labels[:, i]).sum()),
        }
        for i, finding in enumerate(table.findings)
    ]
    splits = table.rows["split"].fillna("no split").value_counts()
    return {
        "name": table.name,
        "terms": table.terms,
        "images": len(table),
        "files_here": int(table.rows["path"].notna().sum()),
        "patients": int(table.rows["patient"].nunique()),
        "boxes": len(table.boxes),
        "splits": {str(key): int(value) for key, value in splits.items()},
        "labels": rows,
    }


@data.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if absent.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Number of images.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The series' seed.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the images in pixels.")] = 512,
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="16-bit PNG, or DICOM.")
    ] = FileFormat.png,
    shortcut: Annotated[
        str | None, typer.Option(help="Finding that a planted tag gives away.")
    ] = None,
    shortcut_strength: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="How faithfully the tag follows that finding; 1 if left out."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting of a phantom, KEY=VALUE; may be repeated."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 2,
    as_json: Json = False,
) -> None:
    """Generate radiographs of which everything is known: labels, masks, boxes, gaze."""
    with needs("data", "generating phantoms"):
        from lucidray.datasets.phantom import write_phantoms
    if shortcut is None and shortcut_strength is not None:
        raise ConfigError(
            "--shortcut-strength without --shortcut; name the finding that the tag gives away, "
            "for example --shortcut Pneumothorax."
        )
    planted = {} if shortcut is None else {"shortcut": shortcut, "shortcut_strength": 1.0}
    planted |= {} if shortcut_strength is None else {"shortcut_strength": shortcut_strength}
    config = _config({"size": size} | planted, settings or [])
    with progress("Projecting phantoms") as stage:
        write_phantoms(
            folder_to_write(folder),
            n,
            config,
            seed=seed,
            file_format=file_format.value,
            workers=workers,
            progress=stage("Projecting phantoms"),
        )
    if as_json:
        print_json({"folder": str(folder), "images": n, "seed": seed})
        return
    say(f"{n:,} films in {shown(folder)}, laid out like ChestX-ray14.")
    say_next("data", "info", folder)


def _config(chosen: dict[str, Any], settings: list[str]) -> PhantomConfig:
    from lucidray.config import from_mapping, merge
    from lucidray.datasets.phantom import PhantomConfig

    more, known = parse_settings(settings), [field.name for field in fields(PhantomConfig)]
    for key in more:
        if key.split(".")[0] not in known:
            raise unknown_name("setting of a phantom", key, known)
    return from_mapping(PhantomConfig, merge(chosen, more), where="the phantoms' settings")
