"""The results of a reading as they grow: one line an image, none lost, none doubled.

``results.jsonl`` is only ever appended to, one whole line at a time and out of this process's hands
at once, so a process that is killed loses at most the image that it was reading. A line that was
torn (a full disk, a power cut) is dropped when the folder is opened again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from lucidray.cli.console import to_json_line
from lucidray.cli.films import SUFFIXES
from lucidray.errors import ConfigError

RESULTS, SETTING = "results.jsonl", "reading.json"

#: Of a finished film only this is held: where its line begins, its size and time. With the two
#: keys that makes some 300 bytes a film, however long its path.
_ENTRY = struct.Struct("<qqq")

#: Longer names leave no room for what is added to them.
_LONGEST_NAME = 160


@dataclass(frozen=True)
class Stamp:
    """How a file that was read is known again.

    Args:
        place: Its absolute path.
        size: In bytes.
        modified_ns: When it was last changed.
    """

    place: str
    size: int
    modified_ns: int


@dataclass
class Results:
    """The results in a folder, open for more; made by `open_results`.

    Args:
        folder: Where they lie.
        file: ``results.jsonl``, open for reading and appending.
    """

    folder: Path
    file: BinaryIO
    _finished: dict[bytes, bytes] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _surplus: int = 0

    def __enter__(self) -> Results:
        """Use it in a ``with`` block, at the end of which it is closed."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close it."""
        self.close()

    def __len__(self) -> int:
        """Return how many images are finished."""
        return len(self._finished)

    def earlier(self, stamp: Stamp) -> dict[str, Any] | None:
        """Return the line of a file that was read before and has not been changed since."""
        known = self._finished.get(_key(stamp.place))
        if known is None:
            return None
        at, *unchanged = _ENTRY.unpack(known)
        return self._line_at(at) if unchanged == [stamp.size, stamp.modified_ns] else None

    def name_for(self, path: Path, place: str) -> str:
        """Return a name for the results of a file: its own, and no other file's.

        Args:
            path: The file.
            place: Its absolute path; a file that was read before keeps its name.
        """
        known = self._finished.get(_key(place))
        line = None if known is None else self._line_at(_ENTRY.unpack(known)[0])
        if line is not None:
            return str(line["name"])
        own = _own_name(path)
        name, number = own, 1
        while _short_key(name) in self._taken:
            number += 1
            name = f"{own}_{number}"
        self._taken.add(_short_key(name))
        return name

    def add(self, line: Mapping[str, Any]) -> None:
        """Append the line of an image that is finished."""
        at = self.file.seek(0, os.SEEK_END)
        self.file.write(to_json_line(line).encode())
        self.file.flush()
        self._note(at, line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the line of each image, in the order in which they were read."""
        with (self.folder / RESULTS).open("rb") as file:
            at = 0
            for text in file:
                line = whole_line(text)
                if line and _ENTRY.unpack(self._finished[_key(line["absolute_path"])])[0] == at:
                    yield line
                at += len(text)

    def close(self) -> None:
        """Leave one line an image, and nothing in the system's hands only."""
        if self._surplus:
            draft = self.folder / f".{RESULTS}"
            with draft.open("wb") as file:
                file.writelines(to_json_line(line).encode() for line in self.lines())
            draft.replace(self.folder / RESULTS)
        else:
            with contextlib.suppress(OSError):
                os.fsync(self.file.fileno())
        self.file.close()

    def load(self) -> None:
        """Note every whole line, and cut off what was torn behind the last."""
        self.file.seek(0)
        at = 0
        for text in self.file:
            if not text.endswith(b"\n"):
                break
            line = whole_line(text)
            if line is None:
                self._surplus += 1
            else:
                self._note(at, line)
                self._taken.add(_short_key(line["name"]))
            at += len(text)
        self.file.truncate(at)

    def _line_at(self, at: int) -> dict[str, Any] | None:
        self.file.seek(at)
        return whole_line(self.file.readline())

    def _note(self, at: int, line: Mapping[str, Any]) -> None:
        key = _key(line["absolute_path"])
        self._surplus += key in self._finished
        self._finished[key] = _ENTRY.pack(at, line["bytes"], line["modified_ns"])


def open_results(folder: Path, setting: Mapping[str, Any], *, anew: bool = False) -> Results:
    """Open the results in a folder, which is made if absent.

    Args:
        folder: The folder.
        setting: What decides the results: bundle, engine, what is explained.
        anew: Whether to drop what is there.

    Returns:
        The results, with those that are there already.

    Raises:
        ConfigError: What is there was read in another setting, is no reading, or is being written
            by another process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context((folder / RESULTS).open("a+b"))
        _lock(file, folder)
        if file.seek(0, os.SEEK_END):
            _check_setting(folder, None if anew else setting)
        if anew:
            file.truncate(0)
        write_whole(folder / SETTING, (json.dumps(dict(setting), indent=1) + "\n").encode())
        results = Results(folder, file)
        results.load()
        stack.pop_all()
    return results


def _own_name(path: Path) -> str:
    """Return a file's name without its suffix; a UID's last number is none."""
    name = path.stem if path.suffix.lower() in SUFFIXES else path.name
    if len(name.encode(errors="surrogateescape")) <= _LONGEST_NAME:
        return name
    return f"{name[:60]}_{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"


def _key(place: str) -> bytes:
    return hashlib.blake2b(os.fsencode(place), digest_size=16).digest()


def _short_key(name: str) -> int:
    """Return a number for a name; two names that share one would only be told apart needlessly."""
    digest = hashlib.blake2b(os.fsencode(name.casefold()), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def whole_line(text: bytes) -> dict[str, Any] | None:
    """Return the line that a text holds whole; None: it does not."""
    try:
        line: dict[str, Any] = json.loads(text)
        known = line["absolute_path"], line["bytes"], line["modified_ns"], line["name"]
    except (ValueError, KeyError, TypeError):
        return None
    return line if all(value is not None for value in known) else None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made if absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_setting(folder: Path, setting: Mapping[str, Any] | None) -> None:
    """Refuse what was read otherwise; None: only what is no reading."""
    try:
        found = json.loads((folder / SETTING).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / RESULTS} was not written by `lucidray read`. Name another folder."
        ) from error
    for key, value in (setting or {}).items():
        if found.get(key) != value:
            raise ConfigError(
                f"{folder} holds results of another reading ({key}: {found.get(key)}, now {value})."
                " Name another folder with --out, or drop what is there with --anew."
            )


def _lock(file: BinaryIO, folder: Path) -> None:
    """Keep a second process from writing here; the lock ends with the process, however it ends."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"{folder} is being written by another `lucidray read`. Wait for it, or name another "
            "folder with --out."
        ) from error
