"""``lucidray serve``: the reading room on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lucidray.cli.app import CLINIC, app
from lucidray.cli.console import needs, say, shown

#: Where the reading room keeps its data unless told otherwise.
HOME = "~/.local/share/lucidray"


@app.command(rich_help_panel=CLINIC)
def serve(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the database, films and keys.")
    ] = Path(HOME),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    demo: Annotated[
        bool, typer.Option("--demo", help="Fill an empty room with invented patients.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Print a one-time sign-in for the first person.")
    ] = False,
    node: Annotated[
        bool,
        typer.Option("--node", help="Take films by DICOM, too: of the peers of the PACS page."),
    ] = False,
) -> None:
    """Open the reading room in a browser: patients, films, readings, reports.

    Without more ado it keeps SQLite and local files in one folder. A server for many people:
    docs/how-to/run-the-reading-room.md.
    """
    with needs("clinic", "the reading room"):
        from lucidray_clinic.serving import open_room

        room = open_room(data.expanduser().resolve(), host, port, demo=demo, link=link, node=node)
    say(f"The reading room is open: {shown(room.address)}")
    if room.sign_in:
        say(f"Sign in once, within half an hour: {shown(room.sign_in)}")
    say(f"Data: {shown(data.expanduser())}. Stop with Ctrl-C.")
    room.run()
