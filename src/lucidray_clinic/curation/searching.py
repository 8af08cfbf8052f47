"""The page on which cases are found: the filter, the cases, and how far people agree on them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses.models import Called
from lucidray_clinic.annotations.models import FindingDecision
from lucidray_clinic.cases.models import Case
from lucidray_clinic.cases.parts import patient_label
from lucidray_clinic.cases.services import with_films
from lucidray_clinic.core.paging import first_rows, one_page
from lucidray_clinic.curation import agreeing
from lucidray_clinic.curation.filtering import Filters, filtered, signed_reports
from lucidray_clinic.curation.forms import FilterForm
from lucidray_clinic.reports.wording import finding_choices

#: Cases that are counted, and the latest over which agreement is computed.
MOST = 300


@dataclass(frozen=True)
class Found:
    """What a filter finds.

    Args:
        form: The filter as it was sent.
        filters: What it means.
        cases: A query.
    """

    form: FilterForm
    filters: Filters
    cases: Any


def search(user: Any, sent: Any) -> Found:
    """Return the cases that a filter finds.

    Args:
        user: The person.
        sent: What the address or the form says; what is not understood finds nothing.
    """
    form = FilterForm(sent, findings=finding_choices())
    if not form.is_valid():
        return Found(form, Filters(), Case.objects.none())
    names = {one.name for one in fields(Filters)}
    filters = Filters(**{name: value for name, value in form.cleaned_data.items() if name in names})
    return Found(form, filters, filtered(user, filters))


def page_of(user: Any, found: Found, place: str | None) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        user: The person.
        found: What was found.
        place: Which page of it, as the address says.
    """
    # A condition that few cases of one team meet would be looked for in all of that team's.
    parts = () if found.filters.plain() else Case.objects.parts_of(user)
    page = one_page(found.cases, place, parts=parts)
    _describe(user, page.rows)
    latest = found.cases.select_related(None).only("pk", "created_at")
    keys = [case.pk for case in first_rows(latest, MOST + 1, parts)]
    return {
        "form": found.form,
        "page": page,
        "filters": found.filters.plain(),
        "total": len(keys) if len(keys) <= MOST else None,
        "most": MOST,
        "with_models": agreeing.with_models(keys[:MOST]),
        "between_readers": agreeing.between_readers(keys[:MOST]),
        "may_export": user.may(Permission.EXPORT) and user.may(Permission.CURATE),
    }


def _describe(user: Any, cases: list[Any]) -> None:
    """Add to some cases what models called, what readers decided and what was reported."""
    with_films(cases)
    keys = [case.pk for case in cases]
    reports = signed_reports(keys)
    calls: dict[Any, list[str]] = {key: [] for key in keys}
    rows = Called.objects.filter(case__in=keys, positive=True).order_by("-probability")
    for case, finding in rows.values_list("case", "finding"):
        if finding not in calls[case]:
            calls[case].append(finding)
    decided: dict[Any, list[str]] = {key: [] for key in keys}
    kept = FindingDecision.objects.filter(case__in=keys, current=True)
    for case, decision in kept.values_list("case", "decision"):
        decided[case].append(decision)
    for case in cases:
        case.patient_label = patient_label(user, case)
        case.calls = calls[case.pk] if not case.read_first else []
        case.against = sum(one != "accept" for one in decided[case.pk])
        case.decided = len(decided[case.pk])
        report = reports.get(case.pk)
        case.reported_findings = (
            [one["finding"] for one in report.findings if one["certainty"] != "absent"]
            if report is not None
            else None
        )
