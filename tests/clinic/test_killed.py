"""A server that is killed while it takes a film in leaves neither half a film nor an orphan."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import films
import pytest

SCRIPT = """
import os, pathlib, sys
import django
django.setup()
from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.cases import storage, uploading
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core import audit
from lucidray_clinic.patients.models import Patient

team = Team.objects.create(name="T")
user = User.objects.create_user("u")
Membership.objects.create(user=user, team=team, role="clinician")
patient = Patient.objects.create(team=team, family_name="P")

def die(*args, **kwargs):
    os.kill(os.getpid(), 9)

at = sys.argv[2]
real = storage._move
if at == "between file and picture":
    storage._move = lambda source, target: (real(source, target), die())
elif at == "between file and row":
    uploading._row = die
elif at == "before the commit":
    audit.record = die
where = uploading.destination(user, patient=patient.pk)
uploading.take_in(user, where, pathlib.Path(sys.argv[1]), "a.png")
print("whole")
"""

MIGRATE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""

SWEEP = """
import django
django.setup()
from django.core.management import call_command
from lucidray_clinic.cases import storage
storage.ORPHAN_SECONDS = -1
call_command("sweep", verbosity=0)
"""


def run(home: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LUCIDRAY_")}
    environment = kept | {
        "LUCIDRAY_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "lucidray_clinic.settings",
    }
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty database."""
    home = tmp_path_factory.mktemp("fresh")
    assert run(home, MIGRATE).returncode == 0
    return home


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("at", "rows"),
    [
        ("between file and picture", 0),
        ("between file and row", 0),
        ("before the commit", 0),
        ("never", 1),
    ],
)
def test_killing_leaves_a_whole_film_or_none(
    fresh: Path, tmp_path: Path, at: str, rows: int
) -> None:
    home, sent = tmp_path / "home", tmp_path / "home" / "quarantine" / "x.received"
    shutil.copytree(fresh, home)
    sent.write_bytes(films.png())
    ended = run(home, SCRIPT, str(sent), at)
    assert (ended.returncode, ended.stdout) == ((0, "whole\n") if rows else (-9, "")), ended.stderr
    assert run(home, SWEEP).returncode == 0
    database = sqlite3.connect(home / "lucidray.sqlite3")
    counted = [
        database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("cases_instance", "cases_case")
    ]
    database.close()
    assert counted == [rows, rows]
    assert len(list((home / "films").glob("*/*"))) == 2 * rows
    assert list((home / "quarantine").iterdir()) == []
