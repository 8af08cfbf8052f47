"""Whole studies from an archive by DICOMweb: looked for by accession number, fetched as a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _
from pydicom.dataset import Dataset

from lucidray.dicom.files import to_bytes
from lucidray.dicom.network import Received
from lucidray.dicom.network.node_settings import IMAGES
from lucidray.errors import LucidRayError
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.heartbeat import kept_alive
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import receiving
from lucidray_clinic.pacs.models import Peer, StudyImport
from lucidray_clinic.pacs.sending import archive_of


@dataclass(frozen=True)
class Study:
    """A study that an archive has.

    Args:
        uid: Its UID.
        patient: Name and number, as the archive says them.
        day: When it was made.
        description: What it is called.
        modalities: What it holds.
        images: How many objects.
    """

    uid: str
    patient: str
    day: str
    description: str
    modalities: str
    images: str


def find(user: Any, peer: Peer, accession: str) -> list[Study]:
    """Look for studies by accession number.

    Args:
        user: Somebody who may upload.
        peer: The archive.
        accession: The number, without wildcards.

    Raises:
        SiteError: The archive does not answer, or the number has a wildcard.
        PermissionDenied: The person may not upload.
    """
    if not user.may(Permission.UPLOAD):
        raise PermissionDenied
    number = accession.strip()
    if not number or set(number) & set("*?\\"):
        raise SiteError(_("Enter one whole accession number."), "accession")
    try:
        found = archive_of(peer).find_studies(AccessionNumber=number)
    except LucidRayError as error:
        raise SiteError(str(error), "archive") from error
    audit.record(user, "search archive", peer, found=len(found))
    return [_study(each) for each in found]


@transaction.atomic
def ask(user: Any, peer: Peer, team: Team, study: str) -> StudyImport:
    """Have a study fetched.

    Args:
        user: Somebody who may upload to the team.
        peer: The archive.
        team: Where it goes.
        study: The study's UID.

    Returns:
        The import; the one under way, if there is one.
    """
    if not user.may(Permission.UPLOAD, team):
        raise PermissionDenied
    same = StudyImport.objects.filter(peer=peer, team=team, study_uid=study)
    running = same.filter(state__in=[JobState.WAITING, JobState.RUNNING]).first()
    if running is not None:
        return running
    row = StudyImport.objects.create(
        peer=peer, team=team, study_uid=study, asked_by=user, urgency=1
    )
    audit.record(user, "import study", row)
    return row


def fetch_once() -> bool:
    """Fetch one study.

    Returns:
        Whether there was one.
    """
    rows = StudyImport.everything.select_related("peer", "team")
    job = jobs.claim(jobs.open_jobs(rows), _("Three workers died on this study."))
    if job is not None:
        with kept_alive(job):
            _fetch_or_fail(job)
    return job is not None


def _fetch_or_fail(job: StudyImport) -> None:
    try:
        _fetch(job)
    except (LucidRayError, OSError) as error:
        told = str(error) if isinstance(error, LucidRayError) else _("The disk is full.")
        jobs.fail(job, told, jobs.pause_after(job))


def _fetch(job: StudyImport) -> None:
    archive = archive_of(job.peer)
    found = archive.find_instances(job.study_uid)
    wanted = [one for one in found if str(one.SOPClassUID) in IMAGES]
    if not found:
        raise SiteError(_("The archive does not have this study any more."), "gone")
    counted = {"total": len(wanted), "skipped": len(found) - len(wanted)}
    for number, one in enumerate(wanted):
        if not jobs.renew(job, fetched=number, **counted):
            return
        image = archive.fetch(job.study_uid, one.SeriesInstanceUID, one.SOPInstanceUID)
        uid = str(image.SOPInstanceUID)
        receiving.keep(Received(to_bytes(image), uid, job.peer.ae_title), job.peer, job)
    jobs.finish(job, fetched=len(wanted), **counted)


def _study(told: Dataset) -> Study:
    names = (str(told.get(name) or "") for name in ("PatientName", "PatientID"))
    day = str(told.get("StudyDate") or "")
    kinds = told.get("ModalitiesInStudy") or ""
    return Study(
        uid=str(told.StudyInstanceUID),
        patient=", ".join(part.replace("^", " ").strip() for part in names if part),
        day=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 else day,
        description=str(told.get("StudyDescription") or ""),
        modalities=kinds if isinstance(kinds, str) else ", ".join(map(str, kinds)),
        images=str(told.get("NumberOfStudyRelatedInstances") or ""),
    )
