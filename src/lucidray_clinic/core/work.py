"""Who does the jobs: a loop over the queues that the apps offer, in a process or thread of its own.

Several may work side by side, on one machine or many; leases keep them out of each other's way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import Error, close_old_connections, connections
from django.utils.module_loading import import_string

from lucidray_clinic.core.heartbeat import hand_back
from lucidray_clinic.core.jobs import Job, release_dead
from lucidray_clinic.core.logs import told_without_values

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Queue:
    """Jobs of one kind.

    Args:
        order: Smaller goes first in each round.
        name: Unique.
        work_once: Does one job; returns whether there was one.
        model: Its rows; None: it has none of its own.
        every_s: Seconds between two looks, for what need not be done at once.
    """

    order: int
    name: str
    work_once: Callable[[], bool]
    model: type[Job] | None = None
    every_s: float = 0


_QUEUES: dict[str, Queue] = {}


def add_queue(queue: Queue) -> None:
    """Let an app have jobs done, from its ``ready``.

    Args:
        queue: The queue.
    """
    _QUEUES[queue.name] = queue


def later(path: str) -> Callable[[], bool]:
    """Return a function that is imported when it is first called, as it brings much along.

    Args:
        path: Where it is, as ``"package.module.name"``.
    """
    return lambda: bool(import_string(path)())


class Worker:
    """Does jobs round by round, one of each queue, until it is stopped."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._looked: dict[str, float] = {}
        #: Jobs done or tried.
        self.done = 0

    def stop(self) -> None:
        """Stop after the job at hand."""
        self._stop.set()

    def run_aside(self) -> threading.Thread:
        """Work in a thread of this process."""
        thread = threading.Thread(target=self._run_and_let_go, name="worker", daemon=True)
        thread.start()
        return thread

    def _run_and_let_go(self) -> None:
        try:
            self.run()
        finally:
            connections.close_all()  # those of this thread

    def run(self, *, pause: float = 2.0, once: bool = False) -> None:
        """Work.

        Args:
            pause: Seconds to wait where there is nothing to do.
            once: Stop when nothing waits.
        """
        self._take_over()
        while not self._stop.is_set():
            worked = self._round()
            self.done += worked
            if once and not worked:
                break
            if not worked:
                self._stop.wait(pause)

    def _take_over(self) -> None:
        """Free what workers that were killed here left behind."""
        for queue in _QUEUES.values():
            if queue.model is not None:
                self._safely(partial(_free, queue.model))

    def _round(self) -> int:
        worked = int(self._safely(hand_back))
        for queue in sorted(_QUEUES.values(), key=lambda one: one.order):
            if not self._stop.is_set() and self._due(queue):
                worked += self._safely(queue.work_once)
        return worked

    def _due(self, queue: Queue) -> bool:
        now = time.monotonic()
        if queue.every_s and now - self._looked.get(queue.name, -1e9) < queue.every_s:
            return False
        self._looked[queue.name] = now
        return True

    def _safely(self, do: Callable[[], bool]) -> bool:
        """Do something; neither a database that is away nor one bad job ends a worker."""
        try:
            return do()
        except Exception as error:
            log.error("a job broke off: %s", told_without_values(error))  # noqa: TRY400
            if isinstance(error, Error):
                close_old_connections()
            self._stop.wait(1)
            return False


def _free(model: type[Job]) -> bool:
    return bool(release_dead(model))
