"""What an installation sets of its DICOM node from outside: ``LUCIDRAY_NODE…`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lucidray_clinic.errors import SetupError


@dataclass(frozen=True)
class NodeEnvironment:
    """The node of one installation.

    Args:
        title: Its AE title.
        host: The address that it listens at.
        port: Its port.
        tls: Files of certificate, key and, where callers must show one too, authorities; empty:
            without TLS.
        most_associations: At the same time.
        most_from_one: Of these from one address; 0: half.
        most_bytes: Of one object.
        embedded: Whether ``lucidray serve`` does the jobs itself; else ``lucidray-clinic work``.
        institution: Named in results as that of the device; empty: not named.
    """

    title: str
    host: str
    port: int
    tls: tuple[Path, ...]
    most_associations: int
    most_from_one: int
    most_bytes: int
    embedded: bool
    institution: str


def read_node_environment(variables: Mapping[str, str] = os.environ) -> NodeEnvironment:
    """Read the variables of the node.

    Args:
        variables: The process's own, unless a test brings others.

    Raises:
        SetupError: A variable says something that is not understood.
    """
    host, port = _address(variables.get("LUCIDRAY_NODE", "") or "127.0.0.1:11112")
    return NodeEnvironment(
        title=variables.get("LUCIDRAY_NODE_TITLE", "") or "LUCIDRAY",
        host=host,
        port=port,
        tls=_files(variables.get("LUCIDRAY_NODE_TLS", "")),
        most_associations=_count(variables, "LUCIDRAY_NODE_ASSOCIATIONS", 8),
        most_from_one=_count(variables, "LUCIDRAY_NODE_FROM_ONE", 0),
        most_bytes=_count(variables, "LUCIDRAY_NODE_MEGABYTES", 128) * 2**20,
        embedded=_embedded(variables.get("LUCIDRAY_WORKER", "")),
        institution=variables.get("LUCIDRAY_INSTITUTION", "")[:64],
    )


def _address(text: str) -> tuple[str, int]:
    """Split an address.

    >>> _address("0.0.0.0:104"), _address("[::1]:104")
    (('0.0.0.0', 104), ('::1', 104))
    """
    host, _colon, port = text.strip().rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise SetupError(f"LUCIDRAY_NODE is {text!r}; expected HOST:PORT, such as 0.0.0.0:11112.")
    return host.strip("[]"), int(port)


def _files(text: str) -> tuple[Path, ...]:
    files = tuple(Path(part.strip()).expanduser() for part in text.split(",") if part.strip())
    if len(files) not in (0, 2, 3):
        raise SetupError(
            "LUCIDRAY_NODE_TLS is not understood; expected CERTIFICATE,KEY or "
            "CERTIFICATE,KEY,AUTHORITIES, files in PEM."
        )
    return files


def _count(variables: Mapping[str, str], name: str, usual: int) -> int:
    text = variables.get(name, "").strip() or str(usual)
    if text == "0" and not usual:
        return 0
    if not text.isdigit() or not 0 < int(text) < 10_000:
        raise SetupError(f"{name} is {text!r}; expected a whole number from 1 to 9999.")
    return int(text)


def _embedded(text: str) -> bool:
    choices = {"": True, "embedded": True, "separate": False}
    if text.strip().lower() not in choices:
        raise SetupError(f"LUCIDRAY_WORKER is {text!r}; expected embedded or separate.")
    return choices[text.strip().lower()]
