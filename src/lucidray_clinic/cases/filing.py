"""Under which patient and case a film is filed, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import audit
from lucidray_clinic.errors import UploadRefused
from lucidray_clinic.patients.models import Identifier, Patient, Sex, folded

#: The register of Patient IDs in DICOM files.
REGISTER = "PID"


@dataclass(frozen=True)
class Destination:
    """Where somebody wants films to go.

    Args:
        team: The team.
        patient: The patient; None: as the files say.
        case: The case; None: by study, or one for all of `batch`.
        batch: One name for all that is sent together.
        despite: File it under this patient even if the file names another.
    """

    team: Team
    patient: Patient | None = None
    case: Case | None = None
    batch: UUID | None = None
    despite: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def patient_for(user: Any, where: Destination, tags: dict[str, Any]) -> Patient:
    """Return the patient of a film, added if the file brings a new one.

    Args:
        user: Who sends it.
        where: Where it is to go.
        tags: What the file says; empty for a picture.

    Raises:
        UploadRefused: Nobody is named, or the file names another patient.
    """
    number = tags.get("patient_number", "")
    chosen = where.case.patient if where.case is not None else where.patient
    if chosen is None and not number:
        raise UploadRefused(
            _("It does not say whose film it is. Choose the patient first."), "no_patient"
        )
    if chosen is None:
        return _by_number(user, where.team, tags)
    if number and not where.despite:
        _check_same(chosen, number)
    return chosen


def case_for(user: Any, where: Destination, patient: Patient, tags: dict[str, Any]) -> Case:
    """Return the case of a film, opened if there is none.

    Args:
        user: Who sends it.
        where: Where it is to go.
        patient: The film's patient.
        tags: What the file says.
    """
    if where.case is not None:
        return where.case
    study = tags.get("study_uid", "")
    of_patient = Case.objects.filter(patient=patient)
    known = of_patient.filter(study_uid=study).first() if study else None
    if known is None and not study and where.batch is not None:
        known = of_patient.filter(batch=where.batch, study_uid="").first()
    if known is not None:
        return known
    case = Case.objects.create(
        team=patient.team,
        patient=patient,
        study_uid=study,
        batch=where.batch,
        accession=tags.get("accession", ""),
        acquired_on=day(tags.get("acquired_on", "")),
        created_by=user,
        **where.values,
    )
    audit.record(user, "create", case)
    return case


def already_here(case: Case, facts: dict[str, Any]) -> Instance | None:
    """Return the film of the case that has these pixels, so that sending twice files once.

    Args:
        case: The case.
        facts: As the child told.
    """
    return case.instances.filter(pixels_sha256=facts["pixels_sha256"]).first()


def clashes(team: Team, facts: dict[str, Any]) -> list[dict[str, str]]:
    """Return remarks on films of the team that share an identifier and not the pixels.

    Args:
        team: The team.
        facts: As the child told.
    """
    uid = facts["tags"].get("sop_uid", "")
    same = Instance.everything.filter(case__team=team)
    found: list[dict[str, str]] = []
    if uid and same.filter(sop_uid=uid).exclude(pixels_sha256=facts["pixels_sha256"]).exists():
        text = "another film bears the same SOP Instance UID and shows other pixels"
        found.append({"code": "duplicate_uid", "text": text})
    if same.filter(pixels_sha256=facts["pixels_sha256"], deleted_at=None).exists():
        found.append({"code": "copy", "text": "the same pixels are filed in another case"})
    return found


def day(text: str) -> date | None:
    """Return a day as DICOM says it; None where it says none.

    Args:
        text: ``YYYY-MM-DD`` or empty.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _by_number(user: Any, team: Team, tags: dict[str, Any]) -> Patient:
    number = tags["patient_number"]
    known = Identifier.objects.filter(team=team, system=REGISTER, value=number)
    held = known.select_related("patient").first()
    if held is not None and held.patient.deleted_at is None:
        _check_same_person(held.patient, tags)
        return held.patient
    if held is not None:
        raise UploadRefused(
            _("Its patient has been deleted here. Bring the patient back first."), "deleted_patient"
        )
    return _new_patient(user, team, tags)


def _new_patient(user: Any, team: Team, tags: dict[str, Any]) -> Patient:
    sex = tags.get("sex", "")
    patient = Patient.objects.create(
        team=team,
        family_name=tags.get("family_name") or _("Not named"),
        given_name=tags.get("given_name", ""),
        birth_date=day(tags.get("birth_date", "")),
        sex=sex if sex in Sex.values else Sex.UNKNOWN,
        created_by=user,
    )
    number = Identifier(patient=patient, team=team, system=REGISTER, value=tags["patient_number"])
    try:
        with transaction.atomic():
            number.save()
    except IntegrityError:  # another upload was faster
        patient.delete()
        return Identifier.objects.get(
            team=team, system=REGISTER, value=tags["patient_number"]
        ).patient
    audit.record(user, "create", patient)
    return patient


def _check_same(chosen: Patient, number: str) -> None:
    known = set(chosen.identifiers.values_list("value", flat=True))
    if known and number not in known:
        raise UploadRefused(
            _("The file names another patient than the one chosen. Check, then confirm below."),
            "other_patient",
        )


def _check_same_person(known: Patient, tags: dict[str, Any]) -> None:
    """Refuse a number that two hospitals may have given to two people."""
    born, name = day(tags.get("birth_date", "")), tags.get("family_name", "")
    other_day = born is not None and known.birth_date is not None and born != known.birth_date
    if other_day and folded(name) != folded(known.family_name):
        raise UploadRefused(
            _("Its number is another person's here: neither name nor date of birth agree."),
            "other_person",
        )
