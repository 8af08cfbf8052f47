"""What can be done about cases and films; no function here sees a request."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases import filing, storage
from lucidray_clinic.cases.models import Case, Instance, Status
from lucidray_clinic.core import audit
from lucidray_clinic.core.few import few_keys
from lucidray_clinic.patients.models import Patient, folded
from lucidray_clinic.patients.timeline import Moment

#: What a form may change.
FIELDS = ("title", "question", "acquired_on", "urgency", "status", "read_first")


def list_cases(
    user: Any, status: str = "", urgency: str = "", query: str = "", day: str = ""
) -> QuerySet[Case]:
    """Return the cases that somebody may see, newest first.

    Args:
        user: The person.
        status: A `Status`; ``"open"``: all but reported; empty: all.
        urgency: An `Urgency`; empty: all.
        query: Parts of a patient's name, where the person may see names, or of a pseudonym.
        day: The day on which they came, ``YYYY-MM-DD``; empty: any.
    """
    rows = Case.objects.visible_to(user).select_related("patient", "team")
    if status == "open":
        rows = rows.exclude(status=Status.REPORTED)
    elif status in Status.values:
        rows = rows.filter(status=status)
    if urgency.isdigit():
        rows = rows.filter(urgency=int(urgency))
    came = filing.day(day)
    if came is not None:
        start = timezone.make_aware(datetime.combine(came, time()))
        rows = rows.filter(created_at__gte=start, created_at__lt=start + timedelta(days=1))
    if query:
        rows = rows.filter(_of_patient(user, query))
    return rows.order_by("-created_at")


def worklist(user: Any) -> QuerySet[Case]:
    """Return the cases that wait to be read, the most urgent and oldest first.

    Args:
        user: The person.
    """
    rows = Case.objects.visible_to(user, Permission.READ).exclude(status=Status.REPORTED)
    return rows.select_related("patient", "team").order_by("urgency", "created_at")


def with_films(cases: list[Case]) -> list[Case]:
    """Add films, and the first of them, to some cases, in one query.

    Args:
        cases: Those of one page.
    """
    by_case: dict[UUID, list[Instance]] = {case.pk: [] for case in cases}
    for film in Instance.objects.filter(case_id__in=by_case).order_by("created_at", "pk"):
        by_case[film.case_id].append(film)
    for case in cases:
        case.films = by_case[case.pk]
    return cases


@transaction.atomic
def open_case(user: Any, key: UUID, action: str = "view") -> Case:
    """Return a case, and note that it was looked at.

    Args:
        user: The person.
        key: The case's id.
        action: What the audit calls it.

    Raises:
        Http404: There is none in the person's teams.
    """
    case: Case = fetch(Case.objects.select_related("patient", "team"), user, key)
    audit.record(user, action, case)
    return with_films([case])[0]


@transaction.atomic
def begin_reading(user: Any, key: UUID) -> Case:
    """Return a case for the viewer; a reader who opens a new one makes it a case being read.

    Args:
        user: The person.
        key: The case's id.

    Raises:
        Http404: There is none in the person's teams.
    """
    case = open_case(user, key, "open viewer")
    if case.status == Status.NEW and user.may(Permission.READ, case):
        case.status = Status.READING
        case.save_version(case.version, ["status"])
    return case


def priors_of(user: Any, case: Case) -> list[Case]:
    """Return the earlier and later cases of the same patient, the latest first.

    Args:
        user: The person.
        case: The case.
    """
    rows = Case.objects.visible_to(user).filter(patient=case.patient_id).exclude(pk=case.pk)
    return with_films(list(rows.order_by("-acquired_on", "-created_at")[:20]))


@transaction.atomic
def update_case(user: Any, key: UUID, version: int, values: dict[str, Any]) -> Case:
    """Change a case.

    Args:
        user: The person.
        key: The case's id.
        version: The version that the person saw.
        values: Fields of `FIELDS`.

    Raises:
        Conflict: Somebody else saved in between.
    """
    case: Case = fetch(Case, user, key, Permission.EDIT_CASE)
    changed = [name for name in FIELDS if name in values and values[name] != getattr(case, name)]
    for name in changed:
        setattr(case, name, values[name])
    case.save_version(version, changed)
    audit.record(user, "edit", case, fields=changed)
    return case


@transaction.atomic
def delete_case(user: Any, key: UUID) -> UUID:
    """Hide a case; nothing is destroyed.

    Args:
        user: The person.
        key: The case's id.

    Returns:
        The patient's id.
    """
    case = fetch(Case, user, key, Permission.DELETE)
    Case.objects.filter(pk=key).update(deleted_at=timezone.now(), deleted_by=user)
    audit.record(user, "delete", case)
    return case.patient_id


@transaction.atomic
def restore_case(user: Any, key: UUID) -> Case:
    """Bring a hidden case back.

    Args:
        user: The person.
        key: The case's id.
    """
    case = get_object_or_404(deleted_cases(user), pk=key)
    Case.everything.filter(pk=key).update(deleted_at=None, deleted_by=None)
    audit.record(user, "restore", case)
    return case


def deleted_cases(user: Any) -> QuerySet[Case]:
    """Return the hidden cases, of patients that are not hidden, that somebody may bring back.

    Args:
        user: The person.
    """
    mine = Case.everything.filter(team_id__in=user.teams_with(Permission.DELETE))
    gone = mine.filter(deleted_at__isnull=False, patient__deleted_at=None)
    return gone.select_related("patient", "team", "deleted_by").order_by("-deleted_at")


@transaction.atomic
def delete_instance(user: Any, key: UUID) -> Case:
    """Hide one film of a case.

    Args:
        user: The person.
        key: The film's id.
    """
    film: Instance = fetch(Instance.objects.select_related("case"), user, key, Permission.DELETE)
    Instance.objects.filter(pk=key).update(deleted_at=timezone.now(), deleted_by=user)
    audit.record(user, "delete", film)
    return film.case


@transaction.atomic
def open_file(user: Any, key: UUID, action: str = "view") -> tuple[Instance, Path]:
    """Return a film and where its file lies, and note that it was opened.

    Args:
        user: The person.
        key: The film's id.
        action: What the audit calls it: ``"view"`` or ``"download"``.

    Raises:
        Http404: There is none in the person's teams, or its case is deleted.
    """
    film = _film(user, key)
    audit.record(user, action, film)
    return film, storage.file_path(film.pk)


def picture_of(user: Any, key: UUID) -> Path:
    """Return where the small picture of a film lies.

    Args:
        user: The person.
        key: The film's id.

    Raises:
        Http404: There is none in the person's teams, or its case is deleted.
    """
    return storage.picture_path(_film(user, key).pk)


def tell_cases(user: Any, patient: Patient) -> list[Moment]:
    """Return a patient's cases for the patient's timeline.

    Args:
        user: The person who looks.
        patient: The patient.
    """
    rows = Case.objects.visible_to(user).filter(patient=patient).order_by("-created_at")[:200]
    cases = with_films(list(rows))
    return [Moment(case.shown_at, "cases/moment.html", case) for case in cases]


def _film(user: Any, key: UUID) -> Instance:
    film: Instance = fetch(Instance.objects.select_related("case"), user, key)
    if film.case.deleted_at is not None:
        raise Http404
    return film


def _of_patient(user: Any, query: str) -> Q:
    named = Q(pseudonym=query.strip().upper())
    words = folded(query).split()
    if words and user.may(Permission.VIEW_PATIENT):
        names = Q(team_id__in=user.teams_with(Permission.VIEW_PATIENT))
        for word in words:
            names &= Q(searchable__contains=word)
        named |= names
    patients = Patient.everything.filter(named)
    keys = few_keys(patients)
    return Q(patient__in=patients.values("pk") if keys is None else keys)
