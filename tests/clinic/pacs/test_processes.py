"""Real processes: node and worker are killed, and the archive gets each result once."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from room import database, environ_server, free_port, missing_server

from lucidray.dicom.files import from_bytes
from lucidray.dicom.network import Inbox, Node, NodeSettings, Peer, Retry, echo, send
from lucidray.errors import NetworkError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PREPARE = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses import shelf
from lucidray_clinic.pacs.models import Peer, Rule
team = Team.objects.create(name="Radiology")
Peer.objects.create(
    name="Archive", ae_title="ARCHIVE", way="store", host="127.0.0.1", port=sys.argv[1]
)
bundle = shelf.bundles().get(name="adult-opacity")
Rule.objects.create(name="Chest", team=team, bundle=bundle, body_part="CHEST")
"""
COUNT = """
import json
import django
django.setup()
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.pacs.models import Arrival, Delivery
counted = [model._base_manager.count() for model in (Arrival, Case, Instance, Reading, Delivery)]
done = Delivery.everything.filter(state="done").count()
refused = list(Arrival.everything.filter(outcome="refused").values_list("code", flat=True))
print(json.dumps([*counted, done, refused]))
"""
ROOM = """
import sys
from pathlib import Path
from lucidray_clinic.serving import open_room
home, port = Path(sys.argv[1]), int(sys.argv[2])
open_room(home, "127.0.0.1", port, demo=False, link=False, node=True).run()
"""
FILMS = 4


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep here what pynetdicom leaves, so that no other test is blamed for it."""
    yield
    gc.collect()


POSTGRESQL = pytest.param(
    "postgresql", marks=pytest.mark.skipif(bool(missing_server()), reason=missing_server())
)


@pytest.fixture(params=["sqlite", POSTGRESQL])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of one's own."""
    if request.param == "sqlite":
        yield ""
        return
    with database(environ_server()) as made:
        yield made


@pytest.fixture
def environment(tmp_path: Path, url: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LUCIDRAY_")}
    return kept | {
        "LUCIDRAY_HOME": str(tmp_path / "home"),
        "LUCIDRAY_DATABASE": url,
        "LUCIDRAY_NODE": f"127.0.0.1:{free_port()}",
        "DJANGO_SETTINGS_MODULE": "lucidray_clinic.settings",
    }


def run(environment: dict[str, str], script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr
    return told.stdout


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    code = "from lucidray_clinic.manage import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def eventually(condition: Callable[[], Any], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def answers(peer: Peer) -> bool:
    try:
        echo(peer)
    except NetworkError:
        return False
    return True


def test_killed_node_and_worker_lose_nothing_and_send_nothing_twice(
    environment: dict[str, str], tmp_path: Path, make_film: Callable[..., Any]
) -> None:
    inbox = Inbox(tmp_path / "archive")
    classes = ("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.11.1")
    told = NodeSettings(
        peers={"LUCIDRAY": frozenset()},
        ae_title="ARCHIVE",
        port=0,
        classes=(*classes, "1.2.840.10008.5.1.4.1.1.88.59"),
    )
    port = int(environment["LUCIDRAY_NODE"].rsplit(":", 1)[1])
    node_at = Peer("LUCIDRAY", "127.0.0.1", port, calling="ARCHIVE", seconds=20)
    with Node(told, inbox.keep) as archive:
        run(environment, PREPARE, archive.port)
        node, worker = start(environment, "node"), start(environment, "work", "--pause", "0.1")
        try:
            eventually(lambda: answers(node_at))
            films = [make_film(number) for number in range(1, FILMS + 1)]
            first = send(films[:2], node_at, Retry(tries=1))
            kill(node)
            kill(worker)
            assert [one.error for one in first] == [None, None]
            node, worker = start(environment, "node"), start(environment, "work", "--pause", "0.1")
            eventually(lambda: answers(node_at))
            knee = make_film(9, BodyPartExamined="KNEE")
            again = send([*films, knee], node_at, Retry(tries=3, first_s=0.5))
            assert [one.error for one in again] == [None] * (FILMS + 1)
            eventually(lambda: archive.counts["stored"] >= 2)
            kill(worker)
            worker = start(environment, "work", "--pause", "0.1")
            eventually(lambda: len(reports(inbox)) == FILMS)
            unknown = Peer("LUCIDRAY", "127.0.0.1", port, calling="STRANGER", seconds=5)
            assert not answers(unknown)
        finally:
            kill(node)
            worker.terminate()
            assert worker.wait(60) == 0, "a worker that is asked to ends after the job at hand"
        assert sorted(reports(inbox)) == [f"1.2.3.{number}" for number in range(1, FILMS + 1)]
    counted = run(environment, COUNT)
    expected = [FILMS + 1, *[FILMS] * 4, FILMS, ["not_a_film"]]
    assert counted.strip() == str(expected).replace("'", '"')


def reports(inbox: Inbox) -> list[str]:
    """Return the study of each report in the archive."""
    held = [from_bytes(path.read_bytes()) for path in inbox.folder.rglob("*.dcm")]
    return [str(one.StudyInstanceUID) for one in held if one.Modality == "SR"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_one_process_does_everything_and_knows_new_peers_at_once(
    environment: dict[str, str], make_film: Callable[..., Any], tmp_path: Path
) -> None:
    run(environment, PREPARE, 9)
    port = int(environment["LUCIDRAY_NODE"].rsplit(":", 1)[1])
    arguments = [str(tmp_path / "home"), str(free_port())]
    room = subprocess.Popen([sys.executable, "-c", ROOM, *arguments], env=environment)
    try:
        at = Peer("LUCIDRAY", "127.0.0.1", port, calling="ARCHIVE", seconds=20)
        eventually(lambda: answers(at))
        (told,) = send([make_film()], at, Retry(tries=2))
        assert told.error is None
        ward = Peer("LUCIDRAY", "127.0.0.1", port, calling="WARD", seconds=5)
        assert not answers(ward)
        add = "import django; django.setup()\n"
        add += "from lucidray_clinic.pacs.models import Peer\n"
        run(environment, add + "Peer.objects.create(name='W', ae_title='WARD')")
        eventually(lambda: answers(ward))
        run(environment, add + "Peer.objects.filter(ae_title='WARD').update(active=False)")
        eventually(lambda: not answers(ward))
        eventually(lambda: run(environment, COUNT).startswith("[1, 1, 1, 1, 1, 0"))
    finally:
        kill(room)
