"""Finding cases by what models, readers and reports said of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case as Case_
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet, When
from django.db.models.functions import (
    Coalesce,
    ExtractDay,
    ExtractMonth,
    ExtractYear,
    TruncDate,
)
from django.utils import timezone

from lucidray_clinic.analyses.models import Called, Reading
from lucidray_clinic.annotations.models import Box, FindingDecision
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.few import few_keys
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.reports.models import Report, Reported

#: Certainties of a report that count as present.
PRESENT = ("present", "probable")


@dataclass(frozen=True)
class Filters:
    """What cases are wanted; what is empty does not matter.

    Args:
        called: Finding that a model called present.
        reported: Finding that a signed report names as present or probable.
        boxed: Finding that a reader has drawn a box of.
        result: Of readings: ``"any"``, ``"refused"``, ``"referred"`` or ``"reliable"``.
        agreement: ``"agree"``: readers accepted all calls that they decided on; ``"disagree"``:
            they edited or rejected one; ``"decided"``: they decided on one.
        days: Days back; of what the other words ask for, else of the case's arrival.
        since: The same, from this day.
        until: The same, to this day, itself included.
        status: Of the case.
        view: View position of a film.
        sex: Of the patient.
        age_from: Of the patient at the time of the film, in whole years.
        age_to: The same, included.
    """

    called: str = ""
    reported: str = ""
    boxed: str = ""
    result: str = ""
    agreement: str = ""
    days: int | None = None
    since: date | None = None
    until: date | None = None
    status: str = ""
    view: str = ""
    sex: str = ""
    age_from: int | None = None
    age_to: int | None = None

    def plain(self) -> dict[str, Any]:
        """Return those that matter, as JSON holds them."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
            if value not in ("", None)
        }


def filtered(user: Any, filters: Filters) -> QuerySet[Case]:
    """Return the cases that are wanted, the latest first.

    Args:
        user: The person, whose teams are looked through.
        filters: What is wanted.
    """
    rows = Case.objects.visible_to(user).select_related("patient", "team")
    asked = [*_of_models(user, filters), *_of_people(filters)]
    for condition in asked:
        rows = rows.filter(condition)
    if not asked:
        rows = rows.filter(_within("created_at", filters))
    return _of_films(user, rows, filters).order_by("-created_at")


def _of_models(user: Any, filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.called:
        calls = Called.objects.filter(finding=filters.called, positive=True)
        found.append(_having(user, calls.filter(_within("made_at", filters))))
    if filters.result:
        readings = Reading.objects.filter(_RESULTS[filters.result])
        found.append(_having(user, readings.filter(_within("created_at", filters))))
    return found


def _having(user: Any, rows: QuerySet[Any]) -> Any:
    """Return the condition that a case has one of some rows of its team."""
    needed = Case.view_permission
    if not user.emergency_patients(needed):
        keys = few_keys(rows.filter(team__in=user.teams_with(needed)), "case_id")
        if keys is not None:
            return Q(pk__in=keys)
    return Exists(rows.filter(case=OuterRef("pk")))


def _of_people(filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.reported:
        rows = Reported.objects.filter(case=OuterRef("pk"), finding=filters.reported)
        rows = rows.filter(certainty__in=PRESENT)
        found.append(Exists(rows.filter(_within("signed_at", filters))))
    if filters.boxed:
        boxes = Box.objects.filter(case=OuterRef("pk"), finding=filters.boxed)
        found.append(Exists(boxes.filter(_within("created_at", filters))))
    if filters.agreement:
        decided = FindingDecision.objects.filter(case=OuterRef("pk"), current=True)
        decided = decided.filter(_within("created_at", filters))
        against = Exists(decided.exclude(decision="accept"))
        any_at_all = Exists(decided)
        found.append(
            {"agree": any_at_all & ~against, "disagree": against}.get(filters.agreement, any_at_all)
        )
    return found


def _of_films(user: Any, rows: QuerySet[Case], filters: Filters) -> QuerySet[Case]:
    if filters.status:
        rows = rows.filter(status=filters.status)
    if filters.sex:
        rows = rows.filter(patient__sex=filters.sex)
    if filters.view:
        films = Instance.objects.filter(case=OuterRef("pk"), view_position=filters.view)
        rows = rows.filter(Exists(films))
    if filters.age_from is not None or filters.age_to is not None:
        rows = _of_age(user, rows, filters)
    return rows


def _of_age(user: Any, rows: QuerySet[Case], filters: Filters) -> QuerySet[Case]:
    """Keep cases of patients of some age at the film, as `Case.age_years` counts it."""
    taken, born = Coalesce("acquired_on", TruncDate("created_at")), F("patient__birth_date")
    aged = rows.annotate(
        day_taken=ExtractMonth(taken) * 100 + ExtractDay(taken),
        day_born=ExtractMonth(born) * 100 + ExtractDay(born),
    ).annotate(
        age=ExtractYear(taken)
        - ExtractYear(born)
        - Case_(When(day_taken__lt=F("day_born"), then=1), default=0)
    )
    low, high = filters.age_from or 0, 200 if filters.age_to is None else filters.age_to
    return aged.filter(age__gte=low, age__lte=high, patient__in=_born_for(user, high))


def _born_for(user: Any, oldest: int) -> Any:
    """Return patients who were not older than this at the first film, which may be few."""
    days = [timezone.localdate()]
    for part in Case.objects.parts_of(user):
        first = Case.objects.filter(part).aggregate(a=Min("acquired_on"), b=Min("created_at"))
        days += [first["a"] or days[0], timezone.localdate(first["b"]) if first["b"] else days[0]]
    since = date(max(min(days).year - oldest - 2, 1), 1, 1)
    return Patient.everything.filter(birth_date__gte=since).values("pk")


def _within(field: str, filters: Filters) -> Q:
    wanted = Q()
    if filters.days is not None:
        wanted &= Q(**{f"{field}__gte": timezone.now() - timedelta(days=filters.days)})
    if filters.since is not None:
        wanted &= Q(**{f"{field}__gte": _start(filters.since)})
    if filters.until is not None:
        wanted &= Q(**{f"{field}__lt": _start(filters.until + timedelta(days=1))})
    return wanted


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


_RESULTS = {
    "any": Q(),
    "refused": Q(refusal__isnull=False),
    "referred": Q(refusal__isnull=True, refer=True),
    "reliable": Q(refusal__isnull=True) & ~Q(refer=True),
}


def signed_reports(cases: list[Any]) -> dict[Any, Report]:
    """Return the signed reports of some cases, by case.

    Args:
        cases: The cases' ids.
    """
    rows = Report.objects.filter(case__in=cases, addendum_to=None, signed_at__isnull=False)
    return {row.case_id: row for row in rows}
