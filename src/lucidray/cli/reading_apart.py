"""Reading films in the worker processes of a cluster, as one process would read them.

Films and results lie where every machine sees them under the same path. Workers write pictures and
maps there, whole or not at all; lines come back to this process, which alone appends them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from lucidray.bundle import load_bundle
from lucidray.cli.film_pictures import Desk
from lucidray.cli.lines import Film
from lucidray.cli.reading import Outcome, Work, keep, read_film, tasks
from lucidray.cli.results import Results
from lucidray.cluster import map_on_cluster
from lucidray.errors import ConfigError

#: Films are handed to the cluster in waves, so that their names fit into memory however many.
WAVE = 50_000


@dataclass(frozen=True)
class Order:
    """What a worker needs to know to read as this process does.

    Args:
        bundle: Name or absolute path.
        digest: Of the bundle that is meant.
        engine: What runs it.
        threads: Processor threads of each worker.
        desk: Where pictures go; None: none are wanted.
        findings: As in `Work`.
        maps: As in `Work`.
        here: The folder in which the command was given, from which relative paths count.
    """

    bundle: str
    digest: str
    engine: str
    threads: int
    desk: Desk | None
    findings: tuple[str, ...]
    maps: bool
    here: Path

    def open(self) -> Callable[[Film], Outcome]:
        """Return what reads a film, in a worker.

        Raises:
            ConfigError: The worker's machine has another bundle, or does not see the folders.
        """
        if not self.here.is_dir() or not (self.desk is None or self.desk.folder.is_dir()):
            raise ConfigError(
                f"{socket.gethostname()} does not see {self.here} or the folder of results. Every "
                "machine of the cluster must see films and results under the same path."
            )
        os.chdir(self.here)
        bundle = load_bundle(self.bundle, engine=self.engine, threads=self.threads, streams=1)
        if bundle.digest != self.digest:
            raise ConfigError(
                f"'{self.bundle}' is another bundle on {socket.gethostname()} than here. Install "
                "the same on every machine, or name a .lucid file that all of them see."
            )
        return partial(read_film, Work(bundle, self.desk, self.findings, self.maps))


def read_apart(
    paths: Iterable[Path], order: Order, results: Results | None, *, workers: int
) -> Iterator[Outcome]:
    """Read films on the cluster that this process is part of; else as `read_films`.

    Args:
        paths: Drawn as they are needed.
        order: How they are read.
        results: What was read before, and where each new line is kept.
        workers: Worker processes.

    Raises:
        ClusterError: Workers kept dying over the same films.
        ConfigError: A worker cannot read as this process would.
    """
    waiting = tasks(paths, results)
    while wave := list(islice(waiting, WAVE)):
        films = [task for task in wave if isinstance(task, Film)]
        found = map_on_cluster(order.open, films, workers=workers, threads=order.threads)
        for task in wave:
            outcome = next(found) if isinstance(task, Film) else task
            keep(outcome, results)
            yield outcome
