"""Backups: everything comes back on an empty host, and nothing of an altered one."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import films
import pytest
from django.core.management import call_command
from django.utils import timezone

from lucidray_clinic.accounts.models import User
from lucidray_clinic.administration import backup, retention, rows
from lucidray_clinic.administration.sealing import SealedReader, SealedWriter
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import audit
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.models import Patient

PASSPHRASE = "correct horse battery"


class Host:
    """Where an installation keeps its files."""

    def __init__(self, home: Path, settings: Any) -> None:
        self.home, self.settings = home, settings

    def become(self) -> None:
        home = self.home
        for folder in ("films", "models"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        settings = self.settings
        settings.ENVIRONMENT = type("Environment", (), {"home": home})()
        settings.MEDIA_ROOT, settings.MODELS_ROOT = home / "films", home / "models"
        settings.KEPT_FOLDERS = [settings.MEDIA_ROOT, settings.MODELS_ROOT]


@pytest.fixture
def written(clinician: User, case: Case, settings: Any, tmp_path: Path) -> Path:
    """A backup of a small installation; the database is emptied afterwards."""
    Host(tmp_path / "first", settings).become()
    film = Instance.objects.create(
        case=case, name="x.png", media_type="image/png", size=1, rows=160, columns=160
    )
    storage.file_path(film.pk).parent.mkdir(parents=True)
    storage.file_path(film.pk).write_bytes(films.png())
    audit.record(clinician, "view", film)
    path = tmp_path / "room.backup"
    backup.write_backup(path, PASSPHRASE)
    return path


def empty() -> None:
    """Make this the database of a fresh installation."""
    call_command("flush", interactive=False, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_everything_comes_back_on_an_empty_host(
    written: Path, settings: Any, tmp_path: Path
) -> None:
    counts, seals = rows.count(), list(AuditEvent.objects.values_list("seal", flat=True))
    key = Instance.objects.get().pk
    empty()
    Host(tmp_path / "second", settings).become()
    manifest = backup.read_backup(written, PASSPHRASE)
    assert rows.count() == counts == manifest["rows"]
    assert Patient.objects.get().name == "Example, Anna"
    assert storage.file_path(key).read_bytes() == films.png()
    assert "second" in str(storage.file_path(key))
    assert not any(path.stat().st_mode & 0o077 for _, path in storage.kept_files())
    assert list(AuditEvent.objects.values_list("seal", flat=True)) == seals
    assert list(audit.faults()) == []
    person = User.objects.get(username="clinician")
    assert person.may("report.sign")
    assert audit.record(person, "view").number == len(seals) + 1
    assert (tmp_path / "second/keys/audit").read_text() == settings.AUDIT_KEY
    assert (tmp_path / "second/keys/audit").stat().st_mode & 0o077 == 0
    assert not [one for one in (tmp_path / "second").iterdir() if one.name.startswith("tmp")]


@pytest.mark.django_db(transaction=True)
def test_nothing_of_an_altered_backup_comes_back(
    written: Path, settings: Any, tmp_path: Path
) -> None:
    empty()
    Host(tmp_path / "second", settings).become()
    whole = written.read_bytes()
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 1
    for spoiled in (
        bytes(middle),
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"x",
        b"PK" + whole,
    ):
        written.write_bytes(spoiled)
        with pytest.raises(SiteError):
            backup.read_backup(written, PASSPHRASE)
    written.write_bytes(whole)
    with pytest.raises(SiteError, match="passphrase"):
        backup.read_backup(written, "another passphrase")
    assert (User.objects.count(), list(storage.kept_files())) == (0, [])
    backup.read_backup(written, PASSPHRASE)


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_not_restored_over_patients(written: Path) -> None:
    with pytest.raises(SiteError, match="not empty"):
        backup.read_backup(written, PASSPHRASE)


def test_a_backup_tells_nothing_without_its_passphrase(written: Path) -> None:
    assert b"Example" not in written.read_bytes()
    with pytest.raises(SiteError, match="too short"):
        backup.write_backup(written, "short")


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3 * (1 << 20)])
def test_sealed_streams_of_any_length_return(size: int) -> None:
    data, file = bytes(range(256)) * (size // 256) + b"x" * (size % 256), io.BytesIO()
    writer = SealedWriter(file, PASSPHRASE)
    writer.write(data)
    writer.finish()
    reader = SealedReader(io.BufferedReader(io.BytesIO(file.getvalue())), PASSPHRASE)  # type: ignore[type-var]
    assert reader.read() == data


def test_chunks_cannot_change_places_or_be_left_out() -> None:
    file = io.BytesIO()
    writer = SealedWriter(file, PASSPHRASE)
    writer.write(bytes(3 << 20))
    writer.finish()
    whole = file.getvalue()
    start, step = 18 + 16, 4 + (1 << 20) + 16
    parts = [whole[start + n * step : start + (n + 1) * step] for n in range(3)]
    for order in ((1, 0, 2), (0, 2), (0, 1), (0, 0, 1, 2)):
        spoiled = whole[:start] + b"".join(parts[n] for n in order)
        reader = SealedReader(io.BufferedReader(io.BytesIO(spoiled)), PASSPHRASE)  # type: ignore[type-var]
        with pytest.raises(SiteError):
            reader.read()


def test_retention_tells_first_and_takes_two_administrators(
    clinician: User, make_user: Callable[..., User], patient: Patient, case: Case
) -> None:
    old = timezone.now() - timedelta(days=365 * 31)
    ancient = Case.objects.create(team=case.team, patient=patient, acquired_on=old.date())
    gone = Patient.everything.create(team=case.team, family_name="Gone", deleted_at=old)
    said = io.StringIO()
    call_command("retention", "--case-years", "30", "--deleted-days", "90", stdout=said)
    assert "1 cases are old enough" in said.getvalue()
    assert "1 records were hidden" in said.getvalue()
    assert "dry run" in said.getvalue()
    assert Patient.everything.filter(pk=gone.pk).exists()
    first, second = (make_user(name, case.team, "administrator") for name in ("one", "two"))
    found = retention.due(30, 90)
    for pair in ((first, first), (first, clinician)):
        with pytest.raises(SiteError):
            retention.carry_out(found, *pair)
    assert retention.carry_out(found, first, second) == 1
    assert not Patient.everything.filter(pk=gone.pk).exists()
    assert Case.everything.get(pk=ancient.pk).deleted_by == first
    assert Case.objects.filter(pk=case.pk).exists()
