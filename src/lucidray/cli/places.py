"""Where work is done and results go: found to be impossible before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lucidray.errors import ConfigError

#: The option that spreads a command over a cluster.
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Spread the work over a Ray cluster: its address, auto, or local for this machine.",
    ),
]


def must_exist(path: Path, what: str, remedy: str) -> None:
    """Refuse a place that is missing, before anything slow begins.

    Args:
        path: What the user named.
        what: What it should be.
        remedy: What to do.

    Raises:
        ConfigError: Nothing is there.
    """
    if not path.exists():
        raise ConfigError(f"no such {what}: {path}. {remedy}")


def file_to_write(path: Path | None) -> Path | None:
    """Return a file's path if it can be written, and make its folder.

    Args:
        path: The file; None: none is wanted.

    Raises:
        ConfigError: It is a folder, or its folder cannot be made or written.
    """
    if path is None:
        return None
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file to write, for example {path / 'name'}.")
    folder_to_write(path.parent).mkdir(parents=True, exist_ok=True)
    return path


def folder_to_write(path: Path) -> Path:
    """Return a folder's path if it is there or can be made, and can be written.

    Raises:
        ConfigError: It is a file, or lies where nothing can be written.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; name a folder to write into.")
    place = next((p for p in (path, *path.absolute().parents) if p.exists()), path)
    if not place.is_dir():
        raise ConfigError(f"{path} cannot be made: {place} is a file. Name another folder.")
    if not os.access(place, os.W_OK):
        raise ConfigError(f"{path} cannot be written: no permission in {place}. Name another.")
    return path
