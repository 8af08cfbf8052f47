"""Arrays of one size, one a film, on disk: a report of any length needs little memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lucidray.errors import ShapeError
from lucidray.records import Float32


class Store:
    """Float32 arrays of one size that are written once, in order, and read at will.

    Args:
        path: The file; it is made with the first array.
        count: How many arrays there will be.
    """

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.count = count
        self._written = 0
        self._values: np.memmap[tuple[int, ...], np.dtype[np.float32]] | None = None

    def __len__(self) -> int:
        return self._written

    def add(self, values: Float32) -> None:
        """Write the next array.

        Raises:
            ShapeError: It is not of the first one's size, or one too many.
        """
        if self._values is None:
            self._values = np.lib.format.open_memmap(
                self.path, mode="w+", dtype=np.float32, shape=(self.count, *values.shape)
            )
        if values.shape != self._values.shape[1:] or self._written == self.count:
            raise ShapeError(
                f"array {self._written} is {values.shape}; expected {self.count} of "
                f"{self._values.shape[1:]}."
            )
        self._values[self._written] = values
        self._written += 1

    def __getitem__(self, index: int) -> Float32:
        return np.array(self._all[index])

    def first(self, count: int) -> Float32:
        """Return the first arrays, ``(count, ...)``."""
        return np.array(self._all[:count])

    def take(self, places: list[int]) -> Float32:
        """Return some arrays, ``(len(places), ...)``."""
        return np.array(self._all[places])

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of one array."""
        return tuple(self._all.shape[1:])

    @property
    def _all(self) -> Float32:
        if self._values is None:
            raise ShapeError(f"{self.path.name} holds nothing yet.")
        return self._values
