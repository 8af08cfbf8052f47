"""The queue of shadows: every new film, read by the model in the shadow and the one beside it.

It gives way: while a film waits that a person asked for, no shadow is read.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray.errors import LucidRayError
from lucidray_clinic.analyses.inference import Said, judge_file
from lucidray_clinic.analyses.models import InferenceRun, ModelBundle, RunState
from lucidray_clinic.care.models import Shadow, ShadowReading, ShadowState
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core import jobs
from lucidray_clinic.core.heartbeat import kept_alive

log = logging.getLogger(__name__)

#: Films that are put on the list at once.
BATCH = 50


def work_once() -> bool:
    """Read one film in the shadow.

    Returns:
        Whether there was one.
    """
    if _somebody_waits():
        return False
    job = _claim()
    if job is None and list_films():
        job = _claim()
    if job is not None:
        with kept_alive(job):
            work_on(job)
    return job is not None


def list_films() -> int:
    """Put films on the list that a running shadow has not read.

    Returns:
        How many readings that makes.
    """
    made = 0
    for shadow in Shadow.objects.filter(state=ShadowState.RUNNING).select_related(
        "bundle", "beside"
    ):
        for bundle in (shadow.bundle, shadow.beside):
            made += _list(bundle, shadow)
    return made


def work_on(job: ShadowReading) -> bool:
    """Do a leased reading.

    Args:
        job: The reading.

    Returns:
        Whether it was made and kept.
    """
    try:
        said = judge_file(storage.file_path(job.instance_id), job.bundle)
    except (LucidRayError, OSError) as error:
        told = str(error) if isinstance(error, LucidRayError) else _("The film's file is gone.")
        jobs.fail(job, told, jobs.pause_after(job))
        return False
    except Exception as error:
        log.exception("a shadow failed: %s", type(error).__name__)
        jobs.fail(job, _("The model failed on this film."), jobs.pause_after(job))
        return False
    return jobs.finish(job, **_columns(job, said))


def _columns(job: ShadowReading, said: Said) -> dict[str, Any]:
    return {
        "image_sha256": said.image_sha256,
        "pixels_sha256": job.instance.pixels_sha256,
        "refusal": said.refusal,
        "findings": said.findings,
        "refer": said.refer,
    }


def _claim() -> ShadowReading | None:
    rows = ShadowReading.objects.filter(instance__deleted_at=None)
    rows = rows.select_related("instance", "bundle")
    job: ShadowReading | None = jobs.claim(
        jobs.open_jobs(rows), str(_("Three workers died on this film."))
    )
    return job


def _somebody_waits() -> bool:
    waiting = InferenceRun.objects.filter(state=RunState.WAITING, not_before__lte=timezone.now())
    return waiting.exists()


@transaction.atomic
def _list(bundle: ModelBundle, shadow: Shadow) -> int:
    read = ShadowReading.objects.filter(bundle=bundle).values("instance_id")
    films = Instance.objects.filter(
        created_at__gte=shadow.films_since, case__deleted_at=None
    ).exclude(pk__in=read)
    rows = [
        ShadowReading(instance_id=film, team_id=team, bundle=bundle)
        for film, team in films.order_by("created_at").values_list("pk", "case__team_id")[:BATCH]
    ]
    ShadowReading.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)
