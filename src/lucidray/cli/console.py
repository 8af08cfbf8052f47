"""What every command shares: the console, progress bars, JSON, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lucidray.errors import ConfigError, missing_extra

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

#: Told how many of how many are done.
Tick = Callable[[int, int], None]


def fail(message: str) -> NoReturn:
    """Print one message for a user's mistake and end with exit code 2."""
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, soft_wrap=True)
    sys.exit(2)


def print_json(value: Any) -> None:
    """Print one JSON object on one line; nan and infinity become null."""
    sys.stdout.write(json.dumps(_finite(value), default=str, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value


@contextmanager
def progress_bar(label: str) -> Iterator[Tick]:
    """Show a progress bar on standard error while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Turn a failed import inside the block into the error that names the missing extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lucidray"):
            raise
        raise missing_extra(what, extra) from error


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Turn ``["phases.0.epochs=3", "seed=1"]`` into dotted keys and values; values are JSON.

    Raises:
        ConfigError: An entry has no ``=``.
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
