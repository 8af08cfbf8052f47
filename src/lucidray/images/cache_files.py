"""The files of a pixel cache: append-only segments that no kill, full disk or rival can spoil."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from lucidray.errors import DataError

Levels = npt.NDArray[np.uint8]
PixelBox = tuple[int, int, int, int]

#: Images whose index lines are written together, after their pixels have reached the disk.
COMMIT_EVERY = 64


@dataclass(frozen=True)
class Stamp:
    """What tells a file without reading it.

    Args:
        place: Digest of its absolute path.
        size: Bytes.
        time_ns: Time of last change.
    """

    place: str
    size: int
    time_ns: int


@dataclass(frozen=True)
class Line:
    """One line of an index.

    Args:
        stamp: The file when it was read.
        sha256: Digest of its bytes.
        source_shape: ``(height, width)`` of its image.
        box: The crop that was asked for, or None.
        row: Where its pixels lie in the segment; None: the same bytes are cached already.
    """

    stamp: Stamp
    sha256: str
    source_shape: tuple[int, int]
    box: PixelBox | None
    row: int | None


@dataclass(frozen=True)
class Entry:
    """Cached pixels of one image.

    Args:
        segment: Number of the segment.
        row: Row in it.
        sha256: Digest of the file's bytes.
        source_shape: ``(height, width)`` of the file's image.
        box: The crop that was asked for, or None.
    """

    segment: int
    row: int
    sha256: str
    source_shape: tuple[int, int]
    box: PixelBox | None


class Index:
    """What the segments of a cache hold.

    Args:
        home: The cache's folder; need not exist.
        size: Side of its images.
    """

    def __init__(self, home: Path, size: int) -> None:
        self.segments: list[Path] = []
        self._content: dict[tuple[str, PixelBox | None], Entry] = {}
        self._seen: dict[tuple[str, PixelBox | None], Line] = {}
        for path in sorted(home.glob("*.index")):
            self._add(path, path.with_suffix(".pixels"), size)

    def by_stamp(self, stamp: Stamp, box: PixelBox | None) -> Entry | None:
        """Return the pixels of a file that has not changed since it was cached, or None."""
        line = self._seen.get((stamp.place, box))
        if line is None or line.stamp != stamp:
            return None
        return self.by_content(line.sha256, box)

    def by_content(self, sha256: str, box: PixelBox | None) -> Entry | None:
        """Return the pixels of a file of these bytes, or None."""
        return self._content.get((sha256, box))

    def digest_at(self, place: str, box: PixelBox | None) -> str | None:
        """Return the digest of what last lay at a place, or None where nothing did."""
        line = self._seen.get((place, box))
        return None if line is None else line.sha256

    def _add(self, index: Path, pixels: Path, size: int) -> None:
        try:
            rows = pixels.stat().st_size // (size * size)
        except FileNotFoundError:
            rows = 0
        number = len(self.segments)
        self.segments.append(pixels)
        for line in _read_lines(index):
            if line.row is not None and line.row < rows:
                entry = Entry(number, line.row, line.sha256, line.source_shape, line.box)
                self._content[line.sha256, line.box] = entry
            if (line.sha256, line.box) in self._content:
                self._seen[line.stamp.place, line.box] = line


class SegmentWriter:
    """Appends images to a segment of its own; use it in a ``with`` block.

    Args:
        home: The cache's folder; made when the first image comes.
        size: Side of the images.

    Raises:
        DataError: The folder cannot be written, or the disk is full. Images written before that
            stay valid.
    """

    def __init__(self, home: Path, size: int) -> None:
        self._home = home
        self._row_bytes = size * size
        self._rows = 0
        self._lines: list[Line] = []
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        self._pixels, self._index = home / f"{name}.pixels", home / f"{name}.index"

    def add(self, line: Line, pixels: Levels | None) -> None:
        """Append an image, or a line alone where its bytes are cached already.

        Args:
            line: What to note; its row is filled in here.
            pixels: uint8 ``(size, size)``, or None.
        """
        row = None
        if pixels is not None:
            self._append(self._pixels, pixels.tobytes(), self._rows * self._row_bytes)
            row, self._rows = self._rows, self._rows + 1
        self._lines.append(Line(line.stamp, line.sha256, line.source_shape, line.box, row))
        if len(self._lines) >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Write the index lines of all images so far, after their pixels have reached the disk."""
        if not self._lines:
            return
        if self._rows:
            self._sync()
        text = "".join(_to_text(line) for line in self._lines)
        self._append(self._index, text.encode(), None)
        self._lines.clear()

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, DataError):
            self.commit()
            return
        with contextlib.suppress(DataError):  # a full disk may still have room for the lines
            self.commit()
        if not self._index.exists():
            with contextlib.suppress(OSError):
                self._pixels.unlink(missing_ok=True)

    def _append(self, path: Path, data: bytes, start: int | None) -> None:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                start = file.tell() if start is None else start
                _write_all(file.fileno(), data)
        except OSError as error:
            _cut(path, start)
            raise _cannot_write(self._home, error) from error

    def _sync(self) -> None:
        try:
            with self._pixels.open("ab") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise _cannot_write(self._home, error) from error


def open_segment(path: Path, size: int) -> Levels:
    """Map the pixels of a segment into memory.

    Args:
        path: Its ``.pixels`` file.
        size: Side of its images.

    Returns:
        uint8 ``(N, size, size)``, read-only.
    """
    rows = path.stat().st_size // (size * size)
    return np.memmap(path, np.uint8, mode="r", shape=(rows, size, size))


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.write(file, view)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def _cut(path: Path, size: int | None) -> None:
    if size is None or not path.exists():
        return
    if size == 0:
        path.unlink()
    else:
        os.truncate(path, size)


def _cannot_write(home: Path, error: OSError) -> DataError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DataError(
            f"the disk is full: the pixel cache in {home} cannot grow. What is finished stays; "
            "free some room, or name another cache folder, and start again."
        )
    return DataError(
        f"the pixel cache in {home} cannot be written ({error.strerror}); name a folder that can."
    )


def _to_text(line: Line) -> str:
    values = {
        "place": line.stamp.place,
        "size": line.stamp.size,
        "time_ns": line.stamp.time_ns,
        "sha256": line.sha256,
        "source_shape": line.source_shape,
        "box": line.box,
        "row": line.row,
    }
    return json.dumps(values, separators=(",", ":")) + "\n"


def _read_lines(path: Path) -> list[Line]:
    *whole, _ = path.read_bytes().split(b"\n")
    lines = (_from_text(text) for text in whole)
    return [line for line in lines if line is not None]


def _from_text(text: bytes) -> Line | None:
    try:
        values: dict[str, Any] = json.loads(text)
        stamp = Stamp(values["place"], values["size"], values["time_ns"])
        height, width = values["source_shape"]
        box = None if values["box"] is None else tuple(values["box"])
        return Line(stamp, values["sha256"], (height, width), box, values["row"])
    except (ValueError, KeyError, TypeError):
        return None
