"""What machines ask the site, and what it says in return: nothing about patients."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from lucidray_clinic.accounts.models import User
from lucidray_clinic.accounts.roles import Role
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import InferenceRun, Reading
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import health
from lucidray_clinic.core.freshness import FreshFiles
from lucidray_clinic.core.identifiers import first_id_at, new_id
from lucidray_clinic.core.logs import JsonLines, NoNames
from lucidray_clinic.environment import ROLES, read_environment
from lucidray_clinic.errors import SetupError
from lucidray_clinic.patients.models import Patient

TOKEN = "a long token that only the scraper knows"
Enter = Callable[[User], Client]


def metrics(client: Client, token: str = TOKEN) -> HttpResponse:
    answer: HttpResponse = client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    return answer


@pytest.fixture
def token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


# --- health -------------------------------------------------------------------------------------


def test_a_process_that_answers_is_alive(client: Client) -> None:
    for route in ("live", "health"):
        assert client.get(reverse(route)).json() == {"status": "ok"}
    assert client.post(reverse("live")).status_code == 405


def test_ready_names_every_part(client: Client, db: None) -> None:
    answer = client.get(reverse("ready"))
    parts = {"database": "ok", "storage": "ok", "models": "ok", "queue": "ok"}
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "parts": parts})


def test_where_films_cannot_be_written_it_is_not_ready(
    client: Client, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "no such folder"
    answer = client.get(reverse("ready"))
    assert (answer.status_code, answer.json()["parts"]["storage"]) == (503, "failing")


def test_a_model_without_its_file_is_seen(client: Client, db: None) -> None:
    bundle = shelf.bundles().get(name="lung-fields")
    bundle.pk, bundle.digest, bundle.shipped = new_id(), "0" * 64, False
    bundle.save(force_insert=True)
    assert client.get(reverse("ready")).json()["parts"]["models"] == "failing"


def test_a_queue_that_nobody_works_on_is_late_but_the_site_stays(
    client: Client, film: Instance
) -> None:
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    long_ago = timezone.now() - timedelta(hours=1)
    InferenceRun.objects.create(instance=film, bundle=bundle, not_before=long_ago)
    answer = client.get(reverse("ready"))
    assert (answer.status_code, answer.json()["parts"]["queue"]) == (200, "late")


def test_a_probe_that_fails_says_no_more_than_that(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise RuntimeError("password of Anna Example")

    monkeypatch.setattr(health, "_PROBES", {"database": fail})
    assert health.readiness() == {"database": "failing"}
    assert "Example" not in caplog.text


# --- metrics ------------------------------------------------------------------------------------


def test_without_a_token_there_are_no_numbers(client: Client, db: None) -> None:
    assert client.get("/metrics").status_code == 404


def test_whoever_does_not_know_the_token_gets_none(client: Client, db: None, token: None) -> None:
    assert client.get("/metrics").status_code == 401
    assert metrics(client, "a guess").status_code == 401
    assert metrics(client).status_code == 200


def test_requests_are_counted_by_route(
    clinician: User, sign_in: Enter, patient: Patient, token: None
) -> None:
    client = sign_in(clinician)
    line = 'lucidray_requests_total{method="GET",route="patient",status="200"}'

    def counted() -> float:
        found = re.search(re.escape(line) + r" ([\d.]+)", metrics(client).content.decode())
        return float(found[1]) if found else 0.0

    before = counted()
    for _ in range(3):
        client.get(reverse("patient", args=[patient.pk]))
    assert counted() == before + 3


def test_the_queue_and_refusals_are_counted(client: Client, film: Instance, token: None) -> None:
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    InferenceRun.objects.create(instance=film, bundle=bundle)
    for refusal in (None, {"reason": "not_a_film", "message": "no"}):
        Reading.objects.create(instance=film, bundle=bundle, engine="server", refusal=refusal)
    told = metrics(client).content.decode()
    labels = f'{{model="pediatric-pneumonia",version="{bundle.version}"}}'
    assert 'lucidray_runs{state="waiting"} 1.0' in told
    assert 'lucidray_runs{state="failed"} 0.0' in told
    assert f"lucidray_readings_day{labels} 2.0" in told
    assert f"lucidray_refusals_day{labels} 1.0" in told


def test_numbers_are_in_prometheus_own_format(client: Client, db: None, token: None) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    metrics(client)
    names = {one.name for one in text_string_to_metric_families(metrics(client).content.decode())}
    assert {"lucidray_requests", "lucidray_request_seconds", "lucidray_runs"} <= names


def test_a_bound_of_identifiers_parts_before_and_after() -> None:
    now = datetime.now(UTC)
    assert (
        first_id_at(now - timedelta(seconds=5)) < new_id() < first_id_at(now + timedelta(hours=1))
    )


# --- names --------------------------------------------------------------------------------------

SEEDED = ("Zwirbelmann", "Quendolina", "19330704", "1933-07-04", "PID-778899", "Haemoptysequery")


@pytest.fixture
def seeded(patient: Patient, case: Case) -> Patient:
    """A patient whose every word is found again wherever it goes."""
    patient.family_name, patient.given_name = "Zwirbelmann", "Quendolina"
    patient.birth_date = datetime(1933, 7, 4, tzinfo=UTC).date()
    patient.save()
    patient.identifiers.create(team=patient.team, value="PID-778899")
    Case.objects.filter(pk=case.pk).update(question="Haemoptysequery")
    return patient


@pytest.fixture
def logged() -> Iterator[list[io.StringIO]]:
    """Everything that any logger says, in both forms."""
    streams = [io.StringIO(), io.StringIO()]
    root, site = logging.getLogger(), logging.getLogger("lucidray_clinic")
    requests, django = logging.getLogger("lucidray_clinic.requests"), logging.getLogger("django")
    handlers = []
    for stream, form in zip(
        streams, (JsonLines(), logging.Formatter("{message}", style="{")), strict=True
    ):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(form)
        handler.addFilter(NoNames())
        handlers.append(handler)
    before = requests.level
    requests.setLevel("INFO")
    for logger in (root, site, django):
        for handler in handlers:
            logger.addHandler(handler)
    yield streams
    requests.setLevel(before)
    for logger in (root, site, django):
        for handler in handlers:
            logger.removeHandler(handler)


def around(client: Client, patient: Patient, case: Case) -> Iterator[HttpResponse]:
    """Ask for pages of a patient, and make every kind of mistake."""
    for route in ("home", "patients", "cases", "curate"):
        yield client.get(reverse(route), follow=True)
    yield client.post(reverse("patients"), {"q": "Zwirbelmann"})
    yield client.post(reverse("cases"), {"q": "Quendolina"})
    yield client.get(reverse("patient", args=[patient.pk]))
    yield client.get(reverse("edit_patient", args=[patient.pk]))
    yield client.get(reverse("case", args=[case.pk]))
    yield client.get(reverse("api-1:case", args=[case.pk]))


def mistakes(client: Client, patient: Patient, case: Case) -> Iterator[HttpResponse]:
    """Ask for what goes wrong, with names in what is sent."""
    yield client.get("/patients/Zwirbelmann/?q=Quendolina")
    yield client.get(reverse("patient", args=[new_id()]) + "?name=Zwirbelmann")
    yield client.post(
        reverse("api-1:notes", args=[case.pk]), {"Zwirbelmann": 1}, "application/json"
    )
    yield client.post(reverse("api-1:notes", args=[case.pk]), "{Zwirbelmann", "application/json")
    yield client.get(reverse("picture", args=[new_id()]))
    sent = {"version": 99, "family_name": "Zwirbelmann", "given_name": "Quendolina", "sex": "F"}
    yield client.post(reverse("delete_patient", args=[new_id()]), sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lucidray_clinic.patients.views.timeline_of", _fail)
        yield client.get(reverse("patient", args=[patient.pk]))


def _fail(*_: Any) -> None:
    raise RuntimeError("cannot show Zwirbelmann, Quendolina, PID-778899")


def test_no_name_reaches_logs_numbers_addresses_or_error_pages(
    make_user: Callable[..., User],
    sign_in: Enter,
    seeded: Patient,
    case: Case,
    logged: list[io.StringIO],
    token: None,
) -> None:
    client = sign_in(make_user("anybody", seeded.team, *Role.values))
    client.raise_request_exception = False
    pages = list(around(client, seeded, case))
    assert any("Zwirbelmann" in page.content.decode() for page in pages)  # it is shown on pages
    for page in pages:
        targets = re.findall(r'(?:href|src|action|hx-\w+)="([^"]*)"', page.content.decode())
        said = " ".join(
            [*targets, *(address for address, _ in getattr(page, "redirect_chain", []))]
        )
        assert not [word for word in SEEDED if word in said]
    wrong = list(mistakes(client, seeded, case))
    assert {404, 422, 500} <= {page.status_code for page in wrong}
    for page in wrong:
        assert page.status_code >= 400
        assert not [word for word in SEEDED if word in page.content.decode()], page.status_code
    everything = metrics(client).content.decode() + "".join(one.getvalue() for one in logged)
    assert '"route": "patient"' in everything
    assert "RuntimeError" in everything
    assert not [word for word in SEEDED if word in everything]
    assert str(seeded.pk) not in everything


def test_a_line_of_the_log_is_json_with_the_number_of_its_request(
    clinician: User, sign_in: Enter, logged: list[io.StringIO]
) -> None:
    answer = sign_in(clinician).get(reverse("home"))
    lines = [json.loads(line) for line in logged[0].getvalue().splitlines()]
    line = next(one for one in lines if one.get("route") == "home")
    assert (line["status"], line["method"], line["message"]) == (200, "GET", "request")
    assert line["request"] == answer["X-Request-ID"]
    assert line["milliseconds"] > 0


def test_nothing_echoes_a_request(client: Client, db: None) -> None:
    assert client.generic("TRACE", reverse("live")).status_code == 405
    answer = client.generic("TRACE", reverse("account_login"), headers={"x-secret": "echoed"})
    assert b"echoed" not in answer.content


# --- files and variables ------------------------------------------------------------------------


def test_a_static_file_that_was_built_anew_is_served_whole(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT, settings.WHITENOISE_AUTOREFRESH = tmp_path, False
    file = tmp_path / "viewer.js"
    file.write_bytes(b"short")
    serve = FreshFiles(lambda _: HttpResponse(status=404))

    def asked() -> tuple[bytes, str]:
        answer = serve(RequestFactory().get("/static/viewer.js"))
        if answer.status_code == 404:
            return b"", ""
        content = b"".join(answer.streaming_content)
        answer.file_to_stream.close()
        return content, answer["Content-Length"]

    assert asked() == (b"short", "5")
    file.write_bytes(b"a longer file than it was")
    assert asked() == (b"a longer file than it was", "25")
    file.unlink()
    assert asked() == (b"", "")
    file.write_bytes(b"back")
    assert asked() == (b"back", "4")


def test_roles_that_need_a_second_factor_come_from_outside() -> None:
    told = read_environment({"LUCIDRAY_SECOND_FACTOR": "administrator, clinician"})
    assert told.second_factor == ("administrator", "clinician")
    assert set(ROLES) == set(Role.values)
    with pytest.raises(SetupError, match="surgeon"):  # a slip must not leave the door open
        read_environment({"LUCIDRAY_SECOND_FACTOR": "surgeon"})


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    variables = {
        "LUCIDRAY_DATABASE": "postgresql://room@database/room",
        "LUCIDRAY_DATABASE_PASSWORD_FILE": str(file),
        "LUCIDRAY_METRICS_TOKEN_FILE": str(file),
    }
    told = read_environment(variables)
    assert told.database()["PASSWORD"] == "from a file"
    assert told.metrics_token == "from a file"
    with pytest.raises(SetupError, match="LUCIDRAY_METRICS_TOKEN_FILE"):
        read_environment({"LUCIDRAY_METRICS_TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize("told", [{"LUCIDRAY_LOGS": "xml"}, {"LUCIDRAY_HTTPS": "perhaps"}])
def test_a_variable_that_is_not_understood_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(SetupError, match="expected"):
        read_environment(told)
