"""What every command shares: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lucidray.errors import ConfigError, missing_extra

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print a line of a result; ``[bold]…[/]`` is markup, and no line is broken."""
    out.print(text, soft_wrap=True)


def say_wrapped(text: str) -> None:
    """Print text literally, long lines broken between words and indented as they begin."""
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip(" -")))
        broken = textwrap.fill(
            line,
            out.width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.print(broken, markup=False, soft_wrap=True)


def say_next(*words: object) -> None:
    """Print the command that one may want to run next, ready to be copied."""
    say("Next: " + escape(shlex.join(["lucidray", *map(str, words)])))


def shown(name: object) -> str:
    """Return a path or a name in bold, safe to stand in markup."""
    return f"[bold]{escape(str(name))}[/]"


def print_error(message: str) -> None:
    """Print what went wrong."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


def print_warning(message: str) -> None:
    """Print what a reader of the result must know."""
    err.print(f"[bold yellow]note:[/] {escape(message)}", soft_wrap=True)


def new_table(*columns: str, title: str | None = None, numbers: bool = False) -> Table:
    """Return an empty table without lines.

    Args:
        columns: Headings, taken literally.
        title: What stands above.
        numbers: Whether all columns but the first hold numbers, set to the right.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for place, heading in enumerate(columns):
        table.add_column(Text(heading), justify="right" if numbers and place else "left")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row whose cells are taken literally; the first stands out."""
    table.add_row(*(Text(cell, "bold" if i == 0 else "") for i, cell in enumerate(cells)))


def print_json(value: Any) -> None:
    """Print one JSON object on one line; nan and infinity become null."""
    sys.stdout.write(to_json_line(value))


def to_json_line(value: Any) -> str:
    """Return one JSON object on one line, its end included; nan and infinity become null."""
    return json.dumps(_finite(value), default=str, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value


def tolerate_any_name() -> None:
    """Let file names be printed that are no valid text, with escapes instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Say that packages are loading, and turn a failed import into the name of the missing extra.

    Args:
        extra: The extra that brings the packages.
        what: What they are needed for.

    Raises:
        MissingExtraError: One is not installed.
    """
    try:
        with waiting("Loading packages"):
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lucidray"):
            raise
        raise missing_extra(what, extra) from error


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner while the block runs, where somebody is looking."""
    if not somebody_looks():
        yield
        return
    with err.status(f"{what} …"):
        yield


def somebody_looks() -> bool:
    """Tell whether standard error is a terminal that can redraw a line."""
    return err.is_terminal and not err.is_dumb_terminal


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Turn ``["phases.0.epochs=3", "seed=1"]`` into dotted keys and values; values are JSON.

    Raises:
        ConfigError: An entry has no ``=``.

    >>> parse_settings(["phases.0.epochs=3", "model.backbone=resnet18"])
    {'phases.0.epochs': 3, 'model.backbone': 'resnet18'}
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes KEY=VALUE, for example seed=1; got '{setting}'.")
        try:
            parsed[key] = json.loads(value)
        except json.JSONDecodeError:
            parsed[key] = value
    return parsed
