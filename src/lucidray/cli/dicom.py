"""``lucidray dicom``: objects out of readings, checks of them, images without their patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lucidray.cli.app import CARRY, app
from lucidray.cli.console import (
    add_row,
    needs,
    new_table,
    out,
    print_error,
    print_json,
    print_warning,
    say,
    say_next,
    shown,
    waiting,
)
from lucidray.cli.films import dicom_files
from lucidray.cli.places import file_to_write, folder_to_write
from lucidray.cli.progress import progress
from lucidray.errors import ConfigError

if TYPE_CHECKING:
    from lucidray.dicom import Options
    from lucidray.dicom.deidentify.files import Outcome

dicom = typer.Typer(
    help="DICOM objects of readings, and images without their patients: write, validate, "
    "send, deidentify.",
    no_args_is_help=True,
)
app.add_typer(dicom, name="dicom", rich_help_panel=CARRY)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dicom.command()
def write(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A DICOM chest film.")],
    folder: Annotated[Path, typer.Option("--out", help="Where the objects go.")],
    bundle: Annotated[
        str | None,
        typer.Option(help="What reads it: a bundle's name (`lucidray bundle list`) or file."),
    ] = None,
    objects: Annotated[
        str, typer.Option(help="Which of sr, gsps, kos, sc, seg; A,B.")
    ] = "sr,gsps,kos",
    lungs: Annotated[
        str, typer.Option(help="The bundle that outlines the lungs, for seg.")
    ] = "lung-fields",
    institution: Annotated[
        str | None, typer.Option(help="The institution's name, if the objects are to say it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a film and write what the model says of it as DICOM objects of the film's study.

    sr: findings with probability, threshold, uncertainty and boxes (TID 1500, unsigned). gsps:
    boxes that a viewer can switch by finding. kos: a list of all of it. sc: the film with its heat
    map, a picture for each finding that is called present. seg: the lung fields.
    """
    kinds = tuple(kind.strip() for kind in objects.split(",") if kind.strip())
    folder_to_write(folder)
    with needs("dicom", "writing DICOM objects"):
        from lucidray.cli.dicom_write import Order, write_objects
    with waiting("Reading"):
        told = write_objects(Order(image, folder, bundle, kinds, lungs, institution))
    if as_json:
        print_json(told)
        return
    _tell_written(told)
    say_next("dicom", "validate", *(each["path"] for each in told["objects"]))


def _tell_written(told: dict[str, Any]) -> None:
    if told["refused"]:
        print_warning(told["refused"])
    table = new_table("object", "file", "what it is")
    for each in told["objects"]:
        add_row(table, each["kind"], each["path"], each["title"])
    out.print(table)
    for kind, why in told["left_out"].items():
        print_warning(f"{kind} is left out: {why}")
    say("For research and education; not a medical device.")


@dicom.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM files.")],
    as_json: Json = False,
) -> None:
    """Check DICOM files by dciodvfy, where it is installed, and by rules of our own.

    The exit code is 2 if a file has an error.
    """
    with needs("dicom", "checking DICOM objects"):
        from lucidray.dicom import validate as check
    results = [(path, check(path)) for path in dicom_files(files)]
    if as_json:
        print_json(
            {
                "dciodvfy": all(result.asked for _, result in results),
                "files": [
                    {
                        "path": str(path),
                        "kind": result.kind,
                        "errors": result.errors,
                        "warnings": result.warnings,
                    }
                    for path, result in results
                ],
            }
        )
    else:
        for path, result in results:
            say(f"{shown(path)}: {result.kind}, {_verdict(result)}")
            for text in result.errors:
                print_error(text)
            for text in result.warnings:
                print_warning(text)
        if not all(result.asked for _, result in results):
            print_warning("dciodvfy was not asked; on Debian: apt-get install dicom3tools")
    if any(result.errors for _, result in results):
        raise typer.Exit(2)


def _verdict(result: Any) -> str:
    return f"{len(result.errors)} errors" if result.errors else "valid"


@dicom.command()
def send(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="DICOM files, or folders of them.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="AET@HOST:PORT|URL",
            help="An archive by C-STORE, or the address of its DICOMweb services.",
        ),
    ],
    calling: Annotated[str, typer.Option(help="Our own AE title.")] = "LUCIDRAY",
    tries: Annotated[int, typer.Option(min=1, max=20, help="How often each is tried.")] = 5,
    tls: Annotated[bool, typer.Option("--tls", help="C-STORE over TLS.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate in PEM, if the archive asks for one.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    authorities: Annotated[
        Path | None, typer.Option(help="Certificates to believe; the system's otherwise.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(help="For DICOMweb; the password stands in LUCIDRAY_DICOMWEB_PASSWORD."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send DICOM files to an archive, by C-STORE or DICOMweb, again and again until it has them.

    To send twice does no harm: an archive knows objects by their UIDs. The exit code is 2 if the
    archive has not got all of them.
    """
    with needs("dicom", "sending DICOM objects"):
        from lucidray.cli.dicom_send import Sender, send_files
        from lucidray.dicom.network import Tls
    paths = dicom_files(files)
    safe = Tls(certificate, key, authorities) if tls or certificate or authorities else None
    with progress("Sending") as stage:
        told = send_files(paths, to, Sender(calling, tries, safe, user), stage("Sending files"))
    lost = {str(path): why for path, why in zip(paths, told, strict=True) if why is not None}
    if as_json:
        print_json({"to": to, "sent": len(paths) - len(lost), "failed": lost})
    else:
        say(f"{len(paths) - len(lost):,} of {len(paths):,} files are in the archive.")
        for name, why in lost.items():
            print_error(f"{name}: {why}")
    if lost:
        raise typer.Exit(2)


@dicom.command()
def deidentify(
    images: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="DICOM files, or folders of them.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Where the files go, under new names.")],
    key_file: Annotated[
        Path,
        typer.Option(
            help="The secret that pseudonyms follow from; made if it is not there. Keep it safe."
        ),
    ],
    keep: Annotated[
        str,
        typer.Option(
            help="What to keep: uids, device, institution, patient (age, sex, size), full_dates; "
            "or clean: modified_dates (shifted), descriptors, structured, graphics. A,B."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Take out of DICOM files what tells who the patient is, by PS3.15's own table.

    Text that the table does not know and private elements go too. Files that may have text burned
    into their pixels lie in OUT/review: a person must look at them first. What was done is told in
    tags and counts, never in values.
    """
    from lucidray.dicom.deidentify import deidentify_files, load_key

    options = _options(keep)
    paths = dicom_files(images)
    folder_to_write(folder)
    file_to_write(key_file)
    key = load_key(key_file)
    with progress("De-identifying") as stage:
        tick = stage("De-identifying files")
        outcome = deidentify_files(
            paths, folder, key, options, tick=lambda done: tick(done, len(paths))
        )
    _tell_outcome(outcome, paths, folder, as_json)
    if outcome.failed:
        raise typer.Exit(2)


def _options(keep: str) -> Options:
    from dataclasses import fields

    from lucidray.dicom.deidentify import Options
    from lucidray.errors import unknown_name

    names = [each.name for each in fields(Options)]
    wanted = [name.strip() for name in keep.split(",") if name.strip()]
    for name in wanted:
        if name not in names:
            raise unknown_name("option", name, names)
    if {"full_dates", "modified_dates"} <= set(wanted):
        raise ConfigError("dates can be kept or shifted, not both; choose one of them.")
    return Options(**dict.fromkeys(wanted, True))


def _tell_outcome(outcome: Outcome, paths: list[Path], folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "out": str(folder),
                "written": outcome.written,
                "review": outcome.review,
                "failed": {str(paths[place]): why for place, why in outcome.failed.items()},
                "done": outcome.account.told(),
            }
        )
        return
    table = new_table("what was done", "elements", "kinds", numbers=True)
    for deed, counts in outcome.account.told().items():
        add_row(table, deed, f"{sum(counts.values()):,}", f"{len(counts):,}")
    out.print(table)
    say(f"{outcome.written:,} files are in {shown(folder)}.")
    if outcome.review:
        print_warning(
            f"{len(outcome.review):,} of them lie in {folder / 'review'}: somebody must look "
            "whether text is burned into their pixels."
        )
    for place, why in outcome.failed.items():
        print_error(f"{paths[place]}: {why}")
