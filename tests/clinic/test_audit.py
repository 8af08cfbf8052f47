"""The audit: one row for each deed, and no alteration goes unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core import audit
from lucidray_clinic.core.logs import NoNames
from lucidray_clinic.core.models import AuditEvent, AuditHead
from lucidray_clinic.patients.models import Patient


@pytest.fixture(autouse=True)
def _own_anchor(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "anchor_path", lambda: tmp_path / "audit.anchor")


@pytest.fixture
def events(clinician: User, patient: Patient) -> list[AuditEvent]:
    return [audit.record(clinician, "view", patient, n=n) for n in range(5)]


def deeds(**what: Any) -> list[str]:
    return list(
        AuditEvent.objects.filter(**what).order_by("number").values_list("action", flat=True)
    )


def verify() -> str:
    said = StringIO()
    call_command("audit", "verify", stdout=said)
    return said.getvalue()


def test_an_untouched_audit_verifies(events: list[AuditEvent]) -> None:
    assert verify() == "5 events, each as it was written\n"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE core_auditevent SET action = 'sign' WHERE number = 3",
        "UPDATE core_auditevent SET address = '::1' WHERE number = 3",
        "UPDATE core_auditevent SET actor_id = NULL WHERE number = 3",
        "UPDATE core_auditevent SET detail = '{}' WHERE number = 3",
        "UPDATE core_auditevent SET patient_id = '' WHERE number = 3",
        "UPDATE core_auditevent SET at = '2020-01-01 00:00:00+00:00' WHERE number = 3",
        "DELETE FROM core_auditevent WHERE number = 3",
        "DELETE FROM core_auditevent WHERE number = 1",
        "DELETE FROM core_auditevent WHERE number = 5",
    ],
)
def test_altering_or_deleting_a_row_breaks_it(events: list[AuditEvent], change: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(change)
    with pytest.raises(CommandError, match="event"):
        verify()


def test_resealing_needs_the_key(events: list[AuditEvent], settings: Any) -> None:
    right = settings.AUDIT_KEY
    settings.AUDIT_KEY = "a guess of somebody who can write to the database"
    before = ""
    for event in AuditEvent.objects.order_by("number"):
        event.action, event.seal = "nothing", ""
        event.seal = audit.seal_of(event, before)
        event.save()
        before = event.seal
    AuditHead.objects.update(seal=before)
    settings.AUDIT_KEY = right
    with pytest.raises(CommandError, match="event 1"):
        verify()


@pytest.mark.django_db(transaction=True)
def test_cutting_off_the_end_with_its_head_is_seen_by_the_file(clinician: User) -> None:
    for _ in range(5):
        audit.record(clinician, "view")
    last = AuditEvent.objects.get(number=3)
    AuditEvent.objects.filter(number__gt=3).delete()
    AuditHead.objects.update(number=3, seal=last.seal)
    with pytest.raises(CommandError, match="event 4: the end"):
        verify()


def test_viewing_and_downloading_leave_one_row_each(
    clinician: User, sign_in: Callable[[User], Client], patient: Patient, case: Case
) -> None:
    client = sign_in(clinician)
    client.get(reverse("patient", args=[patient.pk]))
    client.get(reverse("case", args=[case.pk]))
    client.get(reverse("read_case", args=[case.pk]))
    assert deeds(object_id=str(patient.pk)) == ["view"]
    assert deeds(object_id=str(case.pk)) == ["view", "open viewer"]
    event = AuditEvent.objects.filter(object_id=str(case.pk)).first()
    assert event is not None
    assert (event.address, event.patient_id) == ("127.0.0.1", str(patient.pk))


def test_signing_in_out_and_failing_leave_one_row_each(
    clinician: User, client: Client, password: str
) -> None:
    door = reverse("account_login")
    client.post(door, {"login": "clinician", "password": "wrong"})
    client.post(door, {"login": "nobody", "password": "wrong"})
    client.post(door, {"login": "clinician", "password": password})
    client.post(reverse("account_logout"))
    assert deeds() == ["sign-in failed", "sign-in failed", "sign in", "sign out"]


def test_export_leaves_a_row(
    make_user: Callable[..., User], patient: Patient, sign_in: Callable[[User], Client]
) -> None:
    admin = make_user("admin", patient.team, "administrator")
    answer = sign_in(admin).get(reverse("export_patient", args=[patient.pk]))
    b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert deeds(action="export", actor=admin) == ["export"]


def test_a_deed_that_fails_leaves_no_row_of_it(clinician: User, patient: Patient) -> None:
    from lucidray_clinic.errors import Conflict
    from lucidray_clinic.patients.services import update_patient

    with pytest.raises(Conflict):
        update_patient(clinician, patient.pk, 99, {"family_name": "Else"})
    assert deeds() == []


def test_no_name_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    said = []
    for message, values in (
        ("GET %s", "/patients/?q=Example"),
        ("GET %s", "/sign-in/SECRET-token/"),
        ("GET %s", "/x\nERROR a line of my own"),
    ):
        record = logging.LogRecord("django", 30, "", 0, message, (values,), None)
        NoNames().filter(record)
        said.append(record.getMessage())
    with pytest.raises(ValueError, match="Anna") as caught:
        int("Anna Example")
    trace = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("django", 40, "", 0, "failed", (), trace)
    NoNames().filter(record)
    said.append(record.getMessage())
    assert said[0] == "GET /patients/"
    assert said[1] == "GET /sign-in/…/"
    assert said[2] == "GET /x ERROR a line of my own"
    assert said[3].startswith("failed [ValueError in ")
    assert record.exc_info is None
    assert not any("Example" in line for line in said)


def test_an_error_page_tells_no_name(
    clinician: User,
    sign_in: Callable[[User], Client],
    patient: Patient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError(f"cannot show {patient.name}")

    monkeypatch.setattr("lucidray_clinic.patients.views.timeline_of", fail)
    client = sign_in(clinician)
    client.raise_request_exception = False
    answer = client.get(reverse("patient", args=[patient.pk]))
    assert answer.status_code == 500
    assert "Example" not in answer.content.decode()
    assert "Example" not in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_many_who_write_at_once_leave_one_unbroken_chain(clinician: User) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("one writer at a time in a database in memory: set LUCIDRAY_TEST_DATABASE")

    def work(_: int) -> None:
        try:
            for _n in range(10):
                audit.record(clinician, "view")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert verify() == "80 events, each as it was written\n"


def test_what_a_role_does_not_allow_leaves_a_row(
    make_user: Callable[..., User], team: Team, sign_in: Callable[[User], Client], case: Case
) -> None:
    client = sign_in(make_user("reader", team, "reader"))
    assert client.get(reverse("people")).status_code == 403
    sent = {"first_opinion": []}
    researcher = sign_in(make_user("researcher", team, "researcher"))
    url = reverse("api-1:reveal", args=[case.pk])
    assert researcher.post(url, sent, "application/json").status_code == 403
    rows = AuditEvent.objects.filter(action="refused").order_by("number")
    told = [(row.actor.username, row.detail["route"]) for row in rows if row.actor]
    assert told == [("reader", "people"), ("researcher", "api-1:reveal")]
