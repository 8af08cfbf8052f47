"""Counts of what models said, for the home page; each equals a direct query."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.db.models.functions import TruncWeek
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses.models import Called, Reading
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.charts import Value

#: Days that counts of models look back.
DAYS = 30

#: Weeks that the chart over time shows.
WEEKS = 12


def called(user: Any, days: int = DAYS) -> list[Value]:
    """Return in how many cases each finding was called present, the most frequent first.

    Args:
        user: The person, whose teams are counted.
        days: How far back.
    """
    return told_calls(call_counts(user, days), days)


def told_calls(counts: list[tuple[str, int]], days: int) -> list[Value]:
    """Return counts of calls with the addresses of their cases.

    Args:
        counts: Of `call_counts`.
        days: How far back they count.
    """
    return [
        Value(_(finding), number, cases_url(called=finding, days=days))
        for finding, number in counts
    ]


def call_counts(user: Any, days: int = DAYS) -> list[tuple[str, int]]:
    """Return findings and in how many cases each was called present, the most frequent first.

    Args:
        user: The person, whose teams are counted.
        days: How far back.
    """
    rows = _calls(user, days).values("finding").annotate(n=Count("case", distinct=True))
    return [(row["finding"], row["n"]) for row in rows.order_by("-n", "finding")]


def called_by_week(user: Any, finding: str, weeks: int = WEEKS) -> list[Value]:
    """Return in how many cases a finding was called present in each of the last weeks.

    Args:
        user: The person.
        finding: The finding.
        weeks: How many, this one included.
    """
    today = timezone.localdate()
    first = today - timedelta(days=today.weekday() + 7 * (weeks - 1))
    rows = _calls(user, (today - first).days + 1).filter(finding=finding)
    counted = {
        row["week"].date(): row["n"]
        for row in rows.annotate(week=TruncWeek("made_at"))
        .values("week")
        .annotate(n=Count("case", distinct=True))
        .order_by()
    }
    each = [first + timedelta(weeks=number) for number in range(weeks)]
    return [
        Value(
            formats.date_format(day, "j M"),
            counted.get(day, 0),
            cases_url(called=finding, since=day, until=day + timedelta(days=6)),
        )
        for day in each
    ]


def reliability(user: Any, days: int = DAYS) -> dict[str, Any]:
    """Return how many readings there are, and how many were refused or handed to a person.

    Args:
        user: The person.
        days: How far back.

    Returns:
        ``total``, ``refused`` and ``referred`` with their addresses; rates are shares of ``total``,
        None where there is nothing.
    """
    since = timezone.now() - timedelta(days=days)
    rows = Reading.objects.filter(created_at__gte=since)
    rows = of_living_cases(rows, user.teams_with(Permission.VIEW_CASE))
    counted = rows.aggregate(
        total=Count("pk"),
        refused=Count("pk", filter=Q(refusal__isnull=False)),
        referred=Count("pk", filter=Q(refusal__isnull=True, refer=True)),
    )
    total = counted["total"]
    told: dict[str, Any] = {"total": total, "url": cases_url(result="any", days=days)}
    for name in ("refused", "referred"):
        share = round(100 * counted[name] / total, 1) if total else None
        url = cases_url(result=name, days=days)
        told[name] = {"count": counted[name], "percent": share, "url": url}
    return told


def cases_url(**filters: Any) -> str:
    """Return the address of the cases that a figure counts.

    Args:
        filters: As the page of curation takes them.
    """
    return f"{reverse('curate')}?{urlencode(filters)}"


def of_living_cases(rows: Any, teams: Any) -> Any:
    """Keep rows of some teams whose case is not deleted.

    The few deleted cases are left out, so that the database need not look up the many others.

    Args:
        rows: Rows with ``team`` and ``case``.
        teams: Ids of the teams.
    """
    gone = Case.everything.filter(deleted_at__isnull=False, team_id__in=teams)
    return rows.filter(team_id__in=teams).exclude(case_id__in=gone.values("pk"))


def _calls(user: Any, days: int) -> Any:
    since = timezone.now() - timedelta(days=days)
    rows = Called.objects.filter(made_at__gte=since, positive=True)
    return of_living_cases(rows, user.teams_with(Permission.VIEW_CASE))
