"""The care of models: shadows that no reader sees, promotion and rollback, the watch for drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

import lucidray
from lucidray.bundle import archive
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.administration.purging import destroy
from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.models import Called, InferenceRun, ModelBundle, Reading
from lucidray_clinic.care import (
    comparing,
    intensity,
    measuring,
    shadowing,
    shadows,
    watching,
    windows,
)
from lucidray_clinic.care.models import (
    DriftAlert,
    DriftCheck,
    FilmStatistics,
    Shadow,
    ShadowReading,
)
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.reports.models import Report, Reported

Enter = Callable[[User], Client]
SHIPPED = Path(lucidray.__file__).parent / "bundle" / "shipped" / "pediatric-pneumonia.lucid"


@pytest.fixture
def chief(make_user: Callable[..., User], team: Team) -> User:
    return make_user("chief", team, "administrator")


@pytest.fixture
def present(db: None) -> ModelBundle:
    return shelf.bundles().get(name="pediatric-pneumonia")


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The shipped model, which calls pneumonia at a higher probability only."""
    members = dict(archive.read(SHIPPED).members)
    card = json.loads(members["card.json"])
    card["operating_points"]["Pneumonia"]["threshold"] = 0.9999
    members["card.json"] = json.dumps(card).encode()
    path = tmp_path / "stricter.lucid"
    archive.write(path, members)
    return path


@pytest.fixture
def shadow(chief: User, present: ModelBundle, stricter: Path, film: Instance) -> Shadow:
    return shadows.install(chief, stricter, present.pk, days_back=1)


def work() -> int:
    done = 0
    while shadowing.work_once():
        done += 1
    return done


# --- shadows ------------------------------------------------------------------------------------


def test_a_model_in_the_shadow_reads_every_film_and_no_reader_sees_it(
    shadow: Shadow,
    present: ModelBundle,
    case: Case,
    film: Instance,
    add_film: Callable[..., Instance],
    clinician: User,
    sign_in: Enter,
) -> None:
    add_film(case, "child_healthy")
    assert work() == 4  # two films, two models
    done = ShadowReading.objects.filter(state=JobState.DONE)
    assert done.filter(bundle=shadow.bundle).count() == done.filter(bundle=present).count() == 2
    one = done.get(bundle=shadow.bundle, instance=film)
    assert one.image_sha256 == film.sha256
    assert not Reading.objects.exists()
    assert not Called.objects.exists()
    client = sign_in(clinician)
    offered = [each["digest"] for each in client.get(reverse("api-1:bundles")).json()]
    assert present.digest in offered
    assert shadow.bundle.digest not in offered
    seen = [
        client.get(reverse("api-1:case", args=[case.pk])).json()["readings"],
        client.get(reverse("case", args=[case.pk])).content.decode(),
        client.get(reverse("home")).content.decode(),
        client.get(reverse("quick_look")).content.decode(),
    ]
    assert seen[0] == []
    assert not any(shadow.bundle.version in str(page) for page in seen)
    assert client.get(reverse("shadow", args=[shadow.pk])).status_code == 403


def test_a_browser_cannot_keep_a_reading_of_a_model_in_the_shadow(
    shadow: Shadow, case: Case, film: Instance, clinician: User, sign_in: Enter
) -> None:
    url = reverse("api-1:server_readings", args=[case.pk])
    sent = {"instance": str(film.pk), "bundle": shadow.bundle.digest}
    answer = sign_in(clinician).post(url, sent, "application/json")
    assert answer.status_code == 404
    assert not Reading.objects.exists()


def test_the_comparison_tells_what_would_change(
    shadow: Shadow, chief: User, sign_in: Enter, film: Instance, case: Case
) -> None:
    work()
    told = comparing.compared(shadow)
    assert (told["films"], told["patients"], told["neither"]) == (1, 1, 0)
    by_name = {one["name"]: one for one in told["findings"]}
    pneumonia = by_name["Pneumonia"]
    assert (pneumonia["agreed"], pneumonia["vanish"], pneumonia["appear"]) == (0, 1, 0)
    assert list(by_name) == shadow.bundle.findings
    (now, then, differs) = pneumonia["dots"][0]
    assert now == pytest.approx(then)
    assert differs
    page = sign_in(chief).get(reverse("shadow", args=[shadow.pk])).content.decode()
    assert "Pneumonia vanishes" in page
    assert reverse("case", args=[case.pk]) in page


def test_of_each_patient_one_film_counts(
    shadow: Shadow, case: Case, add_film: Callable[..., Instance]
) -> None:
    for _ in range(3):
        add_film(case)
    work()
    told = comparing.compared(shadow)
    assert (told["films"], told["patients"]) == (4, 1)
    assert {one["patients"] for one in told["findings"]} == {1}


def test_the_cases_of_other_teams_are_counted_but_not_shown(
    shadow: Shadow, make_user: Callable[..., User], other_team: Team, sign_in: Enter, case: Case
) -> None:
    work()
    stranger = make_user("stranger", other_team, "administrator")
    page = sign_in(stranger).get(reverse("shadow", args=[shadow.pk])).content.decode()
    assert "Films read by both: 1, of patients: 1." in page
    assert reverse("case", args=[case.pk]) not in page


def test_promotion_exchanges_the_models_and_rollback_returns(
    shadow: Shadow, present: ModelBundle, chief: User, sign_in: Enter, film: Instance, case: Case
) -> None:
    client = sign_in(chief)
    client.post(reverse("promote_shadow", args=[shadow.pk]))
    assert [row.digest for row in shelf.readers() if row.name == present.name] == [
        shadow.bundle.digest
    ]
    run = runs.ask(None, film, shadow.bundle)
    runs.work_on(runs.claim(run.pk) or run)
    client.post(reverse("roll_back_shadow", args=[shadow.pk]))
    assert [row.digest for row in shelf.readers() if row.name == present.name] == [present.digest]
    kept = Reading.objects.get()  # what it said stays, with what it said it of
    assert (kept.bundle, kept.image_sha256) == (shadow.bundle, film.sha256)
    assert kept.pixels_sha256 == film.pixels_sha256
    told = AuditEvent.objects.filter(action__contains="model").order_by("number")
    assert [row.action for row in told] == [
        *("install model", "retire model"),
        *("offer model", "retire model", "promote model"),
        *("offer model", "retire model", "roll back model"),
    ]
    last = told.last()
    assert last is not None
    assert (last.actor, last.detail["model"]) == (chief, present.digest)


def test_a_shadow_is_promoted_once(shadow: Shadow, chief: User) -> None:
    shadows.promote(chief, shadow.pk)
    with pytest.raises(SiteError, match="in between"):
        shadows.promote(chief, shadow.pk)
    with pytest.raises(SiteError, match="in between"):
        shadows.stop(chief, shadow.pk)


def test_what_is_asked_for_goes_before_the_shadow(
    shadow: Shadow, film: Instance, present: ModelBundle
) -> None:
    run = runs.ask(None, film, present)
    assert not shadowing.work_once()
    InferenceRun.objects.filter(pk=run.pk).delete()
    assert shadowing.work_once()


def test_a_stopped_shadow_reads_no_more(
    shadow: Shadow, chief: User, case: Case, add_film: Callable[..., Instance]
) -> None:
    assert work() == 2
    shadows.stop(chief, shadow.pk)
    add_film(case)
    assert work() == 0


def test_a_film_that_cannot_be_read_is_given_up_and_the_others_go_on(
    shadow: Shadow, film: Instance, case: Case, add_film: Callable[..., Instance]
) -> None:
    storage.file_path(film.pk).write_bytes(b"spoiled")
    add_film(case)
    for _ in range(4):
        work()
        ShadowReading.objects.update(not_before=timezone.now())
    states = ShadowReading.objects.filter(instance=film).values_list("state", "attempts")
    assert list(states) == [(JobState.FAILED, 3)] * 2
    assert ShadowReading.objects.filter(state=JobState.DONE).count() == 2
    assert comparing.compared(shadow)["failed"] == 2


@pytest.mark.parametrize("name", ["adult-opacity", "pediatric-pneumonia"])
def test_models_without_a_finding_in_common_are_not_compared(
    chief: User, present: ModelBundle, name: str
) -> None:
    other = shelf.bundles().get(name=name)
    with pytest.raises(SiteError, match="in common"):
        shadows.start(chief, other.pk, present.pk)
    assert shelf.bundles().filter(pk=other.pk).exists()


def test_a_model_is_installed_into_the_shadow_by_a_form(
    chief: User, present: ModelBundle, stricter: Path, sign_in: Enter
) -> None:
    file = SimpleUploadedFile("new.lucid", stricter.read_bytes())
    sent = {"file": file, "beside": str(present.pk), "days": "0"}
    client = sign_in(chief)
    answer = client.post(reverse("install_shadow"), sent)
    row = Shadow.objects.get()
    assert answer["Location"] == reverse("shadow", args=[row.pk])
    assert row.bundle.retired_at is not None
    assert str(row.bundle) in client.get(reverse("care")).content.decode()


def test_a_purge_takes_shadow_readings_and_statistics_along(
    shadow: Shadow, film: Instance, patient: Patient
) -> None:
    work()
    FilmStatistics.objects.create(
        instance=film, team=patient.team, mean=0, spread=0, dark=0, bright=0
    )
    destroy(patient)
    assert not ShadowReading.objects.exists()
    assert not FilmStatistics.objects.exists()


# --- drift --------------------------------------------------------------------------------------


def fill(
    team: Team,
    bundle: ModelBundle,
    days_ago: int,
    scores: Any,
    *,
    refused: float = 0,
    films_each: int = 1,
    agree: float | None = None,
) -> None:
    """Make patients with readings of a time, as a year of use would leave them."""
    made = timezone.now() - timedelta(days=days_ago)
    generator = np.random.default_rng(days_ago)
    for number, score in enumerate(scores):
        patient = Patient.objects.create(team=team, family_name=f"P{days_ago}-{number}")
        for _ in range(films_each):
            _one(team, bundle, patient, made, float(score), generator.random() < refused, agree)


def _one(
    team: Team,
    bundle: ModelBundle,
    patient: Patient,
    made: Any,
    score: float,
    refused: bool,
    agree: float | None,
) -> None:
    case = Case.objects.create(team=team, patient=patient)
    film = Instance.objects.create(
        case=case, name="x", media_type="image/png", size=1, rows=9, columns=9, created_at=made
    )
    positive = score >= 0.5
    findings = [
        {"name": name, "probability": score, "positive": positive} for name in bundle.findings
    ]
    Reading.objects.create(
        instance=film,
        bundle=bundle,
        engine="server",
        findings=findings,
        created_at=made,
        refusal={"reason": "x", "message": "x"} if refused else None,
    )
    if agree is not None:
        _report(case, bundle, made, positive if score * 997 % 1 < agree else not positive)


def _report(
    case: Case, bundle: ModelBundle, made: Any, present: bool, certainty: str = "present"
) -> None:
    author, _ = User.objects.get_or_create(username="signer")
    report = Report.objects.create(case=case, author=author, signed_at=made, signed_by=author)
    Reported.objects.bulk_create(
        Reported(report=report, team=case.team, case=case, finding=name, certainty=certainty)
        for name in bundle.findings
        if present
    )


def measured(check: DriftCheck, kind: str, what: str = "") -> dict[str, Any]:
    return next(one for one in check.measures if (one["kind"], one["what"]) == (kind, what))


def even(count: int, low: float = 0.0, high: float = 1.0) -> Any:
    return np.random.default_rng(count).permutation(np.linspace(low, high, count))


def test_the_same_patients_raise_no_alert(team: Team, present: ModelBundle) -> None:
    fill(team, present, 100, even(110), agree=0.9)
    fill(team, present, 5, even(120), agree=0.9)
    check = watching.look_at(present)
    assert {one["state"] for one in check.measures} == {"ok"}
    assert not DriftAlert.objects.exists()


def test_scores_that_have_moved_alarm_once_until_they_are_back(
    team: Team, present: ModelBundle, chief: User, sign_in: Enter
) -> None:
    fill(team, present, 100, even(110))
    fill(team, present, 5, even(110, 0.6, 1.0))
    check = watching.look_at(present)
    moved = measured(check, "scores", "Pneumonia")
    assert moved["state"] == "moved"
    assert (moved["reference"], moved["current"]) == (110, 110)
    assert moved["before"] == pytest.approx(0.5)
    assert moved["now"] == pytest.approx(0.8)
    assert moved["psi"] > 0.5
    watching.look_at(present)
    assert DriftAlert.objects.filter(kind="scores").count() == len(present.findings)
    client = sign_in(chief)
    assert "have moved" in client.get(reverse("home")).content.decode()
    page = client.get(reverse("care")).content.decode()
    assert "Score of Pneumonia" in page
    assert "<svg" in page
    for alert in DriftAlert.objects.all():
        client.post(reverse("drift_seen", args=[alert.pk]))
    assert "have moved" not in client.get(reverse("home")).content.decode()
    Reading.objects.filter(created_at__gte=timezone.now() - timedelta(days=28)).delete()
    fill(team, present, 4, even(110))
    watching.look_at(present)
    assert not watching.open_alerts().exists()
    assert AuditEvent.objects.filter(action="drift").count() == len(present.findings)


def test_films_of_few_patients_tell_nothing(team: Team, present: ModelBundle) -> None:
    fill(team, present, 100, even(20), films_each=4)  # 80 films, 20 patients
    fill(team, present, 5, even(20, 0.8, 1.0), films_each=4)
    check = watching.look_at(present)
    assert {one["state"] for one in check.measures} == {"few"}
    assert measured(check, "scores", "Pneumonia")["current"] == 20


def test_refusals_that_rise_alarm(team: Team, present: ModelBundle) -> None:
    fill(team, present, 100, even(60), refused=0.02)
    fill(team, present, 5, even(60), refused=0.5)
    one = measured(watching.look_at(present), "refusals")
    assert one["state"] == "moved"
    assert one["now"] - one["before"] > 0.3


def test_agreement_with_signed_reports_that_falls_alarms(team: Team, present: ModelBundle) -> None:
    fill(team, present, 100, even(60), agree=1.0)
    fill(team, present, 5, even(60), agree=0.4)
    one = measured(watching.look_at(present), "agreement")
    assert one["before"] == 1
    assert 0.2 < one["now"] < 0.6
    assert one["state"] == "moved"


@pytest.mark.parametrize(
    ("certainty", "agreed"), [("present", [True]), ("absent", [False]), ("possible", [])]
)
def test_what_a_report_calls_possible_is_passed_over(
    team: Team, present: ModelBundle, certainty: str, agreed: list[bool]
) -> None:
    fill(team, present, 5, [0.9])
    case = Case.objects.get()
    _report(case, present, timezone.now(), True, certainty)
    seen = windows.readings_in(present, windows.windows_of(present)[1])
    assert [one for _, one in windows.agreements(seen)] == agreed


def test_chance_alone_seldom_alarms(present: ModelBundle) -> None:
    generator = np.random.default_rng(0)

    def seen(number: int) -> list[windows.Seen]:
        now = timezone.now()
        return [
            windows.Seen(n, n, now, {"a": {"probability": p, "positive": p > 0.5}}, False, False)
            for n, p in enumerate(generator.random(number))
        ]

    alarms = 0
    for _ in range(60):
        told = measuring.of_model(["a"], seen(150), seen(150), ([], []))
        alarms += any(one["state"] == "moved" for one in told)
    assert alarms == 0


def test_brightness_is_that_of_the_picture(film: Instance) -> None:
    Image.new("L", (20, 10), 51).save(storage.picture_path(film.pk), "JPEG", quality=100)
    assert intensity.measure_new() == 1
    row = FilmStatistics.objects.get()
    assert (row.mean, row.spread, row.dark, row.bright) == pytest.approx((0.2, 0, 0, 0), abs=0.005)
    assert intensity.measure_new() == 0
    half = np.repeat(np.array([0, 255], np.uint8), 50)[None]
    assert intensity.statistics_of(half) == {"mean": 0.5, "spread": 0.5, "dark": 0.5, "bright": 0.5}


def test_films_that_come_darker_alarm(team: Team) -> None:
    for days_ago, mean in ((100, 0.5), (5, 0.35)):
        made = timezone.now() - timedelta(days=days_ago)
        for value in even(105, mean - 0.1, mean + 0.1):
            patient = Patient.objects.create(team=team, family_name="X")
            case = Case.objects.create(team=team, patient=patient)
            film = Instance.objects.create(
                case=case, name="x", media_type="", size=1, rows=9, columns=9, created_at=made
            )
            FilmStatistics.objects.create(
                instance=film, team=team, mean=value, spread=0.2, dark=0.1, bright=0.1
            )
    check = watching.look_at(None)
    assert measured(check, "films", "mean")["state"] == "moved"
    assert measured(check, "films", "spread")["state"] == "ok"
    assert DriftAlert.objects.get().what == "mean"


def test_an_administrator_takes_a_new_reference(
    team: Team, present: ModelBundle, chief: User, sign_in: Enter
) -> None:
    fill(team, present, 200, [0.5])
    assert windows.windows_of(present)[0].start < timezone.now() - timedelta(days=199)
    sign_in(chief).post(reverse("drift_reference"), {"bundle": str(present.pk)})
    reference, current = windows.windows_of(present)
    assert reference.end == current.start
    assert reference.start > timezone.now() - timedelta(days=windows.REFERENCE_DAYS + 1)
    assert windows.windows_of(None)[0].start < timezone.now() - timedelta(days=199)


def test_the_watch_looks_once_a_day(present: ModelBundle) -> None:
    watching.work_once()
    looked = DriftCheck.objects.count()
    assert looked == 1 + shelf.readers().count()
    watching.work_once()
    assert DriftCheck.objects.count() == looked
    DriftCheck.objects.update(created_at=timezone.now() - timedelta(hours=25))
    watching.work_once()
    assert DriftCheck.objects.count() == 2 * looked


def test_the_command_looks_at_once(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("watch")
    said = capsys.readouterr().out
    assert "Films: 0 moved, 0 in order, 4 with too few patients" in said
