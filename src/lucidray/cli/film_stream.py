"""The films that a user names, one at a time, however many there are."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lucidray.cli.films import SUFFIXES, begins_as_dicom
from lucidray.errors import DataError

Kind = Literal["file", "folder", "other"]


@dataclass
class Skipped:
    """What was passed over on the way.

    Args:
        hidden: Files and folders whose name begins with a dot.
        others: Files in folders that are no films by their name and beginning.
        twice: Films that had been named before.
        closed: Folders that could not be listed, with the reason.
    """

    hidden: int = 0
    others: int = 0
    twice: int = 0
    closed: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """Return what was passed over in a sentence; empty: nothing."""
        counts = (
            (self.hidden, "hidden"),
            (self.others, "no film by name and beginning"),
            (self.twice, "named twice"),
        )
        told = [f"{count:,} {what}" for count, what in counts if count]
        return f"Passed over: {', '.join(told)}." if told else ""


class FilmStream:
    """Films within files, folders and patterns; iterate to get their paths.

    Folders are walked in order of name, and only the names of the folders that lead to the
    current film are held. Links to folders are followed, but never in a circle.

    Args:
        places: Files, folders, or patterns (``"films/**/*.dcm"``), as a user types them.

    Raises:
        DataError: A place is not there, or nothing matches a pattern.
    """

    def __init__(self, places: Sequence[str | Path]) -> None:
        self.skipped = Skipped()
        self._places = [place for named in places for place in _expand(str(named))]
        self._alone = len(self._places) == 1

    def __iter__(self) -> Iterator[Path]:
        """Yield each film once; a file that was named itself is a film whatever it is called."""
        self.skipped = Skipped()
        seen: set[str] = set()
        for place, named in self._places:
            for path in self._within(place, named):
                if not self._alone and not self._is_new(path, seen):
                    continue
                yield path

    def most(self) -> int:
        """Return how many films there are at most, without opening a file."""
        return sum(_count(place, ()) if place.is_dir() else 1 for place, _ in self._places)

    def _is_new(self, path: Path, seen: set[str]) -> bool:
        whole = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps ".."
        new = whole not in seen
        seen.add(whole)
        self.skipped.twice += not new
        return new

    def _within(self, place: Path, named: bool) -> Iterator[Path]:
        if place.is_dir():
            yield from self._walk(place, ())
        elif named or self._is_film(place.name, place):
            yield place

    def _walk(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
        try:
            here = _identity(folder)
            entries = [] if here in above else _listed(folder)
        except OSError as error:
            self.skipped.closed.append(f"{folder} cannot be listed ({error.strerror}).")
            return
        for name, kind in entries:
            path = folder / name
            if name.startswith("."):
                self.skipped.hidden += 1
            elif kind == "folder":
                yield from self._walk(path, (*above, here))
            elif kind == "other":
                self.skipped.others += 1
            elif self._is_film(name, path):
                yield path

    def _is_film(self, name: str, path: Path) -> bool:
        film = _has_film_name(name) or begins_as_dicom(path)
        self.skipped.others += not film
        return film


def _expand(named: str) -> list[tuple[Path, bool]]:
    """Return places and whether each was named itself."""
    if os.path.lexists(named):
        return [(Path(named), True)]
    found = sorted(_matches(named)) if glob.has_magic(named) else []
    if not found:
        what = "nothing matches" if glob.has_magic(named) else "no such file or folder:"
        raise DataError(f"{what} {named}. Name films, folders of films, or a pattern in quotes.")
    return [(Path(each), False) for each in found]


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - a pattern may begin anywhere


def _count(folder: Path, above: tuple[tuple[int, int], ...]) -> int:
    try:
        here = _identity(folder)
        entries = [] if here in above else _listed(folder)
    except OSError:
        return 0
    shown = [(name, kind) for name, kind in entries if not name.startswith(".")]
    within = (_count(folder / name, (*above, here)) for name, kind in shown if kind == "folder")
    return sum(within) + sum(kind == "file" for _, kind in shown)


def _listed(folder: Path) -> list[tuple[str, Kind]]:
    """Return names and kinds in order."""
    with os.scandir(folder) as entries:
        return sorted((entry.name, _kind(entry)) for entry in entries)


def _kind(entry: os.DirEntry[str]) -> Kind:
    """Tell what an entry is; a link that leads nowhere is a file that cannot be read."""
    if entry.is_dir():
        return "folder"
    lost = entry.is_symlink() and not os.path.exists(entry)  # noqa: PTH110 - it is no Path
    return "file" if entry.is_file() or lost else "other"


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _has_film_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a name, not a path
