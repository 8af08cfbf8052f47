"""Jobs: rows that somebody works on under a lease, so that each is done once, whatever dies.

Whoever works on a job holds a lease; where that ends without a result, the next worker takes the
job up. A result counts only while its lease does, so there is never a second one.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: Seconds that a worker may be silent.
LEASE_SECONDS = 90

#: Tries before a job is given up.
MAX_ATTEMPTS = 3


class JobState(models.TextChoices):
    """How far a job has come."""

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class Job(models.Model):
    """A row that is to be worked on; smaller urgencies first, then the older."""

    state = models.CharField(
        _("state"), max_length=8, choices=JobState.choices, default=JobState.WAITING
    )
    urgency = models.PositiveSmallIntegerField(_("urgency"), default=2)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    not_before = models.DateTimeField(default=timezone.now)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    worker = models.CharField(max_length=80, blank=True)
    error = models.CharField(_("error"), max_length=300, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


Some = TypeVar("Some", bound=Job)


def open_jobs(rows: Any, *, now_only: bool = True) -> Any:
    """Return the jobs that wait, or whose worker has died, the most urgent first.

    Args:
        rows: A query of jobs.
        now_only: Leave out those that are to wait a little longer.
    """
    now, waiting = timezone.now(), Q(state=JobState.WAITING)
    if now_only:
        waiting &= Q(not_before__lte=now)
    dead = Q(state=JobState.RUNNING, lease_until__lt=now)
    return rows.filter(waiting | dead).order_by("urgency", "created_at")


def claim(
    rows: Any, died: str, *, seconds: float = LEASE_SECONDS, tries: int = MAX_ATTEMPTS
) -> Any | None:
    """Lease the first of some open jobs.

    Args:
        rows: As of `open_jobs`.
        died: What is told of a job that is given up because its workers died.
        seconds: How long the worker may be silent.
        tries: After how many a job is given up.

    Returns:
        The job; None: there is none to work on.
    """
    for _attempt in range(8):
        job = rows.first()
        if job is None:
            return None
        if job.attempts >= tries:
            _give_up(job, died)
        elif _lease(job, seconds):
            return job
    return None


def held(job: Job) -> Any:
    """Return a query of a job while it is still its worker's, of nothing otherwise.

    Args:
        job: As `claim` returned it.
    """
    rows = type(job)._base_manager.filter(pk=job.pk, lease=job.lease)
    return rows.filter(state=JobState.RUNNING)


def finish(job: Job, **values: Any) -> bool:
    """Note that a job is done, in the transaction of its result.

    Args:
        job: As `claim` returned it.
        values: More that is to be written to its row.

    Returns:
        False where another worker has the job by now: nothing may be kept then.
    """
    done = {"state": JobState.DONE, "finished_at": timezone.now(), "error": "", "lease": None}
    return bool(held(job).update(**done, **values))


def fail(job: Job, error: str, pause: timedelta | None, **values: Any) -> bool:
    """Note that a job failed.

    Args:
        job: As `claim` returned it.
        error: Why, for people; no names.
        pause: After how long it is tried again; None: it is given up.
        values: More that is to be written to its row.

    Returns:
        Whether the job was still the worker's.
    """
    now = timezone.now()
    written = held(job).update(
        state=JobState.FAILED if pause is None else JobState.WAITING,
        error=error[:300],
        lease=None,
        lease_until=None,
        not_before=now + (pause or timedelta()),
        finished_at=now if pause is None else None,
        **values,
    )
    return bool(written)


def pause_after(job: Job, tries: int = MAX_ATTEMPTS) -> timedelta | None:
    """Return how long to wait after a failed try, each time four times longer; None: no more.

    Args:
        job: As `claim` returned it.
        tries: After how many a job is given up.
    """
    return None if job.attempts >= tries else timedelta(seconds=5 * 4**job.attempts)


def renew(job: Job, seconds: float = LEASE_SECONDS, **values: Any) -> bool:
    """Say that a worker is alive.

    Args:
        job: As `claim` returned it.
        seconds: For how long.
        values: More that is to be written to its row, such as how far it is.

    Returns:
        Whether the job is still the worker's.
    """
    until = timezone.now() + timedelta(seconds=seconds)
    return bool(held(job).update(lease_until=until, **values))


def again(job: Job, **values: Any) -> bool:
    """Let a job that failed start anew.

    Args:
        job: The job.
        values: More that is to be written to its row.

    Returns:
        Whether it had failed.
    """
    failed = type(job)._base_manager.filter(pk=job.pk, state=JobState.FAILED)
    fresh = {"state": JobState.WAITING, "attempts": 0, "error": "", "finished_at": None}
    return bool(failed.update(**fresh, not_before=timezone.now(), **values))


def release_dead(model: type[Job]) -> int:
    """End the leases of workers of this machine that are no more, so that nobody waits for them.

    Args:
        model: A model of jobs.

    Returns:
        How many jobs that frees.
    """
    name = f"{socket.gethostname()}:"
    rows = model._base_manager.filter(state=JobState.RUNNING, worker__startswith=name)
    dead = [job.pk for job in rows if not _alive(job.worker.removeprefix(name))]
    return int(rows.filter(pk__in=dead).update(lease_until=timezone.now() - timedelta(seconds=1)))


def _alive(process: str) -> bool:
    """Tell whether a process of this machine other than this one may still be at work."""
    if not process.isdigit() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lease(job: Job, seconds: float) -> bool:
    """Take a job if nobody has taken it since it was looked up."""
    rows = type(job)._base_manager
    before = rows.filter(pk=job.pk, state=job.state, lease=job.lease)
    lease, now = uuid4(), timezone.now()
    taken = before.update(
        state=JobState.RUNNING,
        lease=lease,
        lease_until=now + timedelta(seconds=seconds),
        worker=f"{socket.gethostname()}:{os.getpid()}"[:80],
        attempts=F("attempts") + 1,
    )
    job.lease, job.attempts, job.state = lease, job.attempts + 1, JobState.RUNNING
    return bool(taken)


def _give_up(job: Job, died: str) -> None:
    type(job)._base_manager.filter(pk=job.pk, state=job.state, lease=job.lease).update(
        state=JobState.FAILED,
        lease=None,
        finished_at=timezone.now(),
        error=job.error or died,
    )
