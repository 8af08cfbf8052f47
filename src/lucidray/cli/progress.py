"""Progress on standard error: a bar where somebody looks, now and then a line where nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lucidray.cli.console import err, somebody_looks

#: Told how many of how many are done.
Tick = Callable[[int, int], None]

#: Makes the bar of one stage of the work; it shows when the stage first tells of itself.
Bars = Callable[[str], Tick]

#: Seconds between two lines in a log.
_QUIET_S = 30.0


@contextmanager
def progress(first: str) -> Iterator[Bars]:
    """Show how far the work in the block is.

    Args:
        first: What happens before the first stage tells of itself.

    Yields:
        Makes the bar of a stage by its label. One stage is shown at a time, and none is left.
    """
    if not somebody_looks():
        yield Log
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, redirect_stdout=False) as shown:
        task = shown.add_task(first, total=None)
        yield lambda label: Stage(shown, task, label)


@dataclass(frozen=True)
class Stage:
    """One stage of the work on a terminal.

    Args:
        shown: All that is shown.
        task: The one bar.
        label: What this stage does.
    """

    shown: Progress
    task: TaskID
    label: str

    def __call__(self, done: int, total: int) -> None:
        """Draw the bar."""
        now = self.shown.tasks[0]
        if now.description != self.label or now.total != total:
            self.shown.reset(self.task, description=self.label, total=total)
        self.shown.update(self.task, completed=done)


class Log:
    """One stage of the work in a log file: a line every half minute.

    Args:
        label: What this stage does.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Write a line if the last one is old enough."""
        if time.monotonic() - self.last >= _QUIET_S:
            self.last = time.monotonic()
            err.print(f"{self.label}: {done:,} of {total:,}", markup=False, soft_wrap=True)
