"""Results on their way: tried again and again, ever more slowly, until the peer has them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from pydicom.dataset import Dataset

from lucidray.dicom.network import Archive, Retry, Tls, send
from lucidray.dicom.network import Peer as Address
from lucidray.errors import LucidRayError, NetworkError
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.heartbeat import kept_alive
from lucidray_clinic.pacs import saying
from lucidray_clinic.pacs.models import Delivery, Peer, Way
from lucidray_clinic.pacs.secrets import unseal

log = logging.getLogger(__name__)

#: Seconds to wait after each failed try; after the last the result is undeliverable.
PAUSES_S = (30, 120, 600, 1800, 7200, 21600, 43200)
#: For how long a peer that nobody reaches is left in peace, by all results for it.
QUIET_S = 20
#: How long to wait for an answer of a peer.
ANSWER_S = 20


def send_once() -> bool:
    """Send one result.

    Returns:
        Whether there was one.
    """
    now = timezone.now()
    rows = Delivery.everything.filter(Q(peer__quiet_until=None) | Q(peer__quiet_until__lte=now))
    rows = jobs.open_jobs(rows.filter(peer__active=True)).select_related(
        *("peer", "instance__case", "reading__bundle", "asked_by"),
        *("report__reading__bundle", "report__signed_by", "report__case__team"),
    )
    tries = len(PAUSES_S) + 1
    delivery = jobs.claim(rows, _("Workers died while they sent it."), tries=tries)
    if delivery is not None:
        with kept_alive(delivery):
            send_out(delivery)
    return delivery is not None


def send_out(delivery: Delivery) -> None:
    """Send a result.

    Args:
        delivery: As `jobs.claim` returned it.
    """
    try:
        objects = saying.objects_for(delivery)
        trouble, final = hand_over(delivery.peer, list(objects.values()))
    except LucidRayError as error:
        jobs.fail(delivery, str(error), None)
        return
    except Exception as error:
        log.error("a result could not be made: %s", type(error).__name__)  # noqa: TRY400
        jobs.fail(delivery, _("The result could not be written as DICOM."), pause_after(delivery))
        return
    if trouble is None:
        _arrived(delivery, objects)
    else:
        _failed(delivery, trouble, final)


def hand_over(peer: Peer, objects: list[Dataset]) -> tuple[str | None, bool]:
    """Give objects to a peer, once.

    Args:
        peer: The peer.
        objects: The objects.

    Returns:
        Why it has not got all of them, None where it has; and whether to try again is of no use.
    """
    if peer.way == Way.WEB:
        try:
            archive_of(peer).store(objects)
        except NetworkError as error:
            return str(error), False
        return None, False
    if peer.way != Way.STORE:
        return _("Nothing says how results reach this peer."), True
    deliveries = send(objects, address_of(peer), Retry(tries=1))
    left = [one for one in deliveries if one.error]
    return (left[0].error, all(one.final for one in left)) if left else (None, False)


def pause_after(delivery: Delivery) -> timedelta | None:
    """Return how long to wait after a failed try; None: no more.

    Args:
        delivery: As `jobs.claim` returned it.
    """
    if delivery.attempts > len(PAUSES_S):
        return None
    return timedelta(seconds=PAUSES_S[delivery.attempts - 1])


def address_of(peer: Peer) -> Address:
    """Return a peer as the library calls it.

    Args:
        peer: The peer.
    """
    tls = tls_of_node() or Tls() if peer.tls else None
    return Address(
        peer.ae_title, peer.host, peer.port or 104, settings.NODE.title, tls, seconds=ANSWER_S
    )


def archive_of(peer: Peer) -> Archive:
    """Return the DICOMweb services of a peer.

    Args:
        peer: The peer.
    """
    user = peer.web_user or None
    return Archive(peer.web_url, user, unseal(peer.web_secret), seconds=ANSWER_S)


def tls_of_node() -> Tls | None:
    """Return the files of this installation's TLS; None: it has none."""
    return Tls(*settings.NODE.tls) if settings.NODE.tls else None


def _arrived(delivery: Delivery, objects: dict[str, Dataset]) -> None:
    told = [{"kind": name, "uid": str(one.SOPInstanceUID)} for name, one in objects.items()]
    with transaction.atomic():
        if jobs.finish(delivery, objects_sent=told):
            audit.record(delivery.asked_by, "send", delivery, objects=len(told))
    if delivery.peer.failing_since is not None:
        _mark(delivery.peer, failing_since=None, quiet_until=None)


def _failed(delivery: Delivery, trouble: str, final: bool) -> None:
    jobs.fail(delivery, trouble, None if final else pause_after(delivery))
    if not final:
        now = timezone.now()
        since = delivery.peer.failing_since or now
        _mark(delivery.peer, failing_since=since, quiet_until=now + timedelta(seconds=QUIET_S))


def _mark(peer: Peer, **values: Any) -> None:
    Peer.objects.filter(pk=peer.pk).update(**values)
