"""Decoded pixels on disk, so that epochs after the first never decode.

Layout: ``folder/<key>/``, the key being a digest of the reader's version and the spatial half of
the preprocessing. In it each builder writes a segment of its own: ``<name>.pixels``, one
``size x size`` uint8 image after the other, and ``<name>.index``, one JSON line an image, written
after its pixels. So nothing is ever changed in place: a killed build keeps what it finished, two
builders at once only do some work twice, and a line without its pixels does not count.

An image is found by its file's place, size and time, and, where those do not fit, by the digest
of its bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from lucidray.config import to_mapping
from lucidray.errors import DataError
from lucidray.images.cache_files import Entry, Levels, open_segment
from lucidray.images.preprocessing import Preprocessing, spatial_geometry
from lucidray.records import Geometry

Places = Sequence[int] | slice | npt.NDArray[np.integer]

#: Raised by one whenever reading or preprocessing gives other pixels than before.
READER_VERSION = 1

#: The fields of `Preprocessing` that change cached pixels.
_SPATIAL = ("size", "crop", "fit", "contrast", "clahe_clip", "clahe_tiles")


@dataclass(frozen=True)
class CacheFailure:
    """An image that could not be cached.

    Args:
        index: Its place in the list of paths.
        path: Its file.
        message: What is wrong with it.
    """

    index: int
    path: Path
    message: str


@dataclass(frozen=True)
class PixelCache:
    """Cached pixels of a list of images, in that list's order; made by `build_cache`.

    It can be pickled: worker processes map the same files again.

    Args:
        config: What was done to the images.
        entries: One an image; None where it failed.
        segments: The files that the entries point into.
        failures: Images that could not be read.
        changed: Places in the list whose file holds other bytes than when it was last cached
            here; they have been decoded anew.
        decoded: How many images this build had to decode.
    """

    config: Preprocessing
    entries: tuple[Entry | None, ...]
    segments: tuple[Path, ...]
    failures: tuple[CacheFailure, ...] = ()
    changed: tuple[int, ...] = ()
    decoded: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, indices: int | np.integer) -> Levels: ...
    @overload
    def __getitem__(self, indices: Places) -> Levels: ...
    def __getitem__(self, indices: int | np.integer | Places) -> Levels:
        """Return cached images.

        Args:
            indices: Places in the list of paths.

        Returns:
            uint8 ``(B, size, size)``; of a single index ``(size, size)``.

        Raises:
            DataError: One of the images failed; `failures` tells why.
            IndexError: There is no such place.
        """
        where = self._where[indices]
        if (where < 0).any():
            raise DataError(
                f"{len(self.failures)} of {len(self)} images could not be cached, and one of them "
                "was asked for; leave out the places in cache.failures."
            )
        if where.ndim == 1:
            return np.array(self._maps[where[0]][where[1]])
        return self._gather(where)

    def geometry(self, index: int) -> Geometry:
        """Return the geometry from a file's pixels to its cached image.

        Args:
            index: Its place in the list of paths.

        Raises:
            DataError: The image failed.
        """
        entry = self._entry(index)
        return spatial_geometry(entry.source_shape, self.config, box=entry.box)

    def sha256(self, index: int) -> str:
        """Return the digest of a file's bytes when it was cached.

        Args:
            index: Its place in the list of paths.

        Raises:
            DataError: The image failed.
        """
        return self._entry(index).sha256

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_maps"}}

    @cached_property
    def _where(self) -> npt.NDArray[np.int64]:
        pairs = [(entry.segment, entry.row) if entry else (-1, -1) for entry in self.entries]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def _maps(self) -> dict[int, Levels]:
        used = sorted({entry.segment for entry in self.entries if entry})
        return {number: open_segment(self.segments[number], self.config.size) for number in used}

    def _gather(self, where: npt.NDArray[np.int64]) -> Levels:
        used = np.unique(where[:, 0])
        if len(used) == 1:
            return np.asarray(self._maps[int(used[0])][where[:, 1]])
        batch = np.empty((len(where), self.config.size, self.config.size), np.uint8)
        for segment in used:
            chosen = np.flatnonzero(where[:, 0] == segment)
            batch[chosen] = self._maps[int(segment)][where[chosen, 1]]
        return batch

    def _entry(self, index: int) -> Entry:
        entry = self.entries[index]
        if entry is None:
            raise DataError(f"image {index} could not be cached; cache.failures tells why.")
        return entry


def cache_key(config: Preprocessing, *, exact: bool = False) -> str:
    """Return the digest of all that decides cached pixels besides the files.

    Args:
        config: What is done to the images; its normalization and channels do not count.
        exact: Whether every pixel is decoded.

    >>> cache_key(Preprocessing()) == cache_key(Preprocessing(normalization="unit"))
    True
    """
    values = to_mapping(config)
    chosen = {name: values[name] for name in _SPATIAL}
    if config.contrast != "clahe":
        del chosen["clahe_clip"], chosen["clahe_tiles"]
    told = json.dumps([READER_VERSION, exact, chosen], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
