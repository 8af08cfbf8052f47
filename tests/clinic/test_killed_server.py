"""A real server that is killed at random moments while somebody works: nothing is half-written.

What was answered is there; what was not answered is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import films
import pytest
from room import (
    BROKEN_OFF,
    Browser,
    Room,
    database,
    environ_server,
    kill_hard,
    missing_server,
    until,
)
from room import opened as room_opened

#: Kills of one test; more by ``LUCIDRAY_TEST_KILLS``.
KILLS = int(os.environ.get("LUCIDRAY_TEST_KILLS", "5"))

CHECK = """
import hashlib, json
from django.core.management import call_command
from django.conf import settings
from django.db import connection
from lucidray_clinic.annotations.models import Box, BoxSet
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance, Status
from lucidray_clinic.core import audit
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.reports.content import is_intact
from lucidray_clinic.reports.models import Report, Reported

wrong = []
storage.ORPHAN_SECONDS = -1
call_command("sweep", verbosity=0)
for film in Instance.everything.select_related("case"):
    path = storage.file_path(film.pk)
    if not path.is_file() or path.stat().st_size != film.size:
        wrong.append(f"film {film.pk} has no whole file")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != film.sha256:
        wrong.append(f"film {film.pk} has another file")
    if not storage.picture_path(film.pk).is_file():
        wrong.append(f"film {film.pk} has no picture")
    if not AuditEvent.objects.filter(action="upload", object_id=str(film.pk)).exists():
        wrong.append(f"nobody knows who uploaded film {film.pk}")
known = {film.pk for film in Instance.everything.all()}
wrong += [f"{path} is an orphan" for key, path in storage.kept_files() if key not in known]
wrong += [f"{path} waits for nobody" for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir()]
if Patient.objects.filter(cases=None).exists():
    wrong.append("a patient without a case")
for one in BoxSet.objects.all():
    drawn = Box.objects.filter(case=one.case_id, author=one.author_id)
    if drawn.count() != 3 or len(set(drawn.values_list("note", flat=True))) != 1:
        wrong.append(f"boxes of {one.case_id} are half saved")
    if drawn.first().note != f"save {one.version}":
        wrong.append(f"boxes of {one.case_id} are not those of their version")
for report in Report.objects.select_related("case"):
    rows = Reported.objects.filter(report=report).count()
    event = AuditEvent.objects.filter(action="sign", object_id=str(report.pk)).count()
    done = report.case.status == Status.REPORTED
    facts = (rows, event, done, bool(report.content), bool(report.digest))
    if facts != ((1, 1, True, True, True) if report.is_signed else (0, 0, False, False, False)):
        wrong.append(f"report {report.pk} is half signed: {facts}")
    if report.is_signed and not is_intact(report):
        wrong.append(f"report {report.pk} is not what was signed")
wrong += [f"audit {fault.number}: {fault.what}" for fault in audit.faults()]
if connection.vendor == "sqlite":
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        if cursor.fetchone()[0] != "ok":
            wrong.append("the database is damaged")
print(json.dumps({
    "wrong": wrong,
    "films": [str(film) for film in known],
    "boxes": {str(one.case_id): one.version for one in BoxSet.objects.all()},
    "drafts": [str(one.case_id) for one in Report.objects.all()],
    "signed": [str(one.case_id) for one in Report.objects.exclude(signed_at=None)],
}))
"""


class Work:
    """Somebody who uploads, draws, writes and signs as fast as the server answers."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.number, self.answers = browser, 0, 0
        self.films: list[str] = []
        self.boxes: dict[str, int] = {}
        self.drafts: list[str] = []
        self.signed: list[str] = []

    def until_broken_off(self) -> None:
        """Work until the server dies."""
        try:
            while True:
                self.number += 1
                self._one_case()
        except BROKEN_OFF:
            return

    def _one_case(self) -> None:
        film = films.dicom(self.number, PatientID=f"K{self.number}")
        told = self.browser.upload(f"{self.number}.dcm", film)
        assert not told["refused"], told
        case, film_id = _id(told["case"]), _id(told["picture"])
        self.films.append(film_id)
        self.answers += 1
        for version in range(3):
            self._draw(case, film_id, version)
            self.boxes[case] = version + 1
            self.answers += 1
        sent = {"version": "0", "impression": "No acute finding.", "comparison": ""}
        sent |= {"finding-TOTAL_FORMS": "1", "finding-INITIAL_FORMS": "0"}
        sent |= {"finding-0-finding": "Pneumonia", "finding-0-certainty": "absent"}
        self.browser.post(f"/cases/{case}/report/edit/", sent)
        self.drafts.append(case)
        self.answers += 1
        self.browser.post(f"/cases/{case}/report/sign/", {"version": "1", "password": ""})
        self.signed.append(case)
        self.answers += 1

    def _draw(self, case: str, film: str, version: int) -> None:
        boxes = [
            {
                "id": str(uuid4()),
                "instance": film,
                "finding": "Pneumonia",
                "box": [n + version, 1, n + version + 20, 40],
                "note": f"save {version + 1}",
            }
            for n in range(3)
        ]
        path = f"/api/v1/cases/{case}/boxes"
        self.browser.send("PUT", path, {"version": version, "boxes": boxes})


def _id(path: str) -> str:
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", path)
    assert found is not None
    return found[0]


def kill_again_and_again(room: Room) -> None:
    room.run("migrate")
    link, work = room.run("sign_in_link"), None
    chance = random.Random(7)
    for _ in range(KILLS):
        server = room.serve()
        work = work or Work(Browser(room, link))
        _kill_in_the_midst(server, work, chance)
    assert work is not None
    told: dict[str, Any] = json.loads(room.python(CHECK))
    assert told["wrong"] == []
    assert set(work.films) <= set(told["films"])
    assert all(told["boxes"][case] >= version for case, version in work.boxes.items())
    assert set(work.drafts) <= set(told["drafts"])
    assert set(work.signed) <= set(told["signed"])
    assert len(work.films) >= 2  # there was something to lose


def _kill_in_the_midst(server: Any, work: Work, chance: random.Random) -> None:
    person = threading.Thread(target=work.until_broken_off)
    person.start()
    enough = work.answers + chance.randint(0, 7)  # six answers make a case
    until(lambda: work.answers >= enough or not person.is_alive())
    time.sleep(chance.uniform(0, 0.4))
    kill_hard(server)
    person.join(60)
    assert not person.is_alive()


@pytest.mark.slow
@pytest.mark.processes
def test_killing_the_server_leaves_nothing_half_written(tmp_path: Path) -> None:
    with room_opened(Room(tmp_path / "home")) as room:
        kill_again_and_again(room)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(bool(missing_server()), reason=missing_server())
def test_killing_the_server_leaves_nothing_half_written_on_postgresql(tmp_path: Path) -> None:
    with (
        database(environ_server()) as url,
        room_opened(Room(tmp_path / "home", LUCIDRAY_DATABASE=url)) as room,
    ):
        kill_again_and_again(room)
