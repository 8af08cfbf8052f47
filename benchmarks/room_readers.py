"""Fifty readers at once, over real HTTP: does any request fail, is any write lost?

    python benchmarks/room_readers.py --readers 50 --minutes 5

Serves the database that `room_scale.py` has filled by gunicorn, signs readers in by one-time links,
and has each open lists and cases, save boxes and write notes, with a second of thought between.
Cases are few, so that readers meet. Afterwards the database is asked: each note that was answered
is there once, and each reader's boxes of a case are those that were answered last.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent))

import room_scale  # sets Django up
from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.accounts.roles import Role
from lucidray_clinic.accounts.services import make_one_time_link
from lucidray_clinic.annotations.models import Box, Note
from lucidray_clinic.cases.models import Case

#: Cases that the readers share.
CASES = 120


@dataclass
class Reader:
    """One reader, and what the site has answered.

    Args:
        port: Where the site is.
        link: Signs in once.
        cases: Ids of cases to read.
        cookies: As the site set them.
        times: Milliseconds of each answer.
        errors: What was not answered as it should be.
        notes: Texts that the site took.
        boxes: Corners of the boxes that the site took last, by case.
    """

    port: int
    link: str
    cases: list[str]
    cookies: dict[str, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    boxes: dict[str, list[list[float]]] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the site; a body is sent as JSON, and so is the answer where it is."""
        headers = {"Cookie": "; ".join(f"{name}={each}" for name, each in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/json"}
            headers |= {"X-CSRFToken": self.cookies.get("lucidray_csrf", "")}
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.times.append(1000 * (time.perf_counter() - begin))
        for header in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        if answer.status not in (200, 201, 302):
            self.errors.append(f"{method} {path}: {answer.status} {content[:200]!r}")
            return None
        is_json = "json" in (answer.headers.get("Content-Type") or "")
        return json.loads(content) if is_json else content

    def read(self, until: float) -> None:
        """Read until the time is over."""
        rng = random.Random(self.link)
        try:
            self.ask("GET", self.link)
            while time.monotonic() < until:
                self.once(rng)
                time.sleep(rng.uniform(0.5, 1.5))
        except Exception as error:
            self.errors.append(repr(error))

    def once(self, rng: random.Random) -> None:
        """Look at a list and a case; save boxes or a note."""
        self.ask("GET", rng.choice(["/", "/cases/", "/cases/?status=open", "/patients/"]))
        case = rng.choice(self.cases)
        told = self.ask("GET", f"/api/v1/cases/{case}")
        if told is None:
            return
        if rng.random() < 0.5:
            text = f"note {uuid4()}"
            if self.ask("POST", f"/api/v1/cases/{case}/notes", {"text": text}) is not None:
                self.notes.append(text)
            return
        film = told["instances"][0]["id"]
        boxes = [box_on(film, rng) for _ in range(rng.randrange(1, 5))]
        sent = {"version": told["boxes_version"], "boxes": boxes}
        if self.ask("PUT", f"/api/v1/cases/{case}/boxes", sent) is not None:
            self.boxes[case] = sorted(each["box"] for each in boxes)


def box_on(film: str, rng: random.Random) -> dict[str, Any]:
    """Return a new box."""
    left, top = rng.randrange(2000), rng.randrange(2000)
    corners = [float(left), float(top), left + 50.5, top + 70.0]
    return {"id": str(uuid4()), "instance": film, "finding": "Effusion", "box": corners}


def make_readers(count: int, port: int) -> tuple[list[Reader], list[User]]:
    """Make people of the largest team who have just been sent a link."""
    team = Team.objects.get(name=room_scale.TEAMS[0][0])
    rows = Case.objects.filter(team=team).exclude(status="reported").order_by("-created_at")
    cases = [str(key) for key in rows.values_list("pk", flat=True)[:CASES]]
    people = []
    for number in range(count):
        user, _ = User.objects.get_or_create(username=f"reader{number}")
        Membership.objects.get_or_create(user=user, team=team, role=Role.CLINICIAN)
        people.append(user)
    made = [Reader(port, f"/sign-in/{make_one_time_link(user)}/", cases) for user in people]
    return made, people


def lost(readers: list[Reader], people: list[User]) -> list[str]:
    """Return what the site has answered and does not have."""
    missing = []
    for reader, user in zip(readers, people, strict=True):
        kept = list(Note.objects.filter(author=user).values_list("text", flat=True))
        missing += [f"note {text}" for text in reader.notes if kept.count(text) != 1]
        for case, corners in reader.boxes.items():
            rows = Box.objects.filter(author=user, case=case)
            if sorted(box.corners for box in rows) != corners:
                missing.append(f"boxes of {case}")
    return missing


def serve(port: int) -> Any:
    """Start the site as a hospital would."""
    words = [sys.executable, "-m", "gunicorn", "lucidray_clinic.wsgi:application"]
    words += ["--bind", f"127.0.0.1:{port}", "--workers", "3", "--threads", "8"]
    words += ["--timeout", "120", "--log-level", "error"]
    return subprocess.Popen(words, env=os.environ | {"LUCIDRAY_HOSTS": "127.0.0.1"})


def wait_for(port: int) -> None:
    """Wait until the site answers."""
    for _ in range(120):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("The site does not answer.")


def main() -> None:
    """Run, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--port", type=int, default=8093)
    told = parser.parse_args()
    readers, people = make_readers(told.readers, told.port)
    server = serve(told.port)
    try:
        wait_for(told.port)
        until = time.monotonic() + 60 * told.minutes
        threads = [threading.Thread(target=one.read, args=(until,)) for one in readers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        server.wait(30)
    times = sorted(each for one in readers for each in one.times)
    errors = [each for one in readers for each in one.errors]
    missing = lost(readers, people)
    print(f"{told.readers} readers, {told.minutes:g} minutes, {len(times):,} requests")
    median, slow = statistics.median(times), times[int(0.95 * len(times))]
    print(f"median {median:.0f} ms, 95 % within {slow:.0f} ms")
    notes, boxes = sum(len(one.notes) for one in readers), sum(len(one.boxes) for one in readers)
    print(f"{notes:,} notes and {boxes:,} sets of boxes checked in the database")
    print(f"errors: {len(errors)}, lost writes: {len(missing)}")
    for line in (errors + missing)[:20]:
        print(" ", line)
    sys.exit(bool(errors or missing))


if __name__ == "__main__":
    main()
