"""Pages of long lists: nothing is shown twice or left out, whatever comes and goes in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lucidray_clinic.accounts.models import Emergency, Membership, Team, User
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.paging import first_rows, one_page
from lucidray_clinic.patients.models import Patient


@pytest.fixture
def people(team: Team) -> list[Patient]:
    names = [("Same", "Same")] * 7 + [(f"Name{n % 4}", f"Given{n % 3}") for n in range(18)]
    return [Patient.objects.create(team=team, family_name=f, given_name=g) for f, g in names]


def walked(rows: Any, size: int, parts: Any = ()) -> list[list[Any]]:
    pages, place = [], None
    for _ in range(50):
        page = one_page(rows, place, size, parts=parts)
        pages.append(page.rows)
        place = page.after
        if not place:
            return pages
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("order", [("family_name", "given_name"), ("-family_name", "-given_name")])
@pytest.mark.parametrize("size", [1, 4, 5, 24, 25, 26])
def test_pages_are_the_list_in_order(
    people: list[Patient], order: tuple[str, ...], size: int
) -> None:
    rows = Patient.objects.order_by(*order)
    last = "-pk" if order[0].startswith("-") else "pk"
    wanted = list(Patient.objects.order_by(*order, last))
    assert [row for page in walked(rows.order_by(*order, last), size) for row in page] == wanted


def test_back_again_through_the_same_pages(people: list[Patient]) -> None:
    rows = Patient.objects.order_by("family_name", "given_name", "pk")
    pages = walked(rows, 6)
    for earlier, later in pairwise(pages):
        back = one_page(rows, f"before.{later[0].pk}", 6)
        assert back.rows == earlier
        assert back.after == f"after.{earlier[-1].pk}"
    assert one_page(rows, f"before.{pages[1][0].pk}", 6).before == ""


def test_what_goes_in_between_is_not_missed(people: list[Patient]) -> None:
    rows = Patient.objects.order_by("family_name", "given_name", "pk")
    everything = list(rows)
    first = one_page(rows, None, 10)
    Patient.objects.filter(pk=first.rows[-1].pk).update(deleted_at=timezone.now())
    assert one_page(rows, first.after, 10).rows == everything[10:20]


@pytest.mark.parametrize(
    "place",
    ["", "2", "after.", "after.x", "sideways.1", "after.00000000-0000-7000-8000-000000000000"],
)
def test_what_is_not_understood_is_the_first_page(people: list[Patient], place: str) -> None:
    rows = Patient.objects.order_by("family_name", "given_name", "pk")
    assert one_page(rows, place, 5).rows == list(rows[:5])


def test_behind_the_last_row_the_list_begins_again(people: list[Patient]) -> None:
    rows = Patient.objects.order_by("family_name", "given_name", "pk")
    page = one_page(rows, f"after.{list(rows)[-1].pk}", 5)
    assert (page.rows, page.before) == (list(rows[:5]), "")


def test_teams_are_merged_in_order(
    make_user: Callable[..., User], team: Team, other_team: Team, clinician: User
) -> None:
    hidden = Team.objects.create(name="Hidden")
    now = timezone.now()
    for n in range(40):
        owner = (team, other_team, hidden)[n % 3]
        patient = Patient.objects.create(team=owner, family_name=str(n))
        at = now - timedelta(hours=n * 7 % 40)
        Case.objects.create(team=owner, patient=patient, created_at=at)
    Membership.objects.create(user=clinician, team=other_team, role="clinician")
    rescued = Case.objects.filter(team=hidden)[0].patient
    Emergency.objects.create(
        user=clinician,
        patient_id=rescued.pk,
        team=hidden,
        reason="x",
        until=now + timedelta(hours=1),
    )
    user = User.objects.get(pk=clinician.pk)
    rows = Case.objects.visible_to(user).order_by("-created_at")
    parts = Case.objects.parts_of(user)
    assert len(parts) == 3
    wanted = list(rows.order_by("-created_at", "-pk"))
    assert len(wanted) == 28
    assert [row for page in walked(rows, 9, parts) for row in page] == wanted
    assert first_rows(rows, 5, parts) == wanted[:5]


def test_a_list_is_walked_through_its_pages(
    clinician: User, sign_in: Callable[[User], Client], people: list[Patient], team: Team
) -> None:
    for n in range(20):
        Patient.objects.create(team=team, family_name=f"Zed{n:02}")
    client = sign_in(clinician)
    first = client.get(reverse("patients"))
    page = first.context["page"]
    assert "Next page" in first.content.decode()
    assert "Same" not in page.after
    second = client.get(reverse("patients"), {"page": page.after})
    assert len(second.context["page"]) == 15
    assert "First page" in second.content.decode()
    searched = client.post(reverse("patients"), {"q": "Zed", "page": ""})
    assert len(searched.context["page"]) == 20
