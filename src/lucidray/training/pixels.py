"""Decoded pixels of a list of files, from the cache, on every process that asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.errors import DataError, ImageError
from lucidray.images.cache import PixelCache
from lucidray.images.cache_build import build_cache
from lucidray.images.preprocessing import Preprocessing
from lucidray.records import Bool
from lucidray.training.order import Indices

#: ``progress(done, total)``.
Progress = Callable[[int, int], None]


class CachedPixels:
    """Prepared images of files; opened anew, not copied, where another process gets it.

    Args:
        paths: The files.
        image: What is done to each image.
        folder: Where decoded pixels are kept.
        progress: Called with images decoded and in all.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        image: Preprocessing,
        folder: Path,
        progress: Progress | None = None,
    ) -> None:
        self.paths = list(paths)
        self.image = image
        self.folder = folder
        self._cache: PixelCache | None = build_cache(paths, image, folder, progress=progress)

    @property
    def cache(self) -> PixelCache:
        """The open cache."""
        if self._cache is None:
            self._cache = build_cache(self.paths, self.image, self.folder)
        return self._cache

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Indices) -> npt.NDArray[np.uint8]:
        """Return uint8 ``(B, S, S)``."""
        return self.cache[indices]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": None}

    def digests(self) -> list[str]:
        """Return the SHA-256 of each file, empty where it cannot be read."""
        return [self.cache.sha256(index) or "" for index in range(len(self))]

    def readable(self) -> Bool:
        """Return bool ``(N,)``: whether each file could be read."""
        good = np.ones(len(self), bool)
        good[[failure.index for failure in self.cache.failures]] = False
        return good

    def check(self, remedy: str = "Leave them out.") -> None:
        """Refuse a list in which a file cannot be read.

        Args:
            remedy: What to do about it.

        Raises:
            ImageError: The only file cannot be read.
            DataError: Some of several cannot.
        """
        failures = self.cache.failures
        if not failures:
            return
        if len(self) == 1:
            raise ImageError(f"cannot read {self.paths[0]}: {failures[0].message}")
        first = self.paths[failures[0].index]
        raise DataError(
            f"{len(failures)} of {len(self)} images cannot be read; the first, {first}: "
            f"{failures[0].message} {remedy}"
        )


def cache_folder() -> Path:
    """Return where decoded pixels are kept: ``LUCIDRAY_CACHE``, or the user's cache folder."""
    named = os.environ.get("LUCIDRAY_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lucidray" / "pixels"
