"""The file itself: a plain zip, every byte of which follows from its contents.

``manifest.json`` comes first and lists each member with its SHA-256, so that the whole file can be
checked against it: members by their hashes, headers by writing them anew. Nothing is compressed
and no time is stored, so the same contents give the same file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lucidray.errors import BundleError

MANIFEST = "manifest.json"
FORMAT = "lucidray-bundle"
FORMAT_VERSION = 1

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_NEW_YEAR_1980 = (0, 0x21)
_LARGEST = 2**32 - 1
_LARGEST_MANIFEST = 2**20


@dataclass(frozen=True)
class Archive:
    """A bundle's members, all checked.

    Args:
        digest: SHA-256 hex digest that stands for all of them.
        members: Their bytes by name, the manifest left out.
    """

    digest: str
    members: Mapping[str, bytes]


def pack(members: Mapping[str, bytes]) -> bytes:
    """Write members as the bytes of a bundle.

    Args:
        members: Bytes by name; stored in the order of their names.

    Returns:
        The file, always the same for the same members.

    Raises:
        BundleError: They are more than 4 GB, or one has the manifest's name.

    >>> unpack(pack({"card.json": b"{}"}), "demo").members
    {'card.json': b'{}'}
    """
    if MANIFEST in members:
        raise BundleError(f"'{MANIFEST}' is written by LucidRay; give the member another name.")
    if sum(map(len, members.values())) > _LARGEST - 2**20:
        raise BundleError("a bundle can hold 4 GB at most; leave members out.")
    entries = [_entry(name, members[name]) for name in sorted(members)]
    manifest = _manifest(entries)
    pieces = _skeleton([_entry(MANIFEST, manifest), *entries])
    contents = [manifest, *(members[entry["name"]] for entry in entries)]
    body = [part for pair in zip(pieces, contents, strict=False) for part in pair]
    return b"".join([*body, pieces[-1]])


def write(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a bundle whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(pack(members))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> Archive:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: There is no such file, it is no bundle, or a byte was changed.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path.name)
    except FileNotFoundError as error:
        raise BundleError(f"no such bundle: {path}. Check the path.") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error


def unpack(data: bytes, name: str) -> Archive:
    """Check the bytes of a bundle and take its members out.

    Args:
        data: The whole file.
        name: For messages.

    Raises:
        BundleError: They are no bundle, or a byte was changed.
    """
    return _read(io.BytesIO(data), name)


def _read(file: BinaryIO, name: str) -> Archive:
    """Read piece by piece, so that no member is held twice."""
    head, manifest = _first_member(file, name)
    entries, pieces = _entries(manifest, name)
    intact = head == pieces[0]
    members: dict[str, bytes] = {}
    for piece, entry in zip(pieces[1:], entries, strict=False):
        intact &= file.read(len(piece)) == piece
        content = file.read(entry["bytes"])
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise _changed(name, entry["name"])
        members[entry["name"]] = content
    if not intact or file.read() != pieces[-1]:
        raise _changed(name, "its table of contents")
    return Archive(_digest(entries), members)


def _changed(name: str, part: str) -> BundleError:
    return BundleError(
        f"{name} was changed after it was written: {part} does not match the manifest. "
        "Get the bundle again from where it came."
    )


def _first_member(file: BinaryIO, name: str) -> tuple[bytes, bytes]:
    head = file.read(_LOCAL.size + len(MANIFEST))
    if head[_LOCAL.size :] != MANIFEST.encode():
        raise BundleError(
            f"{name} is no bundle: it does not begin with a manifest. Name a .lucid file that "
            "`lucidray bundle export` wrote."
        )
    size = _LOCAL.unpack_from(head)[7]
    if size > _LARGEST_MANIFEST:
        raise _changed(name, "the manifest itself")
    return head, file.read(size)


def _entries(manifest: bytes, name: str) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return what the manifest lists, and all that the file has to hold beside it."""
    try:
        values = json.loads(manifest)
        version = int(values["version"])
        if version <= FORMAT_VERSION:
            entries: list[dict[str, Any]] = values["members"]
            pieces = _skeleton([_entry(MANIFEST, manifest), *entries])
            same = _manifest(entries) == manifest
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise _changed(name, "the manifest itself") from error
    if version > FORMAT_VERSION:
        raise BundleError(
            f"{name} is written in format {version}, this LucidRay knows {FORMAT_VERSION}. "
            "Update it with: pip install -U lucidray"
        )
    if not same:
        raise _changed(name, "the manifest itself")
    return entries, pieces


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "bytes": len(content),
        "crc32": zlib.crc32(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _digest(entries: list[dict[str, Any]]) -> str:
    lines = "".join(f"{entry['sha256']}  {entry['name']}\n" for entry in entries)
    return hashlib.sha256(lines.encode()).hexdigest()


def _manifest(entries: list[dict[str, Any]]) -> bytes:
    plain = [{key: entry[key] for key in ("name", "bytes", "crc32", "sha256")} for entry in entries]
    values = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "digest": _digest(entries),
        "members": plain,
    }
    return (json.dumps(values, indent=1) + "\n").encode()


def _skeleton(entries: list[dict[str, Any]]) -> list[bytes]:
    """Return what stands before each member, and what stands after the last."""
    local, central, place = [], [], 0
    for entry in entries:
        name = entry["name"].encode()
        facts = (0, 0, *_NEW_YEAR_1980, entry["crc32"], entry["bytes"], entry["bytes"], len(name))
        local.append(_LOCAL.pack(b"PK\3\4", 20, *facts, 0) + name)
        central.append(_CENTRAL.pack(b"PK\1\2", 20, 20, *facts, 0, 0, 0, 0, 0, place) + name)
        place += len(local[-1]) + entry["bytes"]
    table = b"".join(central)
    count = len(entries)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, len(table), place, 0)
    return [*local, table + end]
