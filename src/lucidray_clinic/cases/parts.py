"""What a case is for a program: this app's own part, and what apps above it add.

``GET /api/v1/cases/{case}`` answers with all parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import reverse

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases import services
from lucidray_clinic.cases.models import Case, Instance

Part = Callable[[Any, Case], Any]
_PARTS: dict[str, Part] = {}


def add_case_part(name: str, part: Part) -> None:
    """Let an app add to what a case is, from its ``ready``.

    Args:
        name: The key in the answer, for example ``"boxes"``.
        part: Takes the person and the case; returns what JSON can hold.
    """
    _PARTS[name] = part


def case_as_json(user: Any, case: Case) -> dict[str, Any]:
    """Return a case with all its parts.

    Args:
        user: The person who asks.
        case: The case, with films, as of `services.open_case`.
    """
    own = {
        "id": str(case.pk),
        "title": str(case),
        "patient": {
            "id": str(case.patient_id),
            "label": patient_label(user, case),
            "age_years": case.age_years,
        },
        "version": case.version,
        "status": case.status,
        "read_first": case.read_first,
        "instances": [instance_as_json(film) for film in case.films],
        "priors": [_prior(prior) for prior in services.priors_of(user, case)],
        "permissions": sorted(user.permissions_in(case)),
    }
    return own | {name: part(user, case) for name, part in _PARTS.items()}


def instance_as_json(film: Instance) -> dict[str, Any]:
    """Return a film without its pixels.

    Args:
        film: The film.
    """
    return {
        "id": str(film.pk),
        "name": film.name,
        "media_type": film.media_type,
        "url": reverse("api-1:instance_file", args=[film.pk]),
        "sha256": film.sha256,
        "rows": film.rows,
        "columns": film.columns,
        "bits": film.bits,
        "lossy": film.lossy,
        "spacing_mm": film.spacing_mm,
        "view_position": film.view_position,
        "acquired": film.acquired_on.isoformat() if film.acquired_on else None,
        "remarks": film.remarks,
    }


def patient_label(user: Any, case: Case) -> str:
    """Return what a patient is called before somebody: a name only where names may be seen.

    Args:
        user: The person.
        case: A case of the patient.
    """
    named = user.may(Permission.VIEW_PATIENT, case)
    opened = case.patient_id in user.emergency_patients(Permission.VIEW_PATIENT)
    return case.patient.name if named or opened else case.patient.pseudonym


def _prior(case: Case) -> dict[str, Any]:
    return {
        "case": str(case.pk),
        "date": case.shown_at.date().isoformat(),
        "instances": [instance_as_json(film) for film in case.films],
    }
