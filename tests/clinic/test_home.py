"""The home page: each figure equals a direct query, and links to what was counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lucidray_clinic.accounts.models import Emergency, Team, User
from lucidray_clinic.cases import figures, services
from lucidray_clinic.cases.models import Case, Status, Urgency
from lucidray_clinic.core.charts import Value, columns, line, shares
from lucidray_clinic.core.tallies import is_kept
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.patients.services import open_patient, recently_opened


@pytest.fixture
def many(patient: Patient, other_team: Team) -> None:
    now = timezone.now().replace(hour=12)
    strange = Patient.objects.create(team=other_team, family_name="Strange")
    for n in range(60):
        owner = strange if n % 5 == 0 else patient
        Case.objects.create(
            team=owner.team,
            patient=owner,
            urgency=list(Urgency)[n % 3],
            status=list(Status)[n % 7 % 3],
            created_at=now - timedelta(days=n % 25),
            deleted_at=now if n % 11 == 0 else None,
        )


def counted(where: str, team: Team) -> int:
    key = team.pk.hex if connection.vendor == "sqlite" else str(team.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM cases_case WHERE team_id = '{key}' "
            f"AND deleted_at IS NULL AND {where}"
        )
        return int(cursor.fetchone()[0])


def test_figures_equal_direct_queries(clinician: User, team: Team, many: None) -> None:
    by_status = figures.by_status(clinician)
    assert [one.value for one in by_status] == [
        counted(f"status = '{status}'", team) for status in Status.values
    ]
    assert [one.value for one in figures.waiting(clinician)] == [
        counted(f"status <> 'reported' AND urgency = {urgency}", team) for urgency in Urgency.values
    ]
    today = timezone.localdate()
    for age, one in enumerate(reversed(figures.by_day(clinician))):
        day = (today - timedelta(days=age)).isoformat()
        assert one.value == counted(f"date(created_at) = '{day}'", team)
    assert services.worklist(clinician).count() == counted("status <> 'reported'", team)


def test_each_figure_links_to_its_cases(
    clinician: User, sign_in: Callable[[User], Client], many: None
) -> None:
    client = sign_in(clinician)
    every = [*figures.by_status(clinician), *figures.waiting(clinician), *figures.by_day(clinician)]
    for one in every:
        rows = client.get(one.url).content.decode().count('<th scope="row">')
        assert rows == min(one.value, 30)


def test_the_worklist_is_by_urgency_then_age(clinician: User, many: None) -> None:
    order = [(case.urgency, case.created_at) for case in services.worklist(clinician)]
    assert order == sorted(order)


def test_recently_opened_patients(clinician: User, team: Team) -> None:
    made = [Patient.objects.create(team=team, family_name=name) for name in "ABC"]
    for one in (made[0], made[2], made[0]):
        open_patient(clinician, one.pk)
    assert recently_opened(clinician) == [made[0], made[2]]


def test_home_asks_the_same_few_questions_however_many_cases(
    clinician: User, sign_in: Callable[[User], Client], many: None
) -> None:
    client = sign_in(clinician)
    client.get("/")
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/")
    Case.objects.filter(deleted_at=None).update(status="new")
    with CaptureQueriesContext(connection) as more:
        page = client.get("/")
    assert page.status_code == 200
    assert len(more) <= len(few) < 60


def test_shares_and_columns() -> None:
    bars = shares([Value("a", 3), Value("b", 1), Value("c", 0)])
    assert [(bar["percent"], bar["length"]) for bar in bars] == [
        (75, "100"),
        (25, "33.3"),
        (0, "0"),
    ]
    assert shares([Value("a", 0)])[0]["length"] == "0"
    chart = columns([Value("x", 1), Value("y", 3)], width=100, height=40)
    assert [one["height"] for one in chart["columns"]] == ["10", "30"]
    assert [mark["text"] for mark in chart["lines"]] == ["4", "2", "0"]
    assert columns([])["columns"] == []


def test_a_line_breaks_where_nothing_is_known() -> None:
    values = [Value("", v) for v in (0, 1, math.nan, 0.5)]
    drawn: Any = line([values], width=30, height=10, top=1)
    assert drawn["paths"] == ["M0 10L10 0M30 5"]


def kinds(user: User) -> dict[tuple[str, int], int]:
    """What a direct query counts."""
    rows = Case.objects.visible_to(user).order_by().values_list("status", "urgency")
    return {(status, urgency): n for status, urgency, n in rows.annotate(n=models.Count("pk"))}


def test_kept_counts_are_those_of_a_direct_query_after_every_change(
    clinician: User, team: Team, other_team: Team, many: None
) -> None:
    cases = Case.objects.filter(team=team)
    assert +Counter(figures.counted(clinician)) == kinds(clinician)
    first, second, third = list(cases[:3])
    changes: list[Callable[[], Any]] = [
        lambda: cases.filter(pk=first.pk).update(status="reported", urgency=0),
        lambda: cases.filter(pk=second.pk).update(deleted_at=timezone.now()),
        lambda: Case.everything.filter(pk=second.pk).update(deleted_at=None),
        lambda: cases.filter(pk=third.pk).update(team=other_team),
        lambda: cases.filter(pk=first.pk).update(title="nothing that counts"),
        lambda: Case.everything.filter(pk=first.pk).delete(),
        lambda: cases.update(status="new"),
        lambda: Case.objects.bulk_create(
            Case(team=team, patient=first.patient, urgency=1) for _ in range(40)
        ),
    ]
    for change in changes:
        change()
        assert +Counter(figures.counted(clinician)) == kinds(clinician)


def test_folding_changes_no_count(clinician: User, many: None) -> None:
    before = +Counter(figures.counted(clinician))
    if not is_kept():
        pytest.skip("SQLite counts the rows themselves")
    figures.TALLY.counted(clinician.teams_with("case.view"), most=0)
    assert +Counter(figures.counted(clinician)) == before == kinds(clinician)
    with connection.cursor() as cursor:
        kind = "count(DISTINCT (team_id, status, urgency))"
        cursor.execute(f"SELECT count(*), {kind} FROM cases_case_tallies")
        rows, different = cursor.fetchone()
    assert rows == different


def test_a_change_that_is_taken_back_is_not_counted(clinician: User, many: None) -> None:
    before = +Counter(figures.counted(clinician))
    with pytest.raises(RuntimeError), transaction.atomic():
        Case.objects.update(status="reported")
        raise RuntimeError
    assert +Counter(figures.counted(clinician)) == before


def test_an_emergency_is_counted_while_it_is_open(
    clinician: User, other_team: Team, many: None
) -> None:
    before = kinds(clinician)
    rescued = Patient.objects.get(team=other_team)
    Emergency.objects.create(
        user=clinician,
        patient_id=rescued.pk,
        team=other_team,
        reason="x",
        until=timezone.now() + timedelta(hours=1),
    )
    user = User.objects.get(pk=clinician.pk)
    assert +Counter(figures.counted(user)) == kinds(user) != before
