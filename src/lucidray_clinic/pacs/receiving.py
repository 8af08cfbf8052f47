"""What came and is to stay: on disk first, then a row; only then does the sender hear "stored"."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from lucidray.dicom.network import Inbox, Kept, Received
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.pacs.models import Arrival, Outcome, Peer, StudyImport

#: For how many days the file of a refused object stays, so that a new rule can still take it.
KEPT_DAYS = 7


def spool() -> Path:
    """Return the folder where objects lie that are not filed yet."""
    return Path(settings.SPOOL_ROOT)


def path_of(arrival: Arrival) -> Path:
    """Return where the file of an arrival lies, if it still does.

    Args:
        arrival: The arrival.
    """
    return spool() / arrival.path


def keep_from_node(received: Received) -> None:
    """Keep what a peer sent, for good; in a thread of the node, which ends with its association.

    Args:
        received: The object.

    Raises:
        Peer.DoesNotExist: Nobody of this name may send (any more).
    """
    try:
        keep(received, Peer.objects.get(ae_title=received.sender, may_send=True, active=True))
    finally:
        connection.close()


def keep(received: Received, peer: Peer, fetch: StudyImport | None = None) -> None:
    """Keep an object: file, then row; the same object again changes nothing.

    Args:
        received: The object.
        peer: Who sent it.
        fetch: The import that brings it; None: it came by itself.
    """
    Inbox(_folder_of(peer), then=partial(_note, peer, fetch)).keep(received)


def tidy() -> int:
    """Remove what a killed node left half-written; only while no node runs.

    Returns:
        How many files that was.
    """
    return sum(Inbox(folder).tidy() for folder in spool().glob("*") if folder.is_dir())


@contextmanager
def files_stay() -> Iterator[None]:
    """Leave all files where they are while the block runs, also of what is filed meanwhile.

    So a backup finds the file of every object that its rows call open.
    """
    with _mark() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield


def forget(arrival: Arrival) -> None:
    """Remove the file of an object that is filed; while files stay, `sweep` does it later.

    Args:
        arrival: The arrival.
    """
    with _may_remove() as allowed:
        if allowed:
            path_of(arrival).unlink(missing_ok=True)


def sweep() -> bool:
    """Remove files of objects that were filed, or refused long ago.

    Returns:
        Whether there were any.
    """
    with _may_remove() as allowed:
        return allowed and _removed() > 0


def _removed() -> int:
    removed = 0
    limit = timezone.now() - timedelta(days=KEPT_DAYS)
    for path in spool().glob("*/*/*/*.dcm"):
        row = Arrival.everything.filter(path=str(path.relative_to(spool()))).first()
        if row is None or row.state != JobState.DONE:
            continue
        if row.outcome == Outcome.FILED or (row.finished_at or limit) <= limit:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


@contextmanager
def _may_remove() -> Iterator[bool]:
    with _mark() as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _mark() -> IO[bytes]:
    """Open the file by whose lock backups and workers know of each other; the dead hold none."""
    spool().mkdir(parents=True, exist_ok=True)
    return (spool() / ".files-stay").open("ab")


def reopen(arrival: Arrival) -> bool:
    """Have an object looked at again that was refused or given up.

    Args:
        arrival: The arrival.

    Returns:
        Whether that was so, and its file is still there.
    """
    if not path_of(arrival).is_file():
        return False
    refused = Arrival.everything.filter(pk=arrival.pk, state=JobState.DONE, outcome=Outcome.REFUSED)
    refused.update(state=JobState.FAILED)
    return jobs.again(arrival, outcome=Outcome.PENDING, told="", code="")


def _folder_of(peer: Peer) -> Path:
    """Each peer has a folder of its own, so that what one sends never waits for another."""
    return spool() / peer.pk.hex


def _note(peer: Peer, fetch: StudyImport | None, kept: Kept) -> None:
    """Write the row of an object that lies on disk."""
    values = {
        "path": str(kept.path.relative_to(spool())),
        "sop_uid": kept.instance_uid[:64],
        "size": kept.path.stat().st_size,
        "fetch": fetch,
        "team": fetch.team if fetch is not None else None,
        "urgency": 1 if fetch is not None else 2,
    }
    try:
        with transaction.atomic():
            arrival, made = Arrival.objects.get_or_create(
                sha256=kept.sha256, peer=peer, defaults=values
            )
            if made:
                audit.record(None, "receive", arrival, bytes=arrival.size)
    except IntegrityError:  # the same object on two associations at once
        return
    if not made:
        _known(arrival, fetch)


def _known(arrival: Arrival, fetch: StudyImport | None) -> None:
    """Deal with an object that came before: filed ones are not needed, refused ones tried again."""
    if arrival.state == JobState.DONE and arrival.outcome == Outcome.FILED:
        forget(arrival)
        return
    if fetch is not None and arrival.team_id is None:
        Arrival.everything.filter(pk=arrival.pk).update(fetch=fetch, team=fetch.team)
    reopen(arrival)
