"""The DICOM node of the reading room: listens while there is anybody who may send."""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import Error, close_old_connections

from lucidray.dicom.network import Node, NodeSettings
from lucidray.errors import LucidRayError
from lucidray_clinic.pacs import receiving
from lucidray_clinic.pacs.models import Peer
from lucidray_clinic.pacs.sending import tls_of_node

log = logging.getLogger(__name__)

#: Seconds between two looks at who may send.
LOOK_S = 3.0


class Room:
    """The node, and the peers of the database that it knows."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._node: Node | None = None
        self._written = _written()

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()

    def run(self) -> None:
        """Listen until stopped; peers that are added or retired are known within seconds.

        Raises:
            LucidRayError: The address is taken, or a TLS file is missing.
        """
        receiving.tidy()
        try:
            while not self._stop.is_set():
                self._look()
                self._stop.wait(LOOK_S)
        finally:
            self._end()
            close_old_connections()

    def run_aside(self) -> threading.Thread:
        """Listen in a thread of this process."""
        thread = threading.Thread(target=self._run_safely, name="DICOM node", daemon=True)
        thread.start()
        return thread

    @property
    def listening(self) -> bool:
        """Whether it listens."""
        return self._node is not None

    def _run_safely(self) -> None:
        try:
            self.run()
        except LucidRayError as error:
            log.error("the DICOM node does not run: %s", error)  # noqa: TRY400

    def _look(self) -> None:
        try:
            peers = senders()
        except Error as error:
            log.error("the database does not answer: %s", type(error).__name__)  # noqa: TRY400
            close_old_connections()
            return
        if not peers:
            self._end()
        elif self._node is None:
            self._node = Node(_settings(peers), receiving.keep_from_node).start()
        elif peers != self._node.settings.peers:
            self._node.admit(peers)
        self._renew()

    def _renew(self) -> None:
        """Show a new certificate, if there is one; a file that is half written is tried again."""
        written = _written()
        if self._node is None or written == self._written:
            return
        try:
            self._node.renew_certificate()
            self._written = written
        except LucidRayError as error:
            log.error("the new certificate is not taken: %s", error)  # noqa: TRY400

    def _end(self) -> None:
        if self._node is not None:
            self._node.stop()
            self._node = None


def senders() -> dict[str, frozenset[str]]:
    """Return who may send, and from where."""
    rows = Peer.objects.filter(active=True, may_send=True)
    return {row.ae_title: row.known_addresses for row in rows}


def _written() -> list[int]:
    """Return when each file of TLS was written; zero where it is not there."""
    return [path.stat().st_mtime_ns if path.is_file() else 0 for path in settings.NODE.tls]


def _settings(peers: dict[str, frozenset[str]]) -> NodeSettings:
    told = settings.NODE
    return NodeSettings(
        peers=peers,
        ae_title=told.title,
        host=told.host,
        port=told.port,
        most_associations=told.most_associations,
        most_from_one=told.most_from_one,
        most_bytes=told.most_bytes,
        tls=tls_of_node(),
    )
