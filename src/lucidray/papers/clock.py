"""How long an experiment has taken, over all calls that worked on it, killed ones too."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lucidray.training.weights import write_text

#: What has been spent is written down this often, so that a kill loses no more of it.
_EVERY_S = 5.0


class Clock:
    """Counts the seconds of one experiment, on from those of earlier calls.

    Args:
        path: Where they are kept.
        asked: What was asked for; seconds spent on something else do not count.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        self.path, self.asked = path, dict(asked)
        earlier = _read(path, self.asked)
        self.before, self.calls = float(earlier["seconds"]), int(earlier["calls"])
        self.since: float | None = None
        self._written = 0.0

    @property
    def seconds(self) -> float:
        """All calls together; a pause between two counts for nothing."""
        return self.before + (0.0 if self.since is None else time.monotonic() - self.since)

    def start(self) -> None:
        """Begin to count this call."""
        self.since, self.calls = time.monotonic(), self.calls + 1

    def tick(self) -> None:
        """Write down what has been spent, if that is some seconds old."""
        if time.monotonic() - self._written >= _EVERY_S:
            self.write()

    def write(self) -> None:
        """Write down what has been spent."""
        self._written = time.monotonic()
        told = {**self.asked, "seconds": self.seconds, "calls": self.calls}
        write_text(self.path, json.dumps(told) + "\n")


def _read(path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    nothing = {"seconds": 0.0, "calls": 0}
    if not path.is_file():
        return nothing
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if all(found.get(name) == value for name, value in asked.items()) else nothing
