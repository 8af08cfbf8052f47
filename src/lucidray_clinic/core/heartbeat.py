"""Signs of life of a worker: a lease lasts as long as the work does, however slow that is.

A worker that is killed gives none, so that its lease runs out and the next one takes its job up.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import Error, connection
from django.utils import timezone

from lucidray_clinic.core.jobs import LEASE_SECONDS, Job, held, renew

#: For how long a worker may be at one job; after that it counts as hung, and its lease runs out.
HUNG_SECONDS = 1800

#: Jobs of this process whose end nobody could note, as the database was away.
_BROKEN_OFF: deque[Job] = deque()


@contextmanager
def kept_alive(job: Job, seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Renew a job's lease, three times while it lasts, for as long as the block runs.

    What breaks the block off is a job without an end; `hand_back` gives it to the next worker.

    Args:
        job: As `jobs.claim` returned it.
        seconds: For how long the lease is renewed each time.
    """
    ended = threading.Event()
    pulse = threading.Thread(target=_beat, args=(job, seconds, ended), name="lease", daemon=True)
    pulse.start()
    try:
        yield
    except Exception:
        _BROKEN_OFF.append(job)
        raise
    finally:
        ended.set()
        pulse.join(seconds)


def hand_back() -> bool:
    """Free the jobs of this process that broke off, so that nobody waits for their leases.

    Returns:
        False: this is no work in itself.

    Raises:
        django.db.Error: The database is still away; they are freed another time.
    """
    while _BROKEN_OFF:
        past = timezone.now() - timedelta(seconds=1)
        held(_BROKEN_OFF[0]).update(lease_until=past)
        _BROKEN_OFF.popleft()
    return False


def _beat(job: Job, seconds: float, ended: threading.Event) -> None:
    hung = time.monotonic() + HUNG_SECONDS
    try:
        while not ended.wait(seconds / 3) and time.monotonic() < hung:
            if not _renewed(job, seconds):
                break
    finally:
        connection.close()  # that of this thread


def _renewed(job: Job, seconds: float) -> bool:
    """Renew a lease; it may outlast a database that is away for a moment."""
    try:
        return renew(job, seconds)
    except Error:
        connection.close()
        return True
