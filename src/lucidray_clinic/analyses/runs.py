"""Readings on the server: asked for once, done once, whatever dies in between.

A run is leased to whoever works on it. Where the lease ends without a result, the next worker
takes the run up; a result counts only while its lease does, so there is never a second one.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from lucidray.errors import LucidRayError
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.inference import Said, judge_file
from lucidray_clinic.analyses.keeping import film_of_case, keep_from_server
from lucidray_clinic.analyses.models import InferenceRun, ModelBundle, Reading, RunState
from lucidray_clinic.analyses.revealing import need_revealed
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core import jobs
from lucidray_clinic.core.heartbeat import kept_alive
from lucidray_clinic.errors import SiteError

log = logging.getLogger(__name__)


def read_on_server(user: Any, case: UUID, instance: UUID, digest: str) -> InferenceRun:
    """Have a film read here and now.

    Args:
        user: Who asks.
        case: The case's id.
        instance: The film's id.
        digest: Of the bundle.

    Returns:
        The run: done with its reading, or, where another process works on it, still running.

    Raises:
        SiteError: It could not be read.
    """
    film = film_of_case(user, case, instance)
    need_revealed(user, film.case)
    bundle = shelf.bundle_by_digest(digest, retired=False)
    run = ask(user, film, bundle)
    claimed = claim(run.pk) if run.state != RunState.DONE else None
    if claimed is not None:
        work_on(claimed)
    run = InferenceRun.objects.select_related("reading__bundle").get(pk=run.pk)
    if run.error and run.state in (RunState.FAILED, RunState.WAITING):
        raise SiteError(run.error, "reading_failed")
    return run


def ask(user: Any, film: Instance, bundle: ModelBundle) -> InferenceRun:
    """Put a run on the list, once for each film and bundle.

    Args:
        user: Who asks; None: nobody.
        film: The film.
        bundle: The bundle.

    Returns:
        The run; a failed one starts anew.
    """
    if bundle.task != "classification":
        raise SiteError(_("This model judges no findings."), "wrong_task")
    defaults = {"asked_by": user, "urgency": film.case.urgency}
    try:
        with transaction.atomic():
            run, _made = InferenceRun.objects.get_or_create(
                instance=film, bundle=bundle, defaults=defaults
            )
    except IntegrityError:
        run = InferenceRun.objects.get(instance=film, bundle=bundle)
    if jobs.again(run):
        run.refresh_from_db()
    return run


def claim(key: UUID | None = None) -> InferenceRun | None:
    """Lease the most urgent run that waits, or whose worker has died.

    Args:
        key: That run and no other; None: any.

    Returns:
        The run; None: there is none to work on.
    """
    run: InferenceRun | None = jobs.claim(_open_runs(key), _("Three workers died on this film."))
    return run


def work_on(run: InferenceRun) -> Reading | None:
    """Do a leased run.

    Args:
        run: As `claim` returned it.

    Returns:
        The reading; None: it failed, or the lease was lost meanwhile.
    """
    with kept_alive(run):
        said = _judged(run)
        return None if said is None else finish(run, said)


def _judged(run: InferenceRun) -> Said | None:
    """Return what the bundle says of a run's film; None: it failed, and that is noted."""
    try:
        return judge_file(storage.file_path(run.instance_id), run.bundle)
    except (LucidRayError, OSError) as error:
        fail(run, str(error) if isinstance(error, LucidRayError) else _("The film's file is gone."))
    except Exception as error:
        log.exception("a run failed: %s", type(error).__name__)
        fail(run, _("The model failed on this film."))
    return None


@transaction.atomic
def finish(run: InferenceRun, said: Said) -> Reading | None:
    """Keep the result of a run, if its lease still holds.

    Args:
        run: As `claim` returned it.
        said: What the bundle said.

    Returns:
        The reading; None: another worker has the run by now.
    """
    if not jobs.finish(run):
        return None
    reading = keep_from_server(run.asked_by, run.instance, run.bundle, said)
    InferenceRun.objects.filter(pk=run.pk).update(reading=reading)
    return reading


def fail(run: InferenceRun, error: str) -> None:
    """Note that a run failed; it is tried again a little later, and given up after three tries.

    Args:
        run: As `claim` returned it.
        error: Why, for people.
    """
    jobs.fail(run, error, jobs.pause_after(run))


def work_once() -> bool:
    """Do one run of the list.

    Returns:
        Whether there was one.
    """
    run = claim()
    if run is not None:
        work_on(run)
    return run is not None


def _open_runs(key: UUID | None) -> Any:
    rows = jobs.open_jobs(InferenceRun.objects.filter(instance__deleted_at=None), now_only=not key)
    rows = rows.select_related("instance__case", "bundle", "asked_by")
    return rows if key is None else rows.filter(pk=key)
