"""Upload: by content, under limits, whole or not at all."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import films
import pydicom
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, transaction
from django.test import Client
from django.urls import reverse

from lucidray.images import check_quality, xray_from_array
from lucidray_clinic.accounts.models import Team, User
from lucidray_clinic.cases import storage, uploading
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.cases.uploading import Outcome, destination, take_in
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.patients.models import Patient

Send = Callable[..., list[Outcome]]


@pytest.fixture
def send(clinician: User, patient: Patient, settings: Any, tmp_path: Path) -> Send:
    """Send one file for the patient (or `into` another place) and return what became of it."""
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "quarantine"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()

    def act(content: bytes, name: str, **into: Any) -> list[Outcome]:
        path = settings.FILE_UPLOAD_TEMP_DIR / f"{uuid4().hex}.received"
        path.write_bytes(content)
        where = destination(clinician, **(into or {"patient": patient.pk}))
        outcomes = take_in(clinician, where, path, name)
        assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
        return outcomes

    return act


def kept() -> list[Path]:
    return [path for _, path in storage.kept_files()]


@pytest.mark.django_db(transaction=True)
def test_a_film_whose_commit_nobody_confirmed_stays(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = transaction.Atomic.__exit__

    def unconfirmed(self: Any, *error: Any) -> None:
        leave(self, *error)
        if not transaction.get_connection().in_atomic_block:
            raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(transaction.Atomic, "__exit__", unconfirmed)
        with pytest.raises(OperationalError):
            send(films.png(), "chest.png")
    assert storage.file_path(Instance.objects.get().pk).read_bytes() == films.png()


def test_a_png_becomes_a_film_of_the_patient(send: Send, patient: Patient) -> None:
    (one,) = send(films.png(), "chest.png")
    film = one.instance
    assert film is not None
    assert (film.rows, film.columns, film.media_type) == (160, 160, "image/png")
    assert storage.file_path(film.pk).read_bytes() == films.png()
    assert storage.picture_path(film.pk).read_bytes()[:3] == b"\xff\xd8\xff"
    assert film.case.patient == patient
    assert AuditEvent.objects.filter(action="upload", object_id=str(film.pk)).count() == 1


def test_a_dicom_brings_patient_study_and_tags(send: Send, team: Team) -> None:
    (one,) = send(films.dicom(StudyInstanceUID="1.2.3"), "IM0001", team=team.pk)
    film = one.instance
    assert film is not None
    patient = film.case.patient
    assert (patient.name, patient.sex, str(patient.birth_date)) == (
        "Example, Bo",
        "M",
        "1960-02-29",
    )
    assert [row.value for row in patient.identifiers.all()] == ["P1"]
    assert (film.case.study_uid, str(film.case.acquired_on)) == ("1.2.3", "2026-01-02")
    assert (film.view_position, film.spacing_mm, film.bits) == ("PA", [0.2, 0.2], 12)
    (again,) = send(films.dicom(seed=1, StudyInstanceUID="1.2.3"), "IM0002", team=team.pk)
    assert again.case == one.case
    assert Patient.objects.filter(team=team, family_name="Example", given_name="Bo").count() == 1


def test_a_hostile_preamble_is_zeroed(send: Send) -> None:
    (one,) = send(films.dicom(preamble=b"<script>alert(1)</script>MZ"), "x.dcm")
    assert one.instance is not None
    stored = storage.file_path(one.instance.pk)
    assert stored.read_bytes()[:128] == bytes(128)
    assert pydicom.dcmread(stored).PatientID == "P1"


def _png_that_promises(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.png", "empty"),
        (b"hello, this is no film", "a.png", "kind"),
        (b"<html>", "a.html", "kind"),
        (films.png(), "a.dcm", "mismatch"),
        (films.dicom(), "a.jpg", "mismatch"),
        (films.png()[:300], "a.png", "not_a_film"),
        (films.dicom()[:2000], "a.dcm", "not_a_film"),
        (films.photo(), "a.png", "not_a_film"),
        (films.dicom(NumberOfFrames=3), "a.dcm", "not_a_film"),
        (films.dicom(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "a", "not_a_film"),
        (films.dicom(BodyPartExamined="HAND"), "a.dcm", "not_a_film"),
        (films.dicom(Rows=60000, Columns=60000), "a.dcm", "not_a_film"),
        (_png_that_promises(50000, 50000), "a.png", "not_a_film"),
    ],
)
def test_what_is_no_film_is_refused_by_name_and_leaves_nothing(
    send: Send, content: bytes, name: str, code: str
) -> None:
    (one,) = send(content, name)
    assert (one.instance, one.code) == (None, code)
    assert len(one.refused) > 15
    assert (Instance.everything.count(), Case.everything.count(), kept()) == (0, 0, [])
    assert AuditEvent.objects.filter(action="upload refused").count() == 1


def test_a_lateral_film_is_taken_with_a_remark(send: Send) -> None:
    (one,) = send(films.dicom(ViewPosition="LL"), "x.dcm")
    assert one.instance is not None
    assert one.instance.has_remark("lateral")


def test_the_same_film_twice_is_filed_once(send: Send) -> None:
    content = films.dicom(StudyInstanceUID="1.2.3")
    first, again = send(content, "x.dcm")[0], send(content, "x.dcm")[0]
    assert (again.instance, again.known) == (first.instance, True)
    assert len(kept()) == 2  # the film and its small picture


def test_the_same_uid_with_other_pixels_is_flagged(send: Send) -> None:
    send(films.dicom(seed=1, SOPInstanceUID="1.2.9"), "x.dcm")
    (other,) = send(films.dicom(seed=2, SOPInstanceUID="1.2.9"), "y.dcm")
    assert other.instance is not None
    assert other.instance.has_remark("duplicate_uid")


def test_a_file_that_names_another_patient_is_refused_until_confirmed(
    send: Send, patient: Patient
) -> None:
    patient.identifiers.create(team=patient.team, value="OTHER")
    assert send(films.dicom(), "x.dcm")[0].code == "other_patient"
    into = {"patient": patient.pk, "despite": True}
    assert send(films.dicom(), "x.dcm", **into)[0].instance is not None


def test_a_picture_without_a_patient_is_refused(send: Send, team: Team) -> None:
    assert send(films.png(), "x.png", team=team.pk)[0].code == "no_patient"


def test_all_of_one_batch_go_into_one_case(send: Send, patient: Patient) -> None:
    into = {"patient": patient.pk, "batch": uuid4()}
    first, second = send(films.png(1), "a.png", **into)[0], send(films.png(2), "b.png", **into)[0]
    assert first.case == second.case != send(films.png(3), "c.png")[0].case


def test_a_zip_is_taken_film_by_film(send: Send) -> None:
    inner = {"deep/a.png": films.png(1), "b.jpg": films.jpeg(2), "notes.txt": b"not a film at all"}
    outcomes = send(films.zipped(inner), "films.zip")
    assert [(one.name, one.code) for one in outcomes] == [
        ("a.png", ""),
        ("b.jpg", ""),
        ("notes.txt", "kind"),
    ]


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ({"../../etc/cron.d/x": b"x" * 50}, "zip_path"),
        ({"/etc/passwd": b"x" * 50}, "zip_path"),
        ({"..\\x.png": b"x" * 50}, "zip_path"),
        ({"bomb.png": b"\0" * 30_000_000}, "zip_ratio"),
        ({}, "zip_empty"),
        ({f"{n}.png": b"x" for n in range(1001)}, "zip_entries"),
    ],
)
def test_hostile_archives_are_refused_whole(send: Send, entries: Any, code: str) -> None:
    (one,) = send(films.zipped(entries), "films.zip")
    assert one.code == code
    assert kept() == []


def test_an_archive_in_an_archive_is_not_opened(send: Send) -> None:
    (one,) = send(films.zipped({"in.zip": films.zipped({"a.png": films.png()})}), "films.zip")
    assert one.code == "zip_nested"


def test_an_archive_that_lies_about_its_size(send: Send, settings: Any) -> None:
    settings.MAX_FILE_BYTES = 200_000
    content = bytearray(films.zipped({"a.png": bytes(range(256)) * 4000}, 0))
    at = content.rindex(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 1000, 1000)  # both sizes, in the directory
    settings.MAX_FILE_BYTES = 600_000
    (one,) = send(bytes(content[:]), "films.zip")
    assert one.refused
    assert kept() == []


def test_the_quota_is_of_the_person(send: Send, settings: Any) -> None:
    send(films.png(1), "a.png")
    settings.QUOTA_BYTES = len(films.png(1)) + 100
    assert send(films.png(2), "b.png")[0].code == "quota"


def test_a_decoder_that_hangs_is_ended(send: Send, settings: Any) -> None:
    settings.DECODE_SECONDS = 0.0
    (one,) = send(films.png(), "a.png")
    assert one.code == "limits"
    assert kept() == []


def test_a_decoder_without_memory_is_ended(send: Send, settings: Any) -> None:
    settings.DECODE_MEMORY_BYTES = 20 * 2**20
    (one,) = send(films.png(), "a.png")
    assert one.code in ("limits", "not_a_film")
    assert (one.instance, kept()) == (None, [])


def test_a_failure_between_file_and_row_leaves_neither(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(uploading, "_row", fail)
    with pytest.raises(RuntimeError):
        send(films.png(), "a.png")
    assert (kept(), Case.everything.count()) == ([], 0)


def test_orphans_are_swept_when_they_are_old(settings: Any, tmp_path: Path) -> None:
    import os

    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    old, young, known = uuid4(), uuid4(), uuid4()
    for key in (old, young, known):
        storage.file_path(key).parent.mkdir(exist_ok=True)
        storage.file_path(key).write_bytes(b"x")
    for key in (old, known):
        os.utime(storage.file_path(key), (0, 0))
    assert storage.sweep({known}) == 1
    assert {key for key, _ in storage.kept_files()} == {young, known}


def test_over_http_with_json_and_download_as_attachment(
    sign_in: Callable[[User], Client], clinician: User, patient: Patient
) -> None:
    client = sign_in(clinician)
    file = SimpleUploadedFile("../a\x00b.png", films.png())
    answer = client.post(
        reverse("upload"),
        {"files": [file], "patient": patient.pk},
        headers={"accept": "application/json"},
    )
    (outcome,) = answer.json()["outcomes"]
    assert outcome["refused"] == ""
    film = Instance.objects.get()
    sent = client.get(reverse("api-1:instance_file", args=[film.pk]))
    assert b"".join(sent.streaming_content) == films.png()  # type: ignore[attr-defined]
    assert sent["Content-Disposition"].startswith("attachment")
    assert sent["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in sent["Cache-Control"]
    picture = client.get(outcome["picture"])
    assert picture["Content-Type"] == "image/jpeg"
    assert b"".join(picture.streaming_content)[:2] == b"\xff\xd8"  # type: ignore[attr-defined]
    assert client.get(outcome["case"]).status_code == 200


def test_every_remark_is_known_and_told_in_words() -> None:
    from lucidray_clinic.cases.remarks import REMARKS, told_remarks

    checked = {check.name for check in check_quality(xray_from_array(films.pixels()))}
    assert checked | {"lateral", "lossy", "duplicate_uid", "copy"} == set(REMARKS)
    told = [{"code": "lossy", "text": "x"}, {"code": "new", "text": "told so"}]
    assert told_remarks(told) == ["Compressed with loss", "told so"]
