"""Two windows of time, and what was seen in each: one film of each patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min
from django.utils import timezone

from lucidray_clinic.analyses.models import ModelBundle, Reading
from lucidray_clinic.care.models import FilmStatistics, Reference
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.curation.filtering import signed_reports
from lucidray_clinic.curation.labeling import MEANING
from lucidray_clinic.reports.models import Reported

#: Days of the current window, and of the reference where nobody has chosen another.
CURRENT_DAYS, REFERENCE_DAYS = 28, 90

#: Readings of one window that are looked at, the latest.
MOST = 20_000


@dataclass(frozen=True)
class Window:
    """A span of time.

    Args:
        start: Its first moment.
        end: The first moment after it.
    """

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Seen:
    """One reading, without its maps.

    Args:
        patient: Id of the patient.
        case: Id of the case.
        made: When.
        findings: As `Reading.findings`.
        refused: Whether there is no result.
        referred: Whether the film was handed to a person.
    """

    patient: Any
    case: Any
    made: datetime
    findings: dict[str, dict[str, Any]]
    refused: bool
    referred: bool


def windows_of(bundle: ModelBundle | None, now: datetime | None = None) -> tuple[Window, Window]:
    """Return the reference window and the current one, which do not overlap.

    Args:
        bundle: The model; None: the films themselves.
        now: The end of the current window; None: this moment.

    Returns:
        The reference: as an administrator chose it, else the first `REFERENCE_DAYS` days in which
        the model read films here.
    """
    end = now or timezone.now()
    current = Window(end - timedelta(days=CURRENT_DAYS), end)
    chosen = Reference.objects.filter(bundle=bundle).first()
    if chosen is not None:
        return Window(chosen.start, min(chosen.end, current.start)), current
    began = min(_began(bundle) or current.start, current.start)
    return Window(began, min(began + timedelta(days=REFERENCE_DAYS), current.start)), current


def readings_in(bundle: ModelBundle, window: Window) -> list[Seen]:
    """Return the readings of a model in a window, the earliest first, one of each film.

    Args:
        bundle: The model.
        window: The window.
    """
    rows = Reading.objects.filter(
        bundle=bundle,
        created_at__gte=window.start,
        created_at__lt=window.end,
        case__deleted_at=None,
        instance__deleted_at=None,
    )
    columns = ("case__patient_id", "case_id", "created_at", "findings", "refusal", "refer")
    told = rows.order_by("-created_at").values_list("instance_id", *columns)[:MOST]
    by_film = {
        film: Seen(patient, case, made, _named(findings), refusal is not None, bool(refer))
        for film, patient, case, made, findings, refusal, refer in told
    }
    return sorted(by_film.values(), key=lambda one: one.made)


def films_in(window: Window) -> list[tuple[Any, FilmStatistics]]:
    """Return patient and statistics of the films of a window, the earliest first.

    Args:
        window: The window.
    """
    rows = FilmStatistics.objects.filter(
        instance__created_at__gte=window.start,
        instance__created_at__lt=window.end,
        instance__deleted_at=None,
    ).select_related("instance__case")
    found = sorted(rows.order_by("-instance__created_at")[:MOST], key=_came)
    return [(row.instance.case.patient_id, row) for row in found]


def agreements(seen: list[Seen]) -> Iterator[tuple[Any, bool]]:
    """Yield patient, and whether the signed report says all that the model says, for each case.

    What a signed report does not name is absent; what it calls possible is passed over.

    Args:
        seen: Readings of one model; refused and referred ones are passed over.
    """
    told = {one.case: one for one in seen if not one.refused and not one.referred}
    signed = signed_reports(list(told))
    said: dict[Any, dict[str, float | None]] = {case: {} for case in signed}
    for row in Reported.objects.filter(report__in=[one.pk for one in signed.values()]):
        said[row.case_id][row.finding] = MEANING[row.certainty]
    for case, known in said.items():
        pairs = [
            (each["positive"], known.get(name, 0.0))
            for name, each in told[case].findings.items()
            if each["positive"] is not None
        ]
        settled = [model == bool(reader) for model, reader in pairs if reader is not None]
        if settled:
            yield told[case].patient, all(settled)


def _began(bundle: ModelBundle | None) -> datetime | None:
    if bundle is None:
        rows = Instance.objects.aggregate(first=Min("created_at"))
    else:
        rows = Reading.objects.filter(bundle=bundle).aggregate(first=Min("created_at"))
    first: datetime | None = rows["first"]
    return first


def _named(findings: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in findings}


def _came(row: FilmStatistics) -> datetime:
    return row.instance.created_at
