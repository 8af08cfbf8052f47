"""Counts of cases for the home page; each equals a direct query, and links to its cases."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils import formats, timezone

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases.models import Case, Status, Urgency
from lucidray_clinic.core.charts import Value
from lucidray_clinic.core.tallies import Tally, is_kept

#: Days that the chart of arrivals shows.
DAYS = 21

#: What kept counts are grouped by.
KIND = ("status", "urgency")

#: The counts that PostgreSQL keeps.
TALLY = Tally(Case._meta.db_table, KIND, "deleted_at IS NULL")


def counted(user: Any, permission: str = Permission.VIEW_CASE) -> dict[tuple[str, int], int]:
    """Return how many cases of each status and urgency there are at this moment.

    Args:
        user: The person, whose teams are counted.
        permission: What the person must be allowed in them.

    Returns:
        By status and urgency; what is not there is 0.
    """
    if not is_kept():
        return _of_each_kind(Case.objects.visible_to(user, permission))
    teams = user.teams_with(permission)
    found = Counter(TALLY.counted(teams))
    opened = user.emergency_patients(permission)
    if opened:
        found.update(_of_each_kind(Case.objects.filter(patient__in=opened).exclude(team__in=teams)))
    return found


def by_status(user: Any) -> list[Value]:
    """Return how many cases are in each status.

    Args:
        user: The person, whose teams are counted.
    """
    kinds, address = counted(user), reverse("cases")
    return [
        Value(
            str(label),
            sum(number for (status, _), number in kinds.items() if status == value),
            f"{address}?status={value}",
        )
        for value, label in Status.choices
    ]


def waiting(user: Any) -> list[Value]:
    """Return how many cases of each urgency are not reported yet.

    Args:
        user: The person.
    """
    numbers, address = _waiting(user, Permission.VIEW_CASE), reverse("cases")
    return [
        Value(str(label), numbers[value], f"{address}?status=open&urgency={value}")
        for value, label in Urgency.choices
    ]


def to_read(user: Any) -> int:
    """Return how many cases wait for somebody to read them.

    Args:
        user: The person.
    """
    return sum(_waiting(user, Permission.READ).values())


def _waiting(user: Any, permission: str) -> Counter[int]:
    found = Counter[int]()
    for (status, urgency), number in counted(user, permission).items():
        if status != Status.REPORTED:
            found[urgency] += number
    return found


def _of_each_kind(rows: Any) -> dict[tuple[str, int], int]:
    each = rows.order_by().values_list(*KIND).annotate(n=Count("pk"))
    return {(status, urgency): number for status, urgency, number in each}


def by_day(user: Any, days: int = DAYS) -> list[Value]:
    """Return how many cases came on each of the last days, the days without any included.

    Args:
        user: The person.
        days: How many days, today included.
    """
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    start = timezone.make_aware(datetime.combine(first, time()))
    rows = Case.objects.visible_to(user).order_by().filter(created_at__gte=start)
    counted = dict(
        rows.annotate(day=TruncDate("created_at")).values_list("day").annotate(n=Count("pk"))
    )
    each = [first + timedelta(days=number) for number in range(days)]
    address = reverse("cases")
    return [
        Value(
            formats.date_format(day, "j M"),
            counted.get(day, 0),
            f"{address}?day={day.isoformat()}",
        )
        for day in each
    ]
