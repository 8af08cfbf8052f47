"""Models on the shelf; readings from the browser and the server; reveal; maps; quick look."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import lucidray
from lucidray.bundle import load_bundle
from lucidray.images import read_xray
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.administration.purging import destroy
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.inference import judge_file
from lucidray_clinic.analyses.models import (
    Called,
    FirstOpinion,
    InferenceRun,
    ModelBundle,
    Reading,
    RunState,
)
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import jobs
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.models import Patient

EXAMPLES = Path(lucidray.__file__).parent / "examples"
SHIPPED = Path(lucidray.__file__).parent / "bundle" / "shipped"
Enter = Callable[[User], Client]


@pytest.fixture
def bundle(db: None) -> ModelBundle:
    return shelf.bundles().get(name="pediatric-pneumonia")


def post(client: Client, url: str, body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def answer(film: Instance, bundle: ModelBundle) -> dict[str, Any]:
    """What a browser would send: here, the library's own numbers."""
    said = judge_file(storage.file_path(film.pk), bundle)
    return {
        "instance": str(film.pk),
        "bundle_digest": bundle.digest,
        "engine": "browser",
        "refused": said.refusal,
        "findings": [
            {key: each[key] for key in ("name", "logit", "probability", "positive")}
            for each in said.findings
        ],
        "pixels_sha256": film.pixels_sha256,
        "self_test": {"passed": True, "probability_difference": 1e-7},
    }


def readings_url(case: Case) -> str:
    return reverse("api-1:readings", args=[case.pk])


def test_shipped_bundles_are_on_the_shelf_once(db: None) -> None:
    names = [row.name for row in shelf.bundles()]
    assert names == ["adult-opacity", "lung-fields", "pediatric-pneumonia"]
    assert [row.pk for row in shelf.bundles()] == [row.pk for row in shelf.bundles()]
    assert [row.name for row in shelf.readers()] == ["pediatric-pneumonia", "adult-opacity"]


def test_bundles_are_told_with_thresholds_and_trust(clinician: User, sign_in: Enter) -> None:
    told = sign_in(clinician).get(reverse("api-1:bundles")).json()
    one = next(each for each in told if each["name"] == "pediatric-pneumonia")
    model = load_bundle("pediatric-pneumonia", threads=1)
    assert one["digest"] == model.digest
    assert {each["name"]: each["threshold"] for each in one["findings"]} == dict(
        model.operating_points
    )
    said = model.card.explanation_verdicts
    assert {each["name"]: each["trust"] for each in one["findings"]} == dict(said)
    outlines = next(each for each in told if each["name"] == "lung-fields")
    assert all("not been measured" in each["trust"] for each in outlines["findings"])


def test_bundles_and_cases_tell_whose_films_they_are_for(
    clinician: User, sign_in: Enter, case: Case
) -> None:
    client = sign_in(clinician)
    told = {each["name"]: each for each in client.get(reverse("api-1:bundles")).json()}
    assert told["pediatric-pneumonia"]["ages_years"] == [0, 17]
    assert told["adult-opacity"]["ages_years"] == [18, 150]
    url = reverse("api-1:case", args=[case.pk])
    assert client.get(url).json()["patient"]["age_years"] is None
    Patient.objects.filter(pk=case.patient_id).update(birth_date=date(2016, 6, 2))
    Case.objects.filter(pk=case.pk).update(acquired_on=date(2020, 6, 1))
    assert client.get(url).json()["patient"]["age_years"] == 3


def test_the_file_of_a_bundle_is_the_file(clinician: User, sign_in: Enter) -> None:
    row = shelf.bundles().get(name="lung-fields")
    answer = sign_in(clinician).get(reverse("api-1:bundle_file", args=[row.digest]))
    data = b"".join(answer.streaming_content)
    assert data == (SHIPPED / "lung-fields.lucid").read_bytes()
    assert answer["Content-Length"] == str(len(data)) == str(row.size)
    assert "immutable" in answer["Cache-Control"]


def test_a_browsers_reading_is_kept_once(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    client, body = sign_in(clinician), answer(film, bundle)
    told = post(client, readings_url(case), body)
    assert told.status_code == 201, told.content
    assert post(client, readings_url(case), body).json()["id"] == told.json()["id"]
    reading = Reading.objects.get()
    assert (reading.engine, reading.made_by) == ("browser", clinician)
    expected = load_bundle("pediatric-pneumonia", threads=1)
    xray = read_xray(storage.file_path(film.pk))
    probabilities = expected.predict(xray).probabilities
    assert [each["probability"] for each in reading.findings] == pytest.approx(probabilities)
    assert Called.objects.filter(reading=reading).count() == len(bundle.findings)
    assert AuditEvent.objects.filter(action="analyze").count() == 1
    whole = client.get(reverse("api-1:case", args=[case.pk])).json()
    assert [each["id"] for each in whole["readings"]] == [told.json()["id"]]
    assert whole["revealed"] is True
    assert {"name": "Pneumonia", "title": "Pneumonia"} in whole["findings"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"self_test": {"passed": False}}, "self_test"),
        ({"bundle_digest": "0" * 64}, "unknown_bundle"),
        ({"findings": []}, "implausible"),
    ],
)
def test_what_cannot_be_a_reading_is_refused(
    clinician: User,
    sign_in: Enter,
    case: Case,
    film: Instance,
    bundle: ModelBundle,
    change: dict[str, Any],
    code: str,
) -> None:
    told = post(sign_in(clinician), readings_url(case), answer(film, bundle) | change)
    assert (told.status_code, told.json()["error"]["code"]) == (400, code)
    assert not Reading.objects.exists()


@pytest.mark.parametrize("field", ["probability", "logit", "positive"])
def test_numbers_that_do_not_belong_together_are_refused(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle, field: str
) -> None:
    body = answer(film, bundle)
    one = body["findings"][0]
    one[field] = not one[field] if field == "positive" else one[field] * 0.5
    told = post(sign_in(clinician), readings_url(case), body)
    assert (told.status_code, told.json()["error"]["code"]) == (400, "implausible")


def test_malformed_numbers_are_refused_by_name(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    body = answer(film, bundle)
    body["findings"][0]["probability"] = 1.5
    told = post(sign_in(clinician), readings_url(case), body)
    assert told.status_code == 422
    assert "probability" in told.json()["error"]["hint"]


def test_a_refused_film_has_no_numbers_and_no_maps(
    clinician: User, sign_in: Enter, case: Case, add_film: Any, bundle: ModelBundle
) -> None:
    hand = add_film(case, "not_judged_hand")
    client = sign_in(clinician)
    url = reverse("api-1:server_readings", args=[case.pk])
    told = post(client, url, {"instance": str(hand.pk), "bundle": bundle.digest}).json()
    assert told["refused"]["reason"]
    assert told["verdict"].startswith("No reliable result")
    assert told["findings"] == []
    assert not Called.objects.exists()
    assert client.get(told["maps_url"]).status_code == 404
    assert "normal" not in json.dumps(told).lower()


def test_the_server_reads_once_and_tells_maps(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    client, url = sign_in(clinician), reverse("api-1:server_readings", args=[case.pk])
    body = {"instance": str(film.pk), "bundle": bundle.digest}
    told = post(client, url, body)
    assert told.status_code == 201, told.content
    assert post(client, url, body).json()["id"] == told.json()["id"]
    assert Reading.objects.count() == InferenceRun.objects.count() == 1
    answer = client.get(told.json()["maps_url"])
    header, raw = answer.content.split(b"\n", 1)
    facts = json.loads(header)
    maps = np.frombuffer(raw, "<f4").reshape(facts["shape"])
    expected = load_bundle("pediatric-pneumonia", threads=1).maps(
        read_xray(storage.file_path(film.pk))
    )
    assert maps == pytest.approx(expected, abs=1e-6)
    assert facts["findings"] == bundle.findings
    assert "not a lesion outline" in facts["notice"]


def test_maps_of_a_browsers_reading_are_made_when_asked_for(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    client = sign_in(clinician)
    told = post(client, readings_url(case), answer(film, bundle)).json()
    header, raw = client.get(told["maps_url"]).content.split(b"\n", 1)
    assert len(raw) == 4 * int(np.prod(json.loads(header)["shape"]))


def test_browser_and_server_agree(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    client = sign_in(clinician)
    one = post(client, readings_url(case), answer(film, bundle)).json()
    url = reverse("api-1:server_readings", args=[case.pk])
    two = post(client, url, {"instance": str(film.pk), "bundle": bundle.digest}).json()
    first, second = (
        {each["name"]: each["probability"] for each in told["findings"]} for told in (one, two)
    )
    assert first == pytest.approx(second, abs=1e-4)
    assert Reading.objects.count() == 2  # the earlier result stays


def test_a_reading_cannot_be_changed(
    clinician: User, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    run = runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        Reading.objects.filter(pk=run.reading_id).update(findings=[])


def test_read_first_hides_until_the_opinion_is_locked(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    reading = Reading.objects.get()
    Case.objects.filter(pk=case.pk).update(read_first=True)
    client = sign_in(clinician)
    whole = client.get(reverse("api-1:case", args=[case.pk])).json()
    assert (whole["revealed"], whole["readings"]) == (False, [])
    assert client.get(reverse("api-1:reading", args=[reading.pk])).status_code == 404
    assert client.get(reverse("api-1:reading_maps", args=[reading.pk])).status_code == 404
    assert "Pneumonia" not in client.get(reverse("case", args=[case.pk])).content.decode()
    refused = post(client, readings_url(case), answer(film, bundle))
    assert refused.json()["error"]["code"] == "read_first"
    url = reverse("api-1:reveal", args=[case.pk])
    opinion = {"first_opinion": [{"finding": "Pneumonia", "certainty": 0.6}], "seconds": 12}
    assert len(post(client, url, opinion).json()["readings"]) == 1
    again = post(client, url, {"first_opinion": []}).json()
    assert again["first_opinion"] == [{"finding": "Pneumonia", "certainty": 0.6}]
    assert client.get(reverse("api-1:case", args=[case.pk])).json()["revealed"] is True


def test_a_first_opinion_is_locked_in_the_database(clinician: User, case: Case) -> None:
    row = FirstOpinion.objects.create(case=case, reader=clinician, findings=[])
    with pytest.raises(DatabaseError, match="locked"), transaction.atomic():
        FirstOpinion.objects.filter(pk=row.pk).update(findings=[{"finding": "Mass"}])


def test_an_unknown_finding_is_no_opinion(clinician: User, sign_in: Enter, case: Case) -> None:
    url = reverse("api-1:reveal", args=[case.pk])
    told = post(sign_in(clinician), url, {"first_opinion": [{"finding": "Headache"}]})
    assert told.json()["error"]["code"] == "unknown_finding"


def test_a_dead_workers_run_is_done_once_by_another(
    clinician: User, film: Instance, bundle: ModelBundle
) -> None:
    runs.ask(clinician, film, bundle)
    dead = runs.claim()
    assert dead is not None
    assert runs.claim() is None, "the lease holds"
    past = timezone.now() - timedelta(seconds=1)
    InferenceRun.objects.update(lease_until=past)
    alive = runs.claim()
    assert alive is not None
    assert (alive.attempts, alive.lease != dead.lease) == (2, True)
    reading = runs.work_on(alive)
    assert reading is not None
    said = judge_file(storage.file_path(film.pk), bundle)
    assert runs.finish(dead, said) is None, "the first worker wakes up too late"
    assert Reading.objects.count() == 1
    run = InferenceRun.objects.get()
    assert (run.state, run.reading) == (RunState.DONE, reading)


def test_a_poisoned_film_is_given_up_after_three_tries_and_others_go_on(
    clinician: User, case: Case, add_film: Any, film: Instance, bundle: ModelBundle
) -> None:
    poison = add_film(case)
    storage.file_path(poison.pk).write_bytes(b"no film at all")
    runs.ask(clinician, poison, bundle)
    runs.ask(clinician, film, bundle)
    for _ in range(6):
        InferenceRun.objects.filter(state=RunState.WAITING).update(not_before=timezone.now())
        runs.work_once()
    failed, done = (InferenceRun.objects.get(instance=one) for one in (poison, film))
    assert (failed.state, failed.attempts) == (RunState.FAILED, 3)
    assert failed.error
    assert done.state == RunState.DONE
    runs.ask(clinician, poison, bundle)
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == (RunState.WAITING, 0), "asked for anew"


def test_three_dead_workers_are_enough(
    clinician: User, film: Instance, bundle: ModelBundle
) -> None:
    runs.ask(clinician, film, bundle)
    for _ in range(3):
        assert runs.claim() is not None
        InferenceRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runs.claim() is None
    assert InferenceRun.objects.get().state == RunState.FAILED


def test_a_renewed_lease_is_kept(clinician: User, film: Instance, bundle: ModelBundle) -> None:
    runs.ask(clinician, film, bundle)
    run = runs.claim()
    assert run is not None
    assert jobs.renew(run)
    InferenceRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runs.claim() is not None
    assert not jobs.renew(run)


def test_an_unreadable_film_says_so(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    storage.file_path(film.pk).write_bytes(b"gone bad")
    url = reverse("api-1:server_readings", args=[case.pk])
    told = post(sign_in(clinician), url, {"instance": str(film.pk), "bundle": bundle.digest})
    assert (told.status_code, told.json()["error"]["code"]) == (400, "reading_failed")


def test_quick_look_stores_nothing(
    clinician: User, sign_in: Enter, bundle: ModelBundle, settings: Any
) -> None:
    data = (EXAMPLES / "child_pneumonia_a.jpg").read_bytes()
    film = SimpleUploadedFile("film.jpg", data, "image/jpeg")
    before = set(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())
    url = reverse("api-1:quick_look_server")
    told = sign_in(clinician).post(url, {"film": film, "bundle": bundle.digest})
    assert told.status_code == 200, told.content
    expected = load_bundle("pediatric-pneumonia", threads=1).read(
        read_xray(EXAMPLES / "child_pneumonia_a.jpg")
    )
    found = {each["name"]: each["probability"] for each in told.json()["findings"]}
    assert [found[name] for name in bundle.findings] == pytest.approx(
        expected.prediction.probabilities
    )
    assert np.array(told.json()["maps"]) == pytest.approx(expected.maps, abs=1e-5)
    assert not Reading.objects.exists()
    assert not Instance.everything.exists()
    assert set(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == before


def test_quick_look_refuses_what_is_no_film(
    clinician: User, sign_in: Enter, bundle: ModelBundle
) -> None:
    film = SimpleUploadedFile("film.png", b"not a film", "image/png")
    url = reverse("api-1:quick_look_server")
    told = sign_in(clinician).post(url, {"film": film, "bundle": bundle.digest})
    assert told.status_code == 400
    assert told.json()["error"]["message"]


@pytest.mark.parametrize(
    ("role", "status"),
    [("clinician", 201), ("reader", 201), ("researcher", 403), ("administrator", 403)],
)
def test_who_may_keep_readings(
    make_user: Any,
    team: Team,
    sign_in: Enter,
    case: Case,
    film: Instance,
    bundle: ModelBundle,
    role: str,
    status: int,
) -> None:
    client = sign_in(make_user("somebody", team, role))
    assert post(client, readings_url(case), answer(film, bundle)).status_code == status
    opinion = post(client, reverse("api-1:reveal", args=[case.pk]), {"first_opinion": []})
    assert opinion.status_code == (200 if status == 201 else 403)
    asked = {"instance": str(film.pk), "bundle": bundle.digest}
    url = reverse("api-1:server_readings", args=[case.pk])
    assert post(client, url, asked).status_code == status


def test_other_teams_find_nothing(
    outsider: User,
    clinician: User,
    sign_in: Enter,
    case: Case,
    film: Instance,
    bundle: ModelBundle,
) -> None:
    runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    reading, client = Reading.objects.get(), sign_in(outsider)
    for name, args in (("reading", [reading.pk]), ("reading_maps", [reading.pk])):
        assert client.get(reverse(f"api-1:{name}", args=args)).status_code == 404
    assert post(client, readings_url(case), answer(film, bundle)).status_code == 404
    assert (
        post(client, reverse("api-1:reveal", args=[case.pk]), {"first_opinion": []}).status_code
        == 404
    )


def test_nobody_reads_without_signing_in(client: Client, db: None) -> None:
    answer = client.get(reverse("api-1:bundles"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "signed_out")


def test_posting_needs_the_token_against_forgery(clinician: User, case: Case) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinician, "allauth.account.auth_backends.AuthenticationBackend")
    assert (
        post(client, reverse("api-1:reveal", args=[case.pk]), {"first_opinion": []}).status_code
        == 403
    )


def test_administrators_install_retire_and_offer_models(
    make_user: Any, team: Team, sign_in: Enter, tmp_path: Path, settings: Any
) -> None:
    chief = make_user("chief", team, "administrator")
    client = sign_in(chief)
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    assert client.post(reverse("retire_model", args=[bundle.pk])).status_code == 302
    assert bundle not in shelf.bundles()
    data = (SHIPPED / "pediatric-pneumonia.lucid").read_bytes()
    file = SimpleUploadedFile("again.lucid", data)
    assert client.post(reverse("install_model"), {"file": file}).status_code == 302
    assert bundle in shelf.bundles(), "the same bytes are the same model, offered again"
    lying = set(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.received"))
    broken = SimpleUploadedFile("broken.lucid", data[:-100] + bytes(100))
    answer = client.post(reverse("install_model"), {"file": broken})
    assert answer.status_code == 400
    assert "changed after it was written" in answer.content.decode()
    assert set(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.received")) == lying


def test_an_installed_model_keeps_its_own_file(
    make_user: Any, team: Team, tmp_path: Path, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = make_user("chief", team, "administrator")
    path = tmp_path / "own.lucid"
    shutil.copyfile(SHIPPED / "adult-opacity.lucid", path)
    monkeypatch.setattr(shelf, "_shipped", list)
    row = shelf.install(chief, path)
    path.unlink()
    assert shelf.file_of(row).is_file()
    assert shelf.loaded(row).digest == row.digest
    shelf.file_of(row).unlink()
    with pytest.raises(SiteError, match="missing"):
        shelf.loaded(row)


def test_only_administrators_manage_models(clinician: User, sign_in: Enter, db: None) -> None:
    bundle = shelf.bundles().get(name="pediatric-pneumonia")
    client = sign_in(clinician)
    assert client.post(reverse("retire_model", args=[bundle.pk])).status_code == 403
    assert client.post(reverse("offer_model", args=[bundle.pk])).status_code == 403
    assert client.post(reverse("install_model")).status_code == 403


def test_pages_of_models(clinician: User, sign_in: Enter, db: None) -> None:
    client = sign_in(clinician)
    page = client.get(reverse("models")).content.decode()
    assert "pediatric-pneumonia" in page
    first, second = shelf.readers()
    card = client.get(reverse("model", args=[first.pk])).content.decode()
    assert first.digest in card
    assert "lies outside the lungs" in card
    pair = {"first": first.pk, "second": second.pk}
    compared = client.get(reverse("compare_models"), pair)
    assert compared.status_code == 200
    assert "other weights" in compared.content.decode()
    assert client.get(reverse("compare_models")).status_code == 400


def test_quick_look_page_carries_its_setting(clinician: User, sign_in: Enter) -> None:
    page = sign_in(clinician).get(reverse("quick_look")).content.decode()
    assert '<script id="viewer-config" type="application/json">' in page
    assert 'data-mode="quicklook"' in page


def test_a_cases_page_tells_what_models_said(
    clinician: User, sign_in: Enter, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    page = sign_in(clinician).get(reverse("case", args=[case.pk])).content.decode()
    assert "Bacterial Pneumonia" in page
    assert bundle.version in page


def test_the_interface_is_described(clinician: User, sign_in: Enter) -> None:
    told = sign_in(clinician).get("/api/v1/openapi.json").json()
    for path in ("/api/v1/bundles", "/api/v1/cases/{case}/readings", "/api/v1/quicklook/server"):
        assert path in told["paths"]
        for operation in told["paths"][path].values():
            assert operation["description"]


def test_a_worker_does_what_waits_and_stops(
    clinician: User, film: Instance, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.ask(None, film, bundle)
    call_command("work", "--once")
    assert InferenceRun.objects.get().state == RunState.DONE
    assert "1 jobs" in capsys.readouterr().out


def test_a_purge_takes_readings_with_it(
    clinician: User, case: Case, film: Instance, bundle: ModelBundle
) -> None:
    runs.read_on_server(clinician, case.pk, film.pk, bundle.digest)
    FirstOpinion.objects.create(case=case, reader=clinician, findings=[])
    destroy(case.patient)
    assert not Reading.objects.exists()
    assert not Case.everything.exists()
