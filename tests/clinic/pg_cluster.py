"""A PostgreSQL of a test's own, to be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from room import free_port

SERVICES = Path(__file__).parents[2] / ".ci" / "services"


class Cluster:
    """A server in a folder of its own; nothing is lost when it dies, only when it is cleared."""

    def __init__(self, place: Path) -> None:
        self.place, self.port = place, free_port()
        self.url = f"postgresql://lucidray@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._service()

    def kill(self) -> None:
        """Kill it with all its children, at once, and wait until they are gone."""
        first = int((self.place / "data" / "postmaster.pid").read_text().split()[0])
        family = [first, *_children(first)]
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        end = time.monotonic() + 20
        while any(_lives(process) for process in family):
            assert time.monotonic() < end, "the server does not die"
            time.sleep(0.02)
        # Where nobody asks after the dead, their numbers stay taken, and it would not start.
        for lock in ("data/postmaster.pid", f".s.PGSQL.{self.port}.lock"):
            (self.place / lock).unlink(missing_ok=True)

    def clear(self) -> None:
        """End it and remove its folder."""
        self._service("stop")
        shutil.rmtree(self.place, ignore_errors=True)

    def _service(self, *arguments: str) -> None:
        told = {"LUCIDRAY_TEST_SERVICES": str(self.place), "LUCIDRAY_TEST_PORT": str(self.port)}
        subprocess.run(
            [str(SERVICES), *arguments],
            env=os.environ | told,
            stdout=subprocess.DEVNULL,  # the server keeps it open
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )


@contextmanager
def running() -> Iterator[Cluster]:
    """Give a server that runs, and clear it away."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lucidray-cluster-")))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.clear()


def _children(process: int) -> list[int]:
    told = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in told.split()]


def _lives(process: int) -> bool:
    """Whether a process is there, and more than a name that nobody has asked after yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
