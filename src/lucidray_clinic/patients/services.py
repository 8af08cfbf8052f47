"""What can be done about patients; no function here sees a request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.models import Identifier, Patient, folded

#: What a form may change.
FIELDS = ("family_name", "given_name", "birth_date", "sex", "history")


def list_patients(user: Any, query: str = "") -> QuerySet[Patient]:
    """Return the patients that somebody may see, by name.

    Args:
        user: The person.
        query: Parts of names, a pseudonym or an identifier; empty: all.
    """
    rows = Patient.objects.visible_to(user).select_related("team")
    for word in folded(query).split():
        named = Identifier.objects.filter(value__iexact=word).values("patient_id")
        rows = rows.filter(
            Q(searchable__contains=word) | Q(pseudonym__iexact=word) | Q(pk__in=named)
        )
    return rows.order_by("family_name", "given_name", "pk")


def with_films(patients: list[Patient]) -> list[Patient]:
    """Add the count of cases and the date of the last one to some patients.

    Args:
        patients: Those of one page, so that a long list is not counted as a whole.
    """
    counted = Patient.everything.filter(pk__in=[one.pk for one in patients]).annotate(
        counted=Count("cases", filter=Q(cases__deleted_at=None)),
        latest=Max("cases__created_at", filter=Q(cases__deleted_at=None)),
    )
    known = {row.pk: row for row in counted}
    for one in patients:
        one.case_count, one.last_case = known[one.pk].counted, known[one.pk].latest
    return patients


def teams_to_add_to(user: Any) -> QuerySet[Team]:
    """Return the teams in which somebody may add patients.

    Args:
        user: The person.
    """
    return Team.objects.filter(pk__in=user.teams_with(Permission.EDIT_PATIENT))


@transaction.atomic
def open_patient(user: Any, key: UUID) -> Patient:
    """Return a patient, and note that it was looked at.

    Args:
        user: The person.
        key: The patient's id.

    Raises:
        Http404: There is none in the person's teams.
    """
    patient: Patient = fetch(Patient.objects.select_related("team"), user, key)
    audit.record(user, "view", patient)
    return patient


@transaction.atomic
def create_patient(user: Any, team: Team, values: dict[str, Any], number: str = "") -> Patient:
    """Add a patient.

    Args:
        user: The person.
        team: The patient's team.
        values: The fields of `FIELDS`.
        number: An identifier; empty: none.

    Raises:
        SiteError: The number belongs to another patient of the team.
        PermissionDenied: Not in this team.
    """
    _ask(user, Permission.EDIT_PATIENT, team)
    known = {name: value for name, value in values.items() if name in FIELDS}
    patient = Patient.objects.create(team=team, created_by=user, **known)
    audit.record(user, "create", patient)
    if number:
        _add_number(patient, "PID", number)
    return patient


@transaction.atomic
def update_patient(user: Any, key: UUID, version: int, values: dict[str, Any]) -> Patient:
    """Change a patient.

    Args:
        user: The person.
        key: The patient's id.
        version: The version that the person saw.
        values: Fields of `FIELDS`.

    Raises:
        Conflict: Somebody else saved in between.
    """
    patient: Patient = fetch(Patient, user, key, Permission.EDIT_PATIENT)
    changed = [name for name in FIELDS if name in values and values[name] != getattr(patient, name)]
    for name in changed:
        setattr(patient, name, values[name])
    patient.searchable = folded(f"{patient.family_name} {patient.given_name}")
    patient.save_version(version, [*changed, "searchable"])
    audit.record(user, "edit", patient, fields=changed)
    return patient


@transaction.atomic
def add_identifier(user: Any, key: UUID, system: str, number: str) -> None:
    """Add a number by which a register knows a patient.

    Args:
        user: The person.
        key: The patient's id.
        system: The register.
        number: The number there.

    Raises:
        SiteError: The number belongs to another patient of the team.
    """
    patient = fetch(Patient, user, key, Permission.EDIT_PATIENT)
    _add_number(patient, system, number)
    audit.record(user, "add identifier", patient)


@transaction.atomic
def remove_identifier(user: Any, key: UUID, identifier: UUID) -> None:
    """Remove a number of a patient.

    Args:
        user: The person.
        key: The patient's id.
        identifier: The identifier's id.
    """
    patient = fetch(Patient, user, key, Permission.EDIT_PATIENT)
    patient.identifiers.filter(pk=identifier).delete()
    audit.record(user, "remove identifier", patient)


@transaction.atomic
def delete_patient(user: Any, key: UUID) -> None:
    """Hide a patient with all cases; nothing is destroyed.

    Args:
        user: The person.
        key: The patient's id.
    """
    patient = fetch(Patient, user, key, Permission.DELETE)
    gone = {"deleted_at": timezone.now(), "deleted_by": user}
    hidden = patient.cases.filter(deleted_at=None).update(**gone)
    Patient.objects.filter(pk=patient.pk).update(**gone)
    audit.record(user, "delete", patient, cases=hidden)


@transaction.atomic
def restore_patient(user: Any, key: UUID) -> Patient:
    """Bring a hidden patient back, with the cases that were hidden with it.

    Args:
        user: The person.
        key: The patient's id.
    """
    rows = Patient.everything.filter(deleted_at__isnull=False, merged_into=None)
    patient = _deleted(user, rows, key)
    back = {"deleted_at": None, "deleted_by": None}
    shown = patient.cases(manager="everything").filter(deleted_at=patient.deleted_at)
    count = shown.update(**back)
    Patient.everything.filter(pk=key).update(**back)
    audit.record(user, "restore", patient, cases=count)
    return patient


def deleted_patients(user: Any) -> QuerySet[Patient]:
    """Return the hidden patients that somebody may bring back.

    Args:
        user: The person.
    """
    mine = Patient.everything.filter(team_id__in=user.teams_with(Permission.DELETE))
    gone = mine.filter(deleted_at__isnull=False, merged_into=None)
    return gone.select_related("team", "deleted_by").order_by("-deleted_at")


def recently_opened(user: Any, count: int = 8) -> list[Patient]:
    """Return the patients that somebody looked at last, the latest first.

    Args:
        user: The person.
        count: How many.
    """
    from lucidray_clinic.core.models import AuditEvent

    seen = AuditEvent.objects.filter(actor=user, action="view", object_type="patient")
    last = seen.order_by("-number").values_list("object_id", flat=True)[: count * 12]
    keys = list(dict.fromkeys(last))[:count]
    rows = {str(row.pk): row for row in Patient.objects.visible_to(user).filter(pk__in=keys)}
    return [rows[key] for key in keys if key in rows]


def _deleted(user: Any, rows: Any, key: UUID) -> Patient:
    from django.shortcuts import get_object_or_404

    mine = rows.filter(team_id__in=user.teams_with(Permission.DELETE))
    return get_object_or_404(mine, pk=key)


def _add_number(patient: Patient, system: str, number: str) -> None:
    row = Identifier(patient=patient, team=patient.team, system=system, value=number.strip())
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise SiteError(
            _("This number already belongs to a patient of the team. Search for it first."), "taken"
        ) from error


def _ask(user: Any, permission: Permission, team: Team) -> None:
    from django.core.exceptions import PermissionDenied

    if not user.may(permission, team):
        raise PermissionDenied
