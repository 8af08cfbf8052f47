"""A DICOM node: answers C-ECHO, takes images by C-STORE, and says "stored" only when they are.

It knows nothing of cases or databases: whoever starts it gives a function that keeps what came, and
returns only when it is kept for good.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from pydicom import uid as uids
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from lucidray.dicom.files import from_bytes
from lucidray.dicom.network.door import Door
from lucidray.dicom.network.guard import bound
from lucidray.dicom.network.node_settings import SYNTAXES, NodeSettings
from lucidray.dicom.network.tls import load, server_context
from lucidray.errors import DicomError, NetworkError

_VERIFICATION = "1.2.840.10008.1.1"

SUCCESS, NOT_AUTHORIZED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0x0124, 0xA700, 0xC000
_MISMATCH = 0xA900

#: Callers that may wait to be let in; with pynetdicom's five, a few silent ones keep all out.
_BACKLOG = 128
#: The largest PDU that we offer to take.
_PDU = 64 * 1024


@dataclass(frozen=True)
class Received:
    """What came.

    Args:
        data: A whole DICOM file, parsed once to see that it can be.
        instance_uid: Of the object.
        sender: The AE title that sent it.
    """

    data: bytes = field(repr=False)
    instance_uid: str = field(repr=False)
    sender: str


Keep = Callable[[Received], None]


class Node:
    """A node, to be used in a ``with`` block or started and stopped.

    Args:
        settings: How it behaves.
        keep: Keeps what came, and returns only when it is kept for good; it is called from several
            threads. What it raises is answered as a failure, so that the sender tries again.
    """

    def __init__(self, settings: NodeSettings, keep: Keep) -> None:
        self.settings = settings
        #: How often: ``stored``, ``echoed``, ``refused`` (damaged or unknown), ``failed`` (could
        #: not be kept), ``cut_off`` (too large), ``turned_away`` (at the door).
        self.counts: Counter[str] = Counter()
        self._keep = keep
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None
        self._entity = _entity(settings)
        self._door = _door(settings)
        self._context: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        """The port that it listens at."""
        if self._server is None:
            raise NetworkError("the node is not running; start it first.")
        return int(self._server.server_address[1])

    def start(self) -> Self:
        """Begin to listen.

        Raises:
            NetworkError: The address is taken, or not ours.
            ConfigError: A TLS file is missing.
        """
        # pynetdicom tells each message in its log; what callers send is nobody's business there.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        told = self.settings
        self._context = server_context(told.tls, told.seconds) if told.tls else None
        try:
            server: Any = self._entity.start_server(
                (told.host, told.port),
                block=False,
                ssl_context=self._context,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, self._guard),
                    (evt.EVT_ESTABLISHED, lambda event: self._door.introduced(_line(event))),
                    (evt.EVT_RELEASED, lambda event: self._door.leave(_line(event))),
                    (evt.EVT_C_ECHO, self._echo),
                    (evt.EVT_C_STORE, self._store),
                ],
            )
        except OSError as error:
            raise NetworkError(
                f"cannot listen at {told.host}:{told.port}: {error.strerror}. Is another node "
                "running, or the address not this machine's?"
            ) from error
        server.verify_request = self._admits
        server.socket.listen(_BACKLOG)
        self._server = server
        return self

    def admit(self, peers: Mapping[str, frozenset[str]]) -> None:
        """Know other peers from now on; also those whose association stands are asked anew.

        Args:
            peers: As of `NodeSettings`.

        Raises:
            ConfigError: There are none, or a title is none.
        """
        self.settings = replace(self.settings, peers=peers)
        self._entity.require_calling_aet = list(peers)

    def renew_certificate(self) -> None:
        """Read the TLS files anew; whoever calls from now on is shown the new certificate.

        Raises:
            ConfigError: A file is missing or no such thing; the old certificate is shown on.
        """
        if self._context is not None and self.settings.tls is not None:
            load(self._context, self.settings.tls)

    def stop(self) -> None:
        """End all associations and listen no more."""
        for association in self._entity.active_associations:
            if not association.is_established:  # nothing was agreed on that could be ended
                association.kill()
        self._entity.shutdown()
        self._server = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def _admits(self, request: Any, client_address: Any) -> bool:
        admitted = self._door.admits(request, str(client_address[0]), self.settings.peers)
        if not admitted:
            self._count("turned_away")
        return admitted

    def _guard(self, event: Any) -> None:
        """Let no caller stay silent for ever, or send without end."""
        told = self.settings
        bound(event.assoc, told.most_bytes, told.seconds, lambda: self._count("cut_off"))

    def _known(self, event: Any) -> bool:
        requestor = event.assoc.requestor
        addresses = self.settings.peers.get(str(requestor.ae_title).strip())
        return addresses is not None and (not addresses or str(requestor.address) in addresses)

    def _echo(self, event: Any) -> int:
        if not self._known(event):
            self._count("refused")
            return NOT_AUTHORIZED
        self._count("echoed")
        return SUCCESS

    def _store(self, event: Any) -> int:
        """Take an object; whatever goes wrong, the sender is told and nothing half is left."""
        if not self._known(event):
            self._count("refused")
            return NOT_AUTHORIZED
        try:
            data = event.encoded_dataset()
            uid = _checked(from_bytes(data), event.request)
        except DicomError:
            self._count("refused")
            return CANNOT_UNDERSTAND
        except LookupError:
            self._count("refused")
            return _MISMATCH
        sender = str(event.assoc.requestor.ae_title).strip()
        try:
            self._keep(Received(data, uid, sender))
        except Exception as error:  # the sender must hear of any failure, and try again
            name = type(error).__name__  # its message may tell of the patient
            logging.getLogger(__name__).error("an object could not be kept: %s", name)  # noqa: TRY400
            self._count("failed")
            return OUT_OF_RESOURCES
        self._count("stored")
        return SUCCESS


def _entity(settings: NodeSettings) -> AE:
    entity = AE(settings.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(settings.peers)
    entity.maximum_associations = settings.most_associations
    entity.maximum_pdu_size = _PDU
    entity.acse_timeout = entity.dimse_timeout = settings.seconds
    entity.network_timeout = settings.seconds
    entity.add_supported_context(_VERIFICATION)
    for kind in settings.classes:
        entity.add_supported_context(kind, list(SYNTAXES))
    return entity


def _door(settings: NodeSettings) -> Door:
    most = settings.most_associations
    return Door(
        2 * most,  # those over the limit are told so, if they ask
        settings.most_from_one or (most + 1) // 2,
        min(settings.seconds, settings.seconds_to_ask),
    )


def _line(event: Any) -> Any:
    """Return an association's connection."""
    return event.assoc.dul.socket.socket


def _checked(dataset: Dataset, request: Any) -> str:
    """Return an object's UID if it is what its envelope says.

    Raises:
        LookupError: It is not.
    """
    uid, kind = str(dataset.get("SOPInstanceUID") or ""), str(dataset.get("SOPClassUID") or "")
    told = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
    if (uid, kind) != told or not uids.UID(uid).is_valid:
        raise LookupError
    return uid
