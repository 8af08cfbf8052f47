"""A virus scanner is asked before anything else reads a file, and is not waited for without end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import films
import pytest

from lucidray_clinic.accounts.models import User
from lucidray_clinic.administration.checks import check_scanner
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.cases.quarantine import Inspector
from lucidray_clinic.cases.uploading import Outcome, destination, take_in
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.environment import read_environment
from lucidray_clinic.errors import ScannerAway, SetupError, UploadRefused
from lucidray_clinic.patients.models import Patient


@pytest.fixture(autouse=True)
def quarantine(settings: Any, tmp_path: Path) -> Path:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "quarantine"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return Path(settings.FILE_UPLOAD_TEMP_DIR)


def scanner(settings: Any, folder: Path, script: str) -> None:
    """Have the installation name a scanner; the file is its last argument."""
    path = folder / "scanner"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    settings.SCANNER = (str(path), "--quiet")


def send(user: User, patient: Patient, quarantine: Path, content: bytes, name: str) -> Outcome:
    path = quarantine / f"{uuid4().hex}.received"
    path.write_bytes(content)
    (outcome,) = take_in(user, destination(user, patient=patient.pk), path, name)
    assert list(quarantine.iterdir()) == []
    return outcome


def test_what_it_refuses_is_refused_by_name_and_not_kept(
    clinician: User, patient: Patient, quarantine: Path, settings: Any, tmp_path: Path
) -> None:
    scanner(settings, tmp_path, '[ "$1" = --quiet ] && ! grep -q VIRUS "$2"')
    outcome = send(clinician, patient, quarantine, films.png() + b"VIRUS", "bad.png")
    assert (outcome.name, outcome.code) == ("bad.png", "virus")
    assert "scanner found something" in outcome.refused
    assert not Instance.objects.exists()
    assert not list(storage.kept_files())
    assert AuditEvent.objects.get(action="upload refused").detail == {"code": "virus"}
    assert not send(clinician, patient, quarantine, films.png(), "good.png").refused


def test_each_file_of_an_archive_is_scanned(
    clinician: User, patient: Patient, quarantine: Path, settings: Any, tmp_path: Path
) -> None:
    scanner(settings, tmp_path, '! grep -q VIRUS "$2"')
    packed = films.zipped({"a.png": films.png(1), "b.png": films.png(2) + b"VIRUS"})
    path = quarantine / "x.received"
    path.write_bytes(packed)
    told = take_in(clinician, destination(clinician, patient=patient.pk), path, "all.zip")
    assert {one.name: one.code for one in told} == {"a.png": "", "b.png": "virus"}


def test_it_comes_before_any_decoder(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner(settings, tmp_path, "exit 1")
    monkeypatch.setattr(Inspector, "_ask", lambda *_: pytest.fail("a decoder has seen it"))
    film = tmp_path / "a.dcm"
    film.write_bytes(films.dicom(preamble=b"#!/bin/sh"))
    with pytest.raises(UploadRefused), Inspector() as inspector:
        inspector.inspect(film)
    assert film.read_bytes().startswith(b"#!/bin/sh"), "it has seen the file as it came"


@pytest.mark.parametrize("script", ["exit 2", "sleep 30", "kill -9 $$"])
def test_a_scanner_that_does_not_work_lets_nothing_in(
    script: str, settings: Any, tmp_path: Path
) -> None:
    scanner(settings, tmp_path, script)
    settings.SCANNER_SECONDS = 0.5
    film, start = tmp_path / "a.png", time.monotonic()
    film.write_bytes(films.png())
    with pytest.raises(ScannerAway, match="does not work"), Inspector() as inspector:
        inspector.inspect(film)
    assert time.monotonic() - start < 10


def test_it_is_told_no_secret(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUCIDRAY_SECRET_KEY", "very secret")
    scanner(settings, tmp_path, f"env > {tmp_path}/told; exit 1")
    film = tmp_path / "a.png"
    film.write_bytes(films.png())
    with pytest.raises(UploadRefused), Inspector() as inspector:
        inspector.inspect(film)
    assert "very secret" not in (tmp_path / "told").read_text()
    assert os.environ["PATH"] in (tmp_path / "told").read_text()


def test_a_scanner_that_is_not_installed_is_told(settings: Any, tmp_path: Path) -> None:
    settings.SCANNER = (str(tmp_path / "none"),)
    (fault,) = check_scanner()
    assert (fault.id, "not installed" in fault.msg) == ("lucidray.E002", True)
    film = tmp_path / "a.png"
    film.write_bytes(films.png())
    with pytest.raises(ScannerAway), Inspector() as inspector:
        inspector.inspect(film)
    for fine in ((), ("sh", "-c", "exit 0")):
        settings.SCANNER = fine
        assert check_scanner() == []


def test_the_command_is_split_as_a_shell_would_and_never_seen_by_one() -> None:
    told = read_environment({"LUCIDRAY_SCANNER": 'clamdscan --log="/var/log/a b" ; rm'})
    assert told.scanner == ("clamdscan", "--log=/var/log/a b", ";", "rm")
    assert read_environment({}).scanner == ()
    with pytest.raises(SetupError, match="LUCIDRAY_SCANNER"):
        read_environment({"LUCIDRAY_SCANNER": 'clamdscan "'})
