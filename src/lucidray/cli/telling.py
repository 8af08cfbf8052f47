"""How lines of a reading reach the terminal: as JSON, as a table, or in words."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.markup import escape

from lucidray.cli.console import add_row, err, new_table, out, print_error, print_json, say
from lucidray.cli.lines import COLUMNS, Line, kind_of, table_rows, why_refused, words_of

#: With more films than this, each gets one line, at once, instead of a table at the end.
MOST_IN_TABLE = 40
#: Bad files that are named on the terminal where a file lists them all.
MOST_FAILED = 50

_CALLED = {True: "present", False: "absent", None: "not called"}
_COLORS = {
    "positive": "bold red",
    "refused": "yellow",
    "uncertain": "yellow",
    "uncalled": "cyan",
    "measured": "cyan",
    "negative": "green",
}


class Teller(Protocol):
    """Tells the lines of a reading as they come."""

    def tell(self, line: Line) -> None:
        """Tell one line."""

    def end(self) -> None:
        """Tell what was kept for the end."""


class Json:
    """One JSON object a line and image, at once."""

    def tell(self, line: Line) -> None:
        """Print the line."""
        print_json(line)
        sys.stdout.flush()

    def end(self) -> None:
        """Nothing is left."""


class Csv:
    """One row an image and finding, at once."""

    def __init__(self) -> None:
        self._table = csv.DictWriter(sys.stdout, COLUMNS)
        self._table.writeheader()

    def tell(self, line: Line) -> None:
        """Print the rows."""
        self._table.writerows(table_rows(line))
        sys.stdout.flush()

    def end(self) -> None:
        """Nothing is left."""


class Silent:
    """Nothing: the results go elsewhere."""

    def tell(self, line: Line) -> None:
        """Print nothing."""

    def end(self) -> None:
        """Print nothing."""


class Words:
    """One line of words a film, at once."""

    def tell(self, line: Line) -> None:
        """Print what the reading came to."""
        color = _COLORS[kind_of(line)]
        say(f"{escape(line['path'])}  [{color}]{escape(words_of(line))}[/]")

    def end(self) -> None:
        """Nothing is left."""


class Table:
    """One table of all films, at the end; for few."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def tell(self, line: Line) -> None:
        """Keep the line."""
        self._lines.append(line)

    def end(self) -> None:
        """Print the table."""
        if not self._lines:
            return
        if any("lung_area_share" in line for line in self._lines):
            self._outlined()
            return
        table = new_table("film", "finding", "probability", "from", "counts as")
        for line in self._lines:
            film = Path(line["path"]).name
            for row in _rows(line):
                add_row(table, film, *row)
                film = ""
        out.print(table)

    def _outlined(self) -> None:
        table = new_table("film", "lungs", "mask")
        for line in self._lines:
            told = words_of(line)
            mask = line["files"].get("mask", "not written: add --out")
            add_row(table, Path(line["path"]).name, told, "" if line["refused"] else mask)
        out.print(table)


def _rows(line: Line) -> Sequence[tuple[str, str, str, str]]:
    if line["refused"] is not None:
        return [("no reliable result", "", "", why_refused(line))]
    rows = []
    for found in line["findings"]:
        point = "" if found["threshold"] is None else f"{found['threshold']:.3f}"
        call = _CALLED[found["positive"]]
        if found["may_be"] is not None and len(found["may_be"]) != 1:
            call += ", may be either" if found["may_be"] else ", like neither"
        rows.append((found["name"], f"{found['probability']:.3f}", point, call))
    unsure = ("unsure", "", "", "a person should read it")
    return [*rows, unsure] if line["uncertain"] else rows


def tell_summary(counts: Counter[str], passed_over: str, *, on_error: bool) -> None:
    """Print how many films came to what.

    Args:
        counts: By what a reading came to; ``"failed"`` for files that could not be read,
            ``"earlier"`` for films that had been read before, counted among the others too.
        passed_over: In words.
        on_error: Whether standard output belongs to the results.
    """
    words = (
        ("positive", "with findings"),
        ("negative", "without"),
        ("uncertain", "unsure"),
        ("refused", "without a reliable result"),
        ("uncalled", "not called"),
        ("measured", "outlined"),
    )
    total = sum(counts[kind] for kind, _ in words)
    told = ", ".join(f"{counts[kind]:,} {what}" for kind, what in words if counts[kind])
    films = "1 film" if total == 1 else f"{total:,} films"
    line = f"{films}: {told}." if total else "No film was read."
    if counts["earlier"]:
        line += f" {counts['earlier']:,} of them had been read before."
    where = err if on_error else out
    where.print(escape(f"{line} {passed_over}".strip()), soft_wrap=True)


def tell_failed(failed: Sequence[str], listed: Path | None) -> None:
    """Name the files that could not be read.

    Args:
        failed: One message each.
        listed: A file that lists them all; None: there is none.
    """
    most = MOST_FAILED if listed is not None else len(failed)
    for message in failed[:most]:
        print_error(message)
    if len(failed) > most:
        print_error(f"{len(failed) - most:,} more files could not be read; {listed} lists all.")
