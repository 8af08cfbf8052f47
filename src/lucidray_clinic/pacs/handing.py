"""Results that a person sends: a model's reading, or a signed report."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.analyses.telling import readings_of
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import services, traffic
from lucidray_clinic.pacs.models import Delivery, Peer
from lucidray_clinic.reports.models import Report
from lucidray_clinic.reports.services import report_of


@transaction.atomic
def send_report(user: Any, key: UUID, peer: UUID) -> Delivery:
    """Put a signed report on its way.

    Args:
        user: Somebody who may sign.
        key: The case's id.
        peer: Id of the archive.

    Raises:
        SiteError: It is not signed, or no film of the case can be referred to.
    """
    case: Case = fetch(Case, user, key, Permission.SIGN)
    report = report_of(case)
    if report is None:
        raise Http404
    if not report.is_signed:
        raise SiteError(_("Only a signed report can be sent."), "unsigned")
    return _send(user, _receiver(peer), _film_of(report), report=report, reading=None)


@transaction.atomic
def send_reading(user: Any, key: UUID, reading: UUID, peer: UUID) -> Delivery:
    """Put what a model said on its way, unsigned.

    Args:
        user: Somebody who may edit the case.
        key: The case's id.
        reading: The reading's id.
        peer: Id of the archive.

    Raises:
        Http404: The reading is not of this case, or not revealed to this person yet.
    """
    case: Case = fetch(Case, user, key, Permission.EDIT_CASE)
    row = get_object_or_404(readings_of(user, case), pk=reading)
    return _send(user, _receiver(peer), row.instance, report=None, reading=row)


def section(user: Any, case: Case) -> dict[str, Any] | None:
    """Return what the page of a case shows of its traffic; None: nothing for this person.

    Args:
        user: The person.
        case: The case.
    """
    may_send, may_fetch = user.may(Permission.EDIT_CASE, case), user.may(Permission.UPLOAD, case)
    receivers = list(services.receivers()) if may_send else []
    archives = list(services.web_peers()) if may_fetch and case.accession else []
    deliveries = list(traffic.deliveries_of_case(case)) if may_send or may_fetch else []
    if not (receivers or archives or deliveries):
        return None
    dicom = {film.pk for film in case.instances.filter(media_type="application/dicom")}
    readings = [one for one in readings_of(user, case) if one.instance_id in dicom]
    return {
        "case": case,
        "deliveries": deliveries,
        "receivers": receivers if readings else [],
        "readings": readings,
        "archives": archives,
    }


def report_section(user: Any, case: Case) -> dict[str, Any] | None:
    """Return what the page of a report shows: where it went, and where it can go.

    Args:
        user: The person.
        case: The case.
    """
    report = report_of(case)
    if report is None or not report.is_signed or not user.may(Permission.SIGN, case):
        return None
    receivers = list(services.receivers())
    sent = list(report.deliveries.select_related("peer"))
    if not receivers and not sent:
        return None
    return {"case": case, "receivers": receivers, "deliveries": sent}


def _receiver(key: UUID) -> Peer:
    return get_object_or_404(services.receivers(), pk=key)


def _film_of(report: Report) -> Instance:
    """Return the film that a report is about: the one that was read, or else the first frontal."""
    films = report.case.instances.filter(deleted_at=None, media_type="application/dicom")
    reading = report.reading
    if reading is not None and films.filter(pk=reading.instance_id).exists():
        return films.get(pk=reading.instance_id)
    frontal = [film for film in films if not film.has_remark("lateral")]
    if not frontal:
        raise SiteError(
            _("The case has no DICOM film, so that no archive can hold its report."), "no_film"
        )
    return frontal[0]


def _send(
    user: Any, peer: Peer, film: Instance, *, report: Report | None, reading: Reading | None
) -> Delivery:
    row, made = Delivery.objects.get_or_create(
        report=report,
        reading=reading,
        peer=peer,
        defaults={
            "team": film.case.team,
            "instance": film,
            "asked_by": user,
            "urgency": 1,
            "software": version("lucidray"),
        },
    )
    if not made:
        Delivery.everything.filter(pk=row.pk, state=JobState.DONE).update(state=JobState.FAILED)
        jobs.again(row, seen_at=None)
    audit.record(user, "ask to send", row)
    return row
