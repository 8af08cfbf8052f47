"""``lucidray bundle``: write, check and look at the files that trained models travel in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lucidray.cli.app import CARRY, app
from lucidray.cli.choosing import check_split
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    print_error,
    print_json,
    say,
    shown,
    waiting,
)
from lucidray.cli.places import file_to_write, must_exist
from lucidray.cli.progress import progress
from lucidray.errors import ConfigError, unknown_name

bundle = typer.Typer(
    help=(
        "The one file that a trained model travels in: export, ensemble, verify, list, info, "
        "compare, import."
    ),
    no_args_is_help=True,
)
app.add_typer(bundle, name="bundle", rich_help_panel=CARRY)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Out = Annotated[Path, typer.Option("--out", help="The bundle to write: NAME.lucid.")]
Named = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="A bundle's name, or a .lucid file.")
]
EngineName = Annotated[str, typer.Option("--engine", help="onnxruntime, or openvino.")]


class Precision(StrEnum):
    """Of the network's weights or arithmetic."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"
    int8_weights = "int8_weights"


class CalibrationMethod(StrEnum):
    """How logits become probabilities."""

    auto = "auto"
    platt = "platt"
    temperature = "temperature"
    none = "none"


class Joining(StrEnum):
    """How several runs become one."""

    mean = "mean"
    weighted = "weighted"
    stacked = "stacked"


class Peer(StrEnum):
    """Whose published weights can be imported."""

    torchxrayvision = "torchxrayvision"
    timm = "timm"


@bundle.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    name: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Labeled images: performance for the card, loss of precision, refusal."
        ),
    ] = None,
    data_name: Annotated[
        str | None, typer.Option("--name", help="Which data set --data is; else recognized.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="What to measure on: as for `lucidray evaluate`.")
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(help="Below fp32 refused if an AUC falls by more than 0.002; needs --data."),
    ] = Precision.fp32,
    calibration: Annotated[
        CalibrationMethod,
        typer.Option(help="auto: Platt for each finding; temperature where they exclude others."),
    ] = CalibrationMethod.auto,
    about: Annotated[
        Path | None,
        typer.Option(
            help="TOML with summary, license, authors, source, intended_use, limits, experimental."
        ),
    ] = None,
    gate: Annotated[
        bool,
        typer.Option("--gate/--no-gate", help="Whether unfit images are refused when it reads."),
    ] = True,
    findings: Annotated[
        list[str] | None,
        typer.Option("--finding", help="Only this finding of the run; may be given again."),
    ] = None,
    outliers: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder of images that are to be refused, beside generated ones; may be again."
        ),
    ] = None,
    accept: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder of films to be accepted beside those learned from; may be given again."
        ),
    ] = None,
    refer_by: Annotated[
        list[str] | None,
        typer.Option(help="Only this finding's uncertainty refers an image; may be given again."),
    ] = None,
    n_boot: Annotated[
        int, typer.Option("--bootstrap", min=0, help="Resamplings of patients for the intervals.")
    ] = 2000,
    as_json: Json = False,
) -> None:
    """Write a run as a bundle, compared with torch before anything is written.

    With --data its performance is measured on images that it has not seen, and it learns to refuse
    images unlike the films that it learned from, as far as these are there.
    """
    must_exist(run, "run folder", "Name a folder that `lucidray train` wrote.")
    if data is not None:
        must_exist(data, "data folder", "Name the folder that holds the data set.")
    if about is not None:
        must_exist(about, "file", "Name a TOML file, or leave --about out.")
    for folder in outliers or ():
        must_exist(folder, "folder of outliers", "Name a folder of images, or leave it out.")
    for folder in accept or ():
        must_exist(folder, "folder of films", "Name a folder of images, or leave it out.")
    check_split(split)
    file_to_write(_lucid(name))
    with needs("train", "exporting a bundle"):
        from lucidray.cli.bundle_export import Order
        from lucidray.cli.bundle_export import export as write
        from lucidray.cli.bundle_words import tell_written
    order = Order(
        run, name, data, data_name, split, precision.value, calibration.value, about, gate, n_boot,
        tuple(findings or ()), tuple(outliers or ()), tuple(refer_by or ()),
        tuple(accept or ()),
    )  # fmt: skip
    with progress("Opening the run") as stage:
        path, notes = write(order, stage)
    tell_written(path, notes, as_json=as_json)


@bundle.command()
def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Finished run folders, two or more.")
    ],
    name: Out,
    how: Annotated[
        Joining,
        typer.Option(help="mean: all alike; weighted: one weight a run; stacked: by finding."),
    ] = Joining.mean,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labeled images: performance for the card, refusal."),
    ] = None,
    data_name: Annotated[
        str | None, typer.Option("--name", help="Which data set --data is; else recognized.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="What to measure on: as for `lucidray evaluate`.")
    ] = "auto",
    calibration: Annotated[
        CalibrationMethod,
        typer.Option(help="auto: Platt for each finding; temperature where they exclude others."),
    ] = CalibrationMethod.auto,
    about: Annotated[
        Path | None, typer.Option(help="TOML with what only you know; as for `export`.")
    ] = None,
    gate: Annotated[
        bool,
        typer.Option("--gate/--no-gate", help="Whether unfit images are refused when it reads."),
    ] = True,
    n_boot: Annotated[
        int, typer.Option("--bootstrap", min=0, help="Resamplings of patients for the intervals.")
    ] = 2000,
    as_json: Json = False,
) -> None:
    """Write several runs, over seeds or architectures, as one bundle: one graph, one answer.

    They must judge the same findings on the same patients. Weights are fitted on their validation
    images alone; the card says what joining them gained there, and how far they disagree.
    """
    for run in runs:
        must_exist(run, "run folder", "Name folders that `lucidray train` wrote.")
    if data is not None:
        must_exist(data, "data folder", "Name the folder that holds the data set.")
    if about is not None:
        must_exist(about, "file", "Name a TOML file, or leave --about out.")
    check_split(split)
    file_to_write(_lucid(name))
    with needs("train", "exporting a bundle"):
        from lucidray.cli.bundle_ensemble import export_joined
        from lucidray.cli.bundle_export import Order
        from lucidray.cli.bundle_words import tell_written
    order = Order(
        runs[0], name, data, data_name, split, "fp32", calibration.value, about, gate, n_boot
    )
    with progress("Opening the runs") as stage:
        path, notes = export_joined(order, runs, how.value, stage)
    tell_written(path, notes, as_json=as_json)


@bundle.command("import")
def import_peer(
    peer: Annotated[Peer, typer.Argument(help="Whose weights they are.")],
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="torchxrayvision: a published name, or its .pt file; timm: a saved folder.",
        ),
    ],
    name: Out,
    published_as: Annotated[
        str | None,
        typer.Option(
            "--as", help="torchxrayvision: the published name, where the file has another."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="timm: what it tells, A,B in the order of its logits; else its config's."
        ),
    ] = None,
    exclusive: Annotated[
        bool,
        typer.Option(
            "--exclusive/--independent", help="timm: softmax over its labels, or a sigmoid each."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Turn weights that TorchXRayVision or timm published into a bundle with the same answers."""
    file_to_write(_lucid(name))
    with needs("train", "importing weights"):
        from lucidray.cli.bundle_words import tell_written
        from lucidray.export import import_timm, import_xrv
    with waiting("Writing the graph and comparing it with torch"):
        if peer is Peer.timm:
            must_exist(Path(weights), "folder", "Name one that timm.models.save_for_hf wrote.")
            named = None if labels is None else [each.strip() for each in labels.split(",")]
            path = import_timm(weights, name, labels=named, exclusive=exclusive)
        else:
            known, file = _published(weights, published_as)
            path = import_xrv(known, name, file=file)
    tell_written(path, [], as_json=as_json)


@bundle.command()
def verify(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME|FILE...", help="Bundles by name, or .lucid files."),
    ],
    engine: EngineName = "onnxruntime",
    as_json: Json = False,
) -> None:
    """Check every byte of bundles, and that they answer here as where they were written."""
    from lucidray.bundle.engines import ENGINES
    from lucidray.cli.bundle_words import show_verified, verified

    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    told = []
    for name in names:
        with waiting(f"Reading the reference images of {name}"):
            told.append(verified(name, engine))
    if as_json:
        print_json({"bundles": told})
    for found in told:
        if not as_json:
            show_verified(found)
        if found["error"]:
            print_error(found["error"])
    if not all(found["passed"] for found in told):
        raise typer.Exit(2)


@bundle.command("list")
def list_bundles(as_json: Json = False) -> None:
    """List the bundles that can be named, where they lie and what they judge."""
    from lucidray.bundle.installed import bundles, folders
    from lucidray.cli.bundle_words import listed

    rows = [listed(name, path) for name, path in bundles().items()]
    if as_json:
        print_json({"bundles": rows, "folders": [str(folder) for folder in folders()]})
        return
    if not rows:
        say("There are no bundles here. They are looked for by name in:")
        for folder in folders():
            say(f"  {shown(folder)}")
        say("Write one with: lucidray bundle export RUN --out NAME.lucid")
        return
    table = new_table("name", "judges", "size", "file")
    for row in rows:
        judged = row["error"] or ", ".join(row["findings"])
        judged += " (experimental)" if row["experimental"] else ""
        add_row(table, row["name"], judged, f"{row['bytes'] / 1e6:.1f} MB", row["path"])
    out.print(table)


@bundle.command()
def info(name: Named, as_json: Json = False) -> None:
    """Print a bundle's card: what it judges, learned from, is worth, refuses and cannot tell."""
    from lucidray.bundle.archive import read
    from lucidray.bundle.card import from_json
    from lucidray.bundle.installed import find_bundle
    from lucidray.cli.bundle_words import card_of

    path = find_bundle(name)
    archive = read(path)
    card = from_json(card_of(archive.members, path))
    if as_json:
        from lucidray.config import to_mapping

        facts = {"path": str(path), "bytes": path.stat().st_size, "bundle_sha256": archive.digest}
        print_json(facts | {"card": to_mapping(card)})
        return

    from lucidray.cli.card_words import show_card

    show_card(card, archive.digest, path.stat().st_size)


@bundle.command()
def compare(
    first: Named,
    second: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Another bundle.")],
    engine: EngineName = "onnxruntime",
    as_json: Json = False,
) -> None:
    """Tell what differs between two bundles: their cards, and their answers to the same images."""
    from lucidray.bundle.comparison import compare as compared

    with waiting("Reading the reference images of both"):
        found = compared(first, second, engine=engine)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(found))
        return
    from lucidray.cli.card_words import show_comparison

    show_comparison(found)


def _lucid(path: Path) -> Path:
    if path.suffix != ".lucid":
        raise ConfigError(
            f"a bundle's name ends in .lucid; name {path.with_suffix('.lucid').name} instead of "
            f"{path.name}."
        )
    return path


def _published(weights: str, published_as: str | None) -> tuple[str, Path | None]:
    """Return the published name that is meant, and the file if one is named."""
    from lucidray.export.xrv_table import XRV_WEIGHTS
    from lucidray.models.xrv_weights import XRV_FILES

    path = Path(weights)
    if path.suffix not in {".pt", ".pth"} and not path.exists():
        return published_as or weights, None
    must_exist(path, "weights file", "Name a .pt file that TorchXRayVision published.")
    by_file = {file: name for name, file in XRV_FILES.items()}
    known = published_as or by_file.get(path.name)
    if known is None:
        raise ConfigError(
            f"{path.name} is not the name of a published file; say which weights it holds with "
            f"--as NAME. Choose one of: {', '.join(sorted(XRV_WEIGHTS))}."
        )
    return known, path
