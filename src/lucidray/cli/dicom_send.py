"""``lucidray dicom send``: files to an archive, by C-STORE or DICOMweb."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lucidray.dicom.files import from_bytes
from lucidray.dicom.network import Archive, Peer, Retry, Tls, send
from lucidray.errors import ConfigError, NetworkError

_PEER = re.compile(r"(?P<title>[^@]{1,16})@(?P<host>\[[^\]]+\]|[^:@/]+):(?P<port>\d{1,5})")
#: Objects of one association.
_AT_ONCE = 50

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Sender:
    """Who sends, and how.

    Args:
        calling: Our AE title.
        tries: How often each file is tried.
        tls: Files of TLS; None: without.
        user: For DICOMweb; its password stands in ``LUCIDRAY_DICOMWEB_PASSWORD``.
    """

    calling: str = "LUCIDRAY"
    tries: int = 5
    tls: Tls | None = None
    user: str | None = None


def send_files(
    paths: Sequence[Path], to: str, sender: Sender, tick: Tick = lambda *_: None
) -> list[str | None]:
    """Send files to an archive.

    Args:
        paths: DICOM files.
        to: ``AET@HOST:PORT``, or the address of DICOMweb services.
        sender: Who sends.
        tick: Told of files done, and of all.

    Returns:
        For each file why the archive has it not; None where it has.

    Raises:
        ConfigError: The target is not understood.
        DicomError: A file is no DICOM.
    """
    give = _by_web(to, sender) if to.startswith(("http://", "https://")) else _by_store(to, sender)
    told: list[str | None] = []
    for start in range(0, len(paths), _AT_ONCE):
        told += give(paths[start : start + _AT_ONCE])
        tick(len(told), len(paths))
    return told


def peer_of(to: str, sender: Sender) -> Peer:
    """Return the archive that a target names.

    Args:
        to: ``AET@HOST:PORT``.
        sender: Who sends.

    Raises:
        ConfigError: It is not understood.

    >>> peer_of("PACS@pacs.example.org:104", Sender()).port
    104
    """
    parts = _PEER.fullmatch(to.strip())
    if parts is None or not 0 < int(parts["port"]) < 65536:
        raise ConfigError(
            f"--to is {to!r}; expected AET@HOST:PORT, such as PACS@10.0.0.5:104, or the https:// "
            "address of DICOMweb services."
        )
    host = parts["host"].strip("[]")
    return Peer(parts["title"], host, int(parts["port"]), sender.calling, sender.tls)


def _by_store(to: str, sender: Sender) -> Callable[[Sequence[Path]], list[str | None]]:
    peer = peer_of(to, sender)

    def give(paths: Sequence[Path]) -> list[str | None]:
        objects = [from_bytes(path.read_bytes()) for path in paths]
        return [one.error for one in send(objects, peer, Retry(tries=sender.tries))]

    return give


def _by_web(to: str, sender: Sender) -> Callable[[Sequence[Path]], list[str | None]]:
    authorities = str(sender.tls.authorities) if sender.tls and sender.tls.authorities else None
    password = os.environ.get("LUCIDRAY_DICOMWEB_PASSWORD")
    archive = Archive(to, sender.user, password, authorities=authorities)

    def give(paths: Sequence[Path]) -> list[str | None]:
        told: list[str | None] = []
        for path in paths:
            try:
                archive.store([from_bytes(path.read_bytes())])
            except NetworkError as error:
                told.append(str(error))
            else:
                told.append(None)
        return told

    return give
