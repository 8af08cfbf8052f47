"""Backups of a room where objects wait: nothing that was called stored is lost or filed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.administration import backup, rows
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core import audit
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.pacs import receiving, taking
from lucidray_clinic.pacs.models import Arrival, Outcome, Rule

PASSPHRASE = "correct horse battery"

Film = Callable[..., Any]
Send = Callable[..., Arrival]
Become = Callable[[str], None]


@pytest.fixture
def become(settings: Any, tmp_path: Path) -> Become:
    """Makes this the host of that name."""

    def host(name: str) -> None:
        home = tmp_path / name
        settings.ENVIRONMENT = type("Environment", (), {"home": home})()
        settings.KEPT_FOLDERS = [home / one for one in ("spool", "films", "models")]
        for folder in settings.KEPT_FOLDERS:
            folder.mkdir(parents=True, exist_ok=True)
        settings.SPOOL_ROOT, settings.MEDIA_ROOT, settings.MODELS_ROOT = settings.KEPT_FOLDERS

    return host


def file_all() -> None:
    while taking.take_once():
        pass


@pytest.mark.django_db(transaction=True)
def test_what_waits_is_restored_and_filed_there_once(
    rule: Rule, make_film: Film, send: Send, become: Become, tmp_path: Path
) -> None:
    become("first")
    send(make_film(1))
    file_all()
    send(make_film(2))
    send(make_film(3, BodyPartExamined="KNEE"))
    refused = Arrival.everything.get(sop_uid="1.2.3.3.1.1")
    manifest = backup.write_backup(tmp_path / "room.backup", PASSPHRASE)
    kept = [name for name in manifest["files"] if name.startswith("files/spool/")]
    assert len(kept) == 2, "what is filed waits no more"
    file_all()  # life goes on; what it brings is not in the backup
    call_command("flush", interactive=False, verbosity=0)
    become("second")
    backup.read_backup(tmp_path / "room.backup", PASSPHRASE)
    assert receiving.path_of(refused).is_file()
    for _ in range(2):
        file_all()
        send(make_film(2))  # the sender is not sure, and sends it again
    assert Instance.objects.count() == Case.objects.count() == 2
    assert {row.sop_uid: row.outcome for row in Arrival.everything.all()} == {
        "1.2.3.1.1.1": Outcome.FILED,
        "1.2.3.2.1.1": Outcome.FILED,
        "1.2.3.3.1.1": Outcome.REFUSED,
    }
    assert list(audit.faults()) == []


@pytest.mark.django_db(transaction=True)
def test_what_is_filed_while_a_backup_is_written_is_in_it(
    rule: Rule,
    make_film: Film,
    send: Send,
    become: Become,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become("first")
    arrival, list_files = send(make_film(1)), backup._files

    def filed_meanwhile() -> Any:
        monkeypatch.setattr(backup, "_files", list_files)
        file_all()
        return list_files()

    monkeypatch.setattr(backup, "_files", filed_meanwhile)
    manifest = backup.write_backup(tmp_path / "room.backup", PASSPHRASE)
    assert Instance.objects.count() == 1
    assert manifest["rows"]["cases.instance"] == 0
    assert receiving.path_of(arrival).is_file()
    assert receiving.sweep(), "it is removed after the backup"
    assert not receiving.path_of(arrival).exists()
    call_command("flush", interactive=False, verbosity=0)
    become("second")
    backup.read_backup(tmp_path / "room.backup", PASSPHRASE)
    assert Arrival.everything.get().state == JobState.WAITING
    file_all()
    assert Arrival.everything.get().outcome == Outcome.FILED
    assert Instance.objects.count() == 1


def test_files_stay_while_somebody_needs_them(
    rule: Rule, make_film: Film, send: Send, work: Callable[[], None]
) -> None:
    arrival = send(make_film(1))
    with receiving.files_stay():
        work()
        assert receiving.path_of(arrival).is_file()
        assert not receiving.sweep()
    assert receiving.sweep()
    assert not receiving.path_of(arrival).exists()


def test_a_file_that_is_removed_meanwhile_is_left_out(become: Become, tmp_path: Path) -> None:
    assert backup._add_file(None, tmp_path / "gone", "gone") == ""  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_a_backup_sees_one_moment_and_keeps_nobody_waiting(team: Team) -> None:
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("a database in memory is locked as a whole")
    with rows.one_moment():
        assert Team.objects.count() == 1
        other = connections.create_connection("default")
        try:
            with other.cursor() as cursor:
                cursor.execute("DELETE FROM accounts_team")
        finally:
            other.close()
        assert Team.objects.count() == 1
    assert Team.objects.count() == 0
