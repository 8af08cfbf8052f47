"""``lucidray explain``: what a run says of images, and where it looked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from lucidray.cli.app import EXPLAIN, app
from lucidray.cli.console import err, needs, out, print_json, progress_bar
from lucidray.errors import DataError, ImageError

if TYPE_CHECKING:
    from lucidray.pipeline import Reader
    from lucidray.records import Attribution, Diagnosis, XRay

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ""}


@app.command(rich_help_panel=EXPLAIN)
def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    images: Annotated[list[Path], typer.Argument(help="Films, or folders of films.")],
    folder: Annotated[Path, typer.Option("--out", help="Where pictures and maps go.")],
    findings: Annotated[
        list[str] | None,
        typer.Option("--finding", help="What to explain; repeatable; else all. 'No Finding' too."),
    ] = None,
    method: Annotated[
        str, typer.Option(help="An explanation method (`lucidray list explainers`).")
    ] = "grad_cam",
    color_map: Annotated[
        str, typer.Option(help="inferno, viridis, cividis; jet only to match old figures.")
    ] = "inferno",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Below this part of the maximum nothing is drawn.")
    ] = 0.2,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object an image.")
    ] = False,
) -> None:
    """Say what a run finds in films and write where it looked: a picture and a raw map each."""
    with needs("train", "explaining with a run"):
        from lucidray.training import load_run, open_reader
    reader = open_reader(load_run(run))
    chosen = tuple(_finding(name, reader.findings) for name in findings or reader.findings)
    paths = films(images)
    folder.mkdir(parents=True, exist_ok=True)
    told, failed = [], []
    with progress_bar("Reading") as tick:
        for number, path in enumerate(paths, start=1):
            try:
                told.append(_one(path, reader, chosen, method, folder, color_map, threshold))
            except ImageError as error:
                failed.append(str(error))
            tick(number, len(paths))
    for line in told if as_json else ():
        print_json(line)
    if not as_json:
        _show(told, folder)
    for message in failed:
        err.print(f"[bold red]error:[/] {message}", soft_wrap=True)
    if failed:
        raise typer.Exit(2)


def films(places: list[Path]) -> list[Path]:
    """Return files as they are and the films within folders, in order.

    Raises:
        DataError: A place is missing, or a folder holds nothing that looks like a film.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise DataError(f"no such file or folder: {place}")
        inside = [place]
        if place.is_dir():
            inside = sorted(
                p for p in place.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES
            )
        if not inside:
            raise DataError(f"{place} holds no PNG, JPEG, TIFF or DICOM files.")
        found += inside
    return found


def _finding(name: str, known: tuple[str, ...]) -> str:
    """Take a finding as a user writes it: any case, any spelling that some data set uses."""
    from lucidray.findings import canonical, is_known
    from lucidray.pipeline import ABSENCE

    for candidate in (name, canonical(name) if is_known(name) else name):
        for choice in (*known, ABSENCE):
            if candidate.casefold().replace("_", " ") == choice.casefold().replace("_", " "):
                return choice
    return name


def _one(
    path: Path,
    reader: Reader,
    findings: tuple[str, ...],
    method: str,
    folder: Path,
    color_map: str,
    threshold: float,
) -> dict[str, Any]:
    from lucidray.images.read import read_xray
    from lucidray.pipeline import diagnose

    xray = read_xray(path)
    diagnosis = diagnose(xray, reader, findings=findings, method=method)
    said = dict(zip(diagnosis.prediction.findings, _said(diagnosis), strict=True))
    maps = [
        _write(path, xray, attribution, folder, color_map, threshold)
        for attribution in diagnosis.attributions
    ]
    return {"path": str(path), "sha256": diagnosis.image_sha256, "findings": said, "maps": maps}


def _said(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    prediction = diagnosis.prediction
    return [
        {
            "probability": float(prediction.probabilities[i]),
            "logit": float(prediction.logits[i]),
            "positive": prediction.positive(name),
            "operating_point": prediction.operating_points.get(name),
        }
        for i, name in enumerate(prediction.findings)
    ]


def _write(
    path: Path, xray: XRay, found: Attribution, folder: Path, color_map: str, threshold: float
) -> dict[str, Any]:
    from lucidray.images.pictures import save_png
    from lucidray.images.render import overlay, with_legend

    stem = f"{path.stem}.{found.finding.lower().replace(' ', '_')}.{found.method}"
    picture = overlay(xray.pixels, found.values, color_map=color_map, threshold=threshold)
    title = f"{found.finding} · {found.method}"
    if found.status != "ok":
        title += f" · {found.status.replace('_', ' ')}"
    highest = float(np.nanmax(found.values)) if found.status == "ok" else None
    legend = with_legend(
        picture, color_map=color_map, threshold=threshold, highest=highest, title=title
    )
    save_png(legend, folder / f"{stem}.png")
    np.savez_compressed(folder / f"{stem}.npz", values=found.values, raw=found.raw)
    return {
        "finding": found.finding,
        "method": found.method,
        "status": found.status,
        "picture": str(folder / f"{stem}.png"),
        "map": str(folder / f"{stem}.npz"),
    }


def _show(told: list[dict[str, Any]], folder: Path) -> None:
    shown = Table("film", "finding", "probability", "counts as", "map", box=None)
    for line in told[:40]:
        status = {item["finding"]: item["status"] for item in line["maps"]}
        for name, said in line["findings"].items():
            verdict = {True: "present", False: "absent", None: "no operating point"}[
                said["positive"]
            ]
            row = (Path(line["path"]).name, name, f"{said['probability']:.3f}", verdict)
            shown.add_row(*row, status.get(name, "not asked for").replace("_", " "))
    out.print(shown)
    if len(told) > 40:
        out.print(f"… and {len(told) - 40:,} more films.")
    out.print(
        f"Pictures and raw maps are in [bold]{folder}[/]. A map shows where the model looked,"
    )
    out.print("not the outline of a lesion. For research use only.")
