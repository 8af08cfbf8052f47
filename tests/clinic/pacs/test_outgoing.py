"""Results that go out: the same objects however often, tried again ever more slowly, then told."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import highdicom
import pydicom
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lucidray.dicom import read_sr, statement_of, validate
from lucidray.dicom.files import to_bytes
from lucidray.pipeline import diagnose
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.administration.purging import destroy
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.analyses.shelf import loaded
from lucidray_clinic.annotations.models import Box
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import handing, saying, sending, traffic
from lucidray_clinic.pacs.models import Arrival, Delivery, Peer, Rule
from lucidray_clinic.reports import services as reports

Film = Callable[..., Any]
Send = Callable[..., Arrival]
Work = Callable[[], None]


@pytest.fixture
def delivery(rule: Rule, make_film: Film, send: Send, work: Work) -> Delivery:
    """The result of a film that came and was read."""
    send(make_film())
    work()
    row: Delivery = Delivery.objects.get()
    return row


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[list[pydicom.Dataset]]:
    """An archive that takes everything, and what it was given each time."""
    given: list[list[pydicom.Dataset]] = []

    def hand_over(peer: Peer, objects: list[pydicom.Dataset]) -> tuple[str | None, bool]:
        given.append(objects)
        return None, False

    monkeypatch.setattr(sending, "hand_over", hand_over)
    return given


def positive(reading: Reading) -> None:
    """Let a reading have called something, with a box and a map; rows themselves never change."""
    name = reading.bundle.findings[0]
    told = [
        {**each, "positive": True} if each["name"] == name else each for each in reading.findings
    ]
    facts = {**reading.map_facts, "boxes": {name: [[10, 20, 60, 70]]}}
    reading.findings, reading.map_facts, reading.refusal = told, facts, None


def test_a_result_says_what_the_library_says_of_the_film(delivery: Delivery) -> None:
    reading = delivery.reading
    assert reading is not None
    diagnosis = diagnose(storage.file_path(delivery.instance_id), loaded(reading.bundle))
    expected = statement_of(diagnosis)
    said = saying.statement_of_reading(reading)
    assert said.findings == expected.findings
    assert (said.refusal, said.refer, said.calibrated) == (
        expected.refusal,
        expected.refer,
        expected.calibrated,
    )
    assert (said.algorithm.name, said.algorithm.version) == (
        expected.algorithm.name,
        expected.algorithm.version,
    )


def test_objects_are_valid_readable_and_the_same_each_time(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    positive(delivery.reading)
    delivery.pictures = True
    first, second = saying.objects_for(delivery), saying.objects_for(delivery)
    assert set(first) == {"sr", "gsps", "kos", "sc_1"}
    for name, one in first.items():
        assert to_bytes(one) == to_bytes(second[name])
        assert (one.PatientID, one.StudyInstanceUID) == ("P1", "1.2.3.1")
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(to_bytes(one))
        assert validate(path).errors == ()
    back = read_sr(tmp_path / "sr.dcm").statement
    assert back.findings == saying.statement_of_reading(delivery.reading).findings
    assert back.findings[0].boxes == ((10, 20, 60, 70),)
    other = highdicom.sr.srread(io.BytesIO(to_bytes(first["sr"])))
    assert other.content.get_planar_roi_measurement_groups()
    assert first["sr"].VerificationFlag == "UNVERIFIED"


def test_a_later_version_sends_again_what_this_one_sent(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saying.objects_for(delivery)["sr"].SOPInstanceUID
    monkeypatch.setattr("lucidray_clinic.pacs.answering.version", lambda _: "99")
    assert saying.objects_for(delivery)["sr"].SOPInstanceUID == before
    delivery.software = "99"
    assert saying.objects_for(delivery)["sr"].SOPInstanceUID != before


def test_a_refused_film_is_answered_without_numbers(delivery: Delivery) -> None:
    reading = delivery.reading
    assert reading is not None
    reading.refusal = {"reason": "out_of_distribution", "message": "no chest film"}
    report = read_bytes(saying.objects_for(delivery)["sr"])
    assert report.statement.refusal == ("out_of_distribution", "no chest film")
    assert report.statement.findings == ()


def read_bytes(dataset: pydicom.Dataset) -> Any:
    """Read a report as whoever gets it does."""
    return read_sr(pydicom.dcmread(io.BytesIO(to_bytes(dataset))))


def test_what_arrives_is_done_and_audited(delivery: Delivery, taken: list[Any]) -> None:
    assert sending.send_once()
    assert not sending.send_once()
    delivery.refresh_from_db()
    assert delivery.state == JobState.DONE
    kinds = [one["kind"] for one in delivery.objects_sent]
    assert kinds[0] == "sr"
    assert kinds[-1] == "kos"
    assert [one["uid"] for one in delivery.objects_sent] == [one.SOPInstanceUID for one in taken[0]]
    event = AuditEvent.objects.filter(action="send").get()
    assert (event.object_id, event.patient_id) == (
        str(delivery.pk),
        str(delivery.instance.case.patient_id),
    )


def test_what_does_not_arrive_is_tried_ever_more_slowly_then_told(
    delivery: Delivery, make_user: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = make_user("chief", team, "administrator")
    monkeypatch.setattr(sending, "hand_over", lambda *_: ("nobody answers there", False))
    waits = []
    for _ in range(len(sending.PAUSES_S) + 1):
        assert sending.send_once()
        assert not sending.send_once(), "not before it is time"
        delivery.refresh_from_db()
        waits.append(round((delivery.not_before - timezone.now()).total_seconds()))
        Delivery.everything.update(not_before=timezone.now())
        Peer.objects.update(quiet_until=None)
    assert waits[:-1] == [pytest.approx(one, abs=5) for one in sending.PAUSES_S]
    assert (delivery.state, delivery.error) == (JobState.FAILED, "nobody answers there")
    assert traffic.alerts_of(chief)["deliveries"] == 1
    traffic.send_again(chief, delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (JobState.WAITING, 0)
    assert not traffic.alerts_of(chief).get("deliveries")


def test_what_an_archive_never_takes_is_not_tried_again(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "hand_over", lambda *_: ("does not take such", True))
    sending.send_once()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (JobState.FAILED, 1)
    assert Peer.objects.get().failing_since is None


def test_an_archive_that_is_silent_is_left_in_peace_and_told_of(
    rule: Rule,
    make_film: Film,
    send: Send,
    work: Work,
    make_user: Any,
    team: Team,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chief, tried = make_user("chief", team, "administrator"), []
    for number in (1, 2, 3):
        send(make_film(number))
    work()

    def silent(peer: Peer, _: Any) -> tuple[str, bool]:
        tried.append(peer)
        return "nobody answers there", False

    monkeypatch.setattr(sending, "hand_over", silent)
    while sending.send_once():
        pass
    assert len(tried) == 1, "the others wait until the archive may be there again"
    assert traffic.alerts_of(chief) == {}
    Peer.objects.update(failing_since=timezone.now() - timedelta(hours=1), quiet_until=None)
    assert [peer.name for peer in traffic.alerts_of(chief)["silent"]] == ["Archive"]
    monkeypatch.setattr(sending, "hand_over", lambda *_: (None, False))
    Delivery.everything.update(not_before=timezone.now())
    while sending.send_once():
        pass
    assert set(Delivery.everything.values_list("state", flat=True)) == {JobState.DONE}
    assert traffic.alerts_of(chief) == {}


def test_a_worker_that_dies_while_it_sends_sends_the_same_again(
    delivery: Delivery, taken: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sending, "_arrived", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        sending.send_once()
    assert not sending.send_once()
    Delivery.everything.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sending.send_once()
    first, second = ([one.SOPInstanceUID for one in some] for some in taken)
    assert first == second


@pytest.fixture
def signed(delivery: Delivery, clinician: User) -> Any:
    """The signed report of the film's case."""
    case, name = Case.objects.get(), delivery.reading.bundle.findings[0]
    values = {
        "findings": [
            {"finding": name, "certainty": "probable", "note": ""},
            {"finding": "Nodule", "certainty": "absent", "note": ""},
        ],
        "comparison": "",
        "impression": "Something is there.",
        "reading": delivery.reading,
        "key_images": [],
    }
    Box.objects.create(
        case=case,
        instance=delivery.instance,
        author=clinician,
        finding=name,
        **{"x_min": 5.5, "y_min": 6, "x_max": 50.2, "y_max": 70},
    )
    reports.save_draft(clinician, case.pk, 0, values)
    return reports.sign(clinician, case.pk, 1, "a long enough password")


def test_a_signed_report_goes_out_verified_with_the_signers_boxes(
    signed: Any, clinician: User, peer: Peer, taken: list[Any], team: Team
) -> None:
    User.objects.filter(pk=clinician.pk).update(last_name="House", first_name="Gregory")
    Delivery.everything.all().delete()
    row = handing.send_report(clinician, signed.case_id, peer.pk)
    assert handing.send_report(clinician, signed.case_id, peer.pk).pk == row.pk
    assert sending.send_once()
    (objects,) = taken
    report = read_bytes(objects[0])
    assert objects[0].VerificationFlag == "VERIFIED"
    assert report.statement.verified.name == "House^Gregory"
    assert report.statement.verified.organization == team.name
    found, absent = report.statement.findings
    assert (found.present, found.boxes, found.method) == (True, ((5, 6, 51, 70),), None)
    assert found.probability is not None
    assert (absent.name, absent.present, absent.probability) == ("Nodule", False, None)


def test_only_signed_reports_go_out(
    delivery: Delivery, clinician: User, peer: Peer, make_user: Any, team: Team
) -> None:
    case = Case.objects.get()
    values = {"findings": [], "comparison": "", "impression": "x", "reading": None}
    reports.save_draft(clinician, case.pk, 0, {**values, "key_images": []})
    with pytest.raises(SiteError, match="signed"):
        handing.send_report(clinician, case.pk, peer.pk)


def test_a_film_that_is_no_dicom_cannot_be_answered(delivery: Delivery, taken: list[Any]) -> None:
    delivery.instance.media_type = "image/png"
    with pytest.raises(SiteError, match="no DICOM image"):
        saying.objects_for(delivery)


def test_pages_send_readings_and_reports(
    signed: Any, clinician: User, peer: Peer, sign_in: Callable[[User], Client]
) -> None:
    client, case = sign_in(clinician), signed.case_id
    other = Peer.objects.create(name="Other", ae_title="OTHER", way="web", web_url="http://h/dw")
    assert "Send to PACS" in client.get(reverse("report", args=[case])).content.decode()
    told = client.post(reverse("pacs_send_report", args=[case]), {"peer": other.pk})
    assert told.status_code == 302
    assert Delivery.objects.get(peer=other).report == signed
    page = client.get(reverse("case", args=[case])).content.decode()
    assert "Signed report" in page
    reading = Reading.objects.get()
    sent = {"peer": other.pk, "reading": reading.pk}
    assert client.post(reverse("pacs_send_reading", args=[case]), sent).status_code == 302
    assert Delivery.objects.get(peer=other, report=None).reading == reading
    assert client.post(reverse("pacs_send_reading", args=[case]), {}).status_code == 400


def test_a_purge_takes_what_came_and_went_with_it(signed: Any, peer: Peer, clinician: User) -> None:
    handing.send_report(clinician, signed.case_id, peer.pk)
    destroy(signed.case.patient)
    assert not Arrival.everything.exists()
    assert not Delivery.everything.exists()
