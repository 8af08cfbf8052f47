"""What people see while the database is away, and when a mistake is ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from lucidray_clinic.accounts.models import User
from lucidray_clinic.cases.models import Case

AWAY = [OperationalError("Anna Example"), InterfaceError("connection already closed")]


def broken(error: Exception) -> Callable[..., Any]:
    def ask(*_: Any, **__: Any) -> Any:
        raise error

    return ask


@pytest.mark.parametrize("error", AWAY)
def test_a_database_that_is_away_is_told_and_may_be_asked_again(
    error: Exception,
    clinician: User,
    sign_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = sign_in(clinician)
    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("lucidray_clinic.core.views.filled_panels", broken(error))
        page = client.get("/")
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert b"The database does not answer" in page.content
    assert b"Anna" not in page.content
    assert page["Cache-Control"] == "no-store, private"
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert client.get("/").status_code == 200, "it works again by itself"


def test_it_is_told_in_the_persons_language(
    clinician: User, sign_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.update(language="ar")
    client = sign_in(User.objects.get(pk=clinician.pk))
    client.raise_request_exception = False
    monkeypatch.setattr("lucidray_clinic.core.views.filled_panels", broken(AWAY[0]))
    page = client.get("/").content.decode()
    assert 'lang="ar" dir="rtl"' in page
    assert "قاعدة البيانات" in page


def test_not_even_the_session_can_be_asked(
    clinician: User, sign_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(clinician)
    client.raise_request_exception = False
    load = "django.contrib.sessions.backends.db.SessionStore.load"
    monkeypatch.setattr(load, broken(AWAY[0]))
    assert client.get("/").status_code == 503
    assert Client().get("/health/live").status_code == 200


def test_the_json_interface_says_so_in_json(
    clinician: User, case: Case, sign_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(clinician)
    client.raise_request_exception = False
    for error, status, code in ((AWAY[0], 503, "away"), (KeyError("Anna"), 500, "failed")):
        monkeypatch.setattr("lucidray_clinic.cases.services.open_case", broken(error))
        told = client.get(f"/api/v1/cases/{case.pk}")
        assert (told.status_code, told.json()["error"]["code"]) == (status, code)
        assert "Anna" not in told.content.decode()


def test_a_mistake_of_ours_is_no_database_that_is_away(
    clinician: User, sign_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(clinician)
    client.raise_request_exception = False
    monkeypatch.setattr("lucidray_clinic.core.views.filled_panels", broken(KeyError("Anna")))
    page = client.get("/")
    assert page.status_code == 500
    assert b"Something went wrong" in page.content
    assert "Retry-After" not in page
