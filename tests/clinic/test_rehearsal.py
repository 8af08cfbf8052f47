"""Rehearsals on real rooms: restore on an empty host, another database, upgrade, the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from room import Room, database, environ_server, missing_server, opened

from lucidray_clinic.administration import backup, schema
from lucidray_clinic.errors import SiteError

#: Everything that is kept: a hash of the rows of each table, and of each file.
LOOK = """
import hashlib, json
from django.core import serializers
from lucidray_clinic.administration import backup, rows, schema
told = {}
for model in schema.models_at(schema.applied()):
    found = model._base_manager.order_by("pk")
    # PostgreSQL keeps the keys of a JSON field in an order of its own
    text = serializers.serialize("json", found, cls=rows.ExactTimes, sort_keys=True)
    told[model._meta.label_lower] = [found.count(), hashlib.sha256(text.encode()).hexdigest()]
files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in backup._files()}
print(json.dumps({"rows": told, "files": files}))
"""

#: How the schema was before teams stood in rows; later apps were not there yet.
BACK = (
    ("care", "zero"),
    ("pacs", "zero"),
    ("reports", "0002"),
    ("annotations", "0001"),
    ("analyses", "0002"),
)


#: One process for all of it: starting one takes longer than what it does.
GO_BACK = f"""
from django.core.management import call_command
for app, name in {BACK}:
    call_command("migrate", app, name, verbosity=0)
"""

#: Each of these bytes altered, and what restoring then says.
TAMPER = """
import json, os, sys
from pathlib import Path
from django.core.management import CommandError, call_command
path = Path({path!r})
whole, said = path.read_bytes(), []
for place in (5, 30, len(whole) // 2, len(whole) - 1):
    spoiled = bytearray(whole)
    spoiled[place] ^= 1
    path.write_bytes(bytes(spoiled))
    try:
        call_command("restore", str(path))
    except CommandError as error:
        said.append(str(error))
path.write_bytes(whole)
print(json.dumps(said))
"""


#: Somebody writes while a backup looks; the names of teams then, and whether it waited.
MOMENT = """
import json, time
from django.db import connections
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.administration import rows
names = lambda: sorted(Team.objects.values_list("name", flat=True))
other, before = connections.create_connection("default"), names()
with rows.one_moment():
    assert names() == before
    start = time.monotonic()
    with other.cursor() as cursor:
        cursor.execute("UPDATE accounts_team SET name = name || '!'")
        seen, seconds = names(), time.monotonic() - start
written = names()
with other.cursor() as cursor:
    cursor.execute("UPDATE accounts_team SET name = replace(name, '!', '')")
print(json.dumps([seen == before, written != before, names() == before, seconds]))
"""


def look(room: Room) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(room.python(LOOK))
    return told


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, dict[str, Any]]]:
    """The demonstration on SQLite, and how it looks."""
    with opened(Room(tmp_path_factory.mktemp("filled") / "home")) as room:
        room.run("migrate")
        room.python("from lucidray_clinic.demo import make_demo; make_demo()")
        yield room, look(room)


def fresh(tmp_path: Path, name: str, **variables: str) -> Room:
    return Room(tmp_path / name, **variables)


@pytest.mark.slow
@pytest.mark.processes
def test_an_empty_host_becomes_what_was_backed_up(
    filled: tuple[Room, dict[str, Any]], tmp_path: Path
) -> None:
    first, before = filled
    assert before["rows"]["cases.instance"][0] == 9
    assert len(before["files"]) >= 18
    first.run("backup", str(tmp_path / "a.backup"))
    second = fresh(tmp_path, "second")
    said = second.run("restore", str(tmp_path / "a.backup"))
    assert "each as it was" in said
    assert look(second) == before
    assert "each as it was written" in second.run("audit", "verify")


@pytest.mark.slow
@pytest.mark.processes
def test_a_backup_sees_one_moment_and_keeps_no_writer_waiting(
    filled: tuple[Room, dict[str, Any]],
) -> None:
    seen, written, back, seconds = json.loads(filled[0].python(MOMENT))
    assert (seen, written, back) == (True, True, True)
    assert seconds < 5


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(bool(missing_server()), reason=missing_server())
def test_sqlite_moves_to_postgresql_and_back_unchanged(
    filled: tuple[Room, dict[str, Any]], tmp_path: Path
) -> None:
    first, before = filled
    first.run("backup", str(tmp_path / "a.backup"))
    with database(environ_server()) as url:
        second = fresh(tmp_path, "second", LUCIDRAY_DATABASE=url)
        second.run("restore", str(tmp_path / "a.backup"))
        assert look(second) == before
        second.run("backup", str(tmp_path / "b.backup"))
    third = fresh(tmp_path, "third")
    third.run("restore", str(tmp_path / "b.backup"))
    assert look(third) == before
    assert "each as it was written" in third.run("audit", "verify")


@pytest.mark.slow
@pytest.mark.processes
def test_a_tampered_archive_restores_nothing(
    filled: tuple[Room, dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "a.backup"
    filled[0].run("backup", str(path))
    second = fresh(tmp_path, "second")
    assert len(json.loads(second.python(TAMPER.format(path=str(path))))) == 4
    empty = look(second)
    assert empty["files"] == {}
    assert empty["rows"]["cases.case"][0] == 0
    second.run("restore", str(path))
    assert look(second) == filled[1]


@pytest.mark.slow
@pytest.mark.processes
def test_an_upgrade_restores_the_backup_of_the_state_before_and_the_way_back_too(
    filled: tuple[Room, dict[str, Any]], tmp_path: Path
) -> None:
    first, before = filled
    first.run("backup", str(tmp_path / "now.backup"))
    old = fresh(tmp_path, "old")
    old.run("restore", str(tmp_path / "now.backup"))
    old.python(GO_BACK)  # as the version before would be
    was = look(old)
    assert "care.shadow" not in was["rows"]
    assert was["rows"]["analyses.reading"] != before["rows"]["analyses.reading"]
    old.run("backup", str(tmp_path / "old.backup"))
    new = fresh(tmp_path, "new")
    new.run("restore", str(tmp_path / "old.backup"))
    assert look(new) == before  # columns that the old one did not have are filled from the rest
    new.python("from lucidray_clinic.accounts.models import Team; Team.objects.create(name='x')")
    back = fresh(tmp_path, "back")
    back.run("restore", str(tmp_path / "old.backup"))
    back.python(GO_BACK)
    assert look(back) == was


@pytest.mark.django_db(transaction=True)
def test_a_backup_of_a_newer_version_is_refused_by_name(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEPT_FOLDERS = []
    settings.ENVIRONMENT = type("Environment", (), {"home": tmp_path})()
    state = schema.applied()
    newer = state | {"cases": [*state["cases"], "0099_from_the_future"]}
    monkeypatch.setattr(schema, "applied", lambda: newer)
    monkeypatch.setattr(schema, "models_at", lambda _: [])
    backup.write_backup(tmp_path / "a.backup", "correct horse battery")
    with pytest.raises(SiteError, match=r"newer version, which knows cases\.0099"):
        backup.read_backup(tmp_path / "a.backup", "correct horse battery")
