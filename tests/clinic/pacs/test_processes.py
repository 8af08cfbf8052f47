"""Real processes: node and worker are killed, and the archive gets each result once."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import certificates
from pacs_room import (
    PREPARE,
    ROOM,
    answers,
    archive_settings,
    counted,
    environment_of,
    eventually,
    kill,
    node_of,
    reports,
    run,
    start,
)
from room import database, environ_server, free_port, missing_server

from lucidray.dicom.network import Inbox, Node, Retry, Tls, send

pytestmark = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

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
    return environment_of(tmp_path / "home", LUCIDRAY_DATABASE=url)


def test_killed_node_and_worker_lose_nothing_and_send_nothing_twice(
    environment: dict[str, str], tmp_path: Path, make_film: Callable[..., Any]
) -> None:
    inbox = Inbox(tmp_path / "archive")
    node_at = node_of(environment)
    with Node(archive_settings(), inbox.keep) as archive:
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
            assert not answers(node_of(environment, "STRANGER", seconds=5))
        finally:
            kill(node)
            worker.terminate()
            assert worker.wait(60) == 0, "a worker that is asked to ends after the job at hand"
        assert sorted(reports(inbox)) == [f"1.2.3.{number}" for number in range(1, FILMS + 1)]
    assert counted(environment) == [FILMS + 1, *[FILMS] * 5, ["not_a_film"], []]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_one_process_does_everything_by_tls_and_knows_new_peers_at_once(
    environment: dict[str, str], make_film: Callable[..., Any], tmp_path: Path
) -> None:
    certificate, key = certificates(tmp_path / "ours")
    ours, inbox = Tls(certificate, key, certificate), Inbox(tmp_path / "archive")
    environment["LUCIDRAY_NODE_TLS"] = f"{certificate},{key},{certificate}"
    arguments = [str(tmp_path / "home"), str(free_port())]
    with Node(archive_settings(tls=ours), inbox.keep) as archive:
        run(environment, PREPARE, archive.port, "tls")
        room = subprocess.Popen([sys.executable, "-c", ROOM, *arguments], env=environment)
        try:
            at = node_of(environment, tls=ours)
            eventually(lambda: answers(at))
            (told,) = send([make_film()], at, Retry(tries=2))
            assert told.error is None
            strangers(environment, ours, tmp_path)
            ward = node_of(environment, "WARD", tls=ours, seconds=5)
            assert not answers(ward)
            add = "import django; django.setup()\n"
            add += "from lucidray_clinic.pacs.models import Peer\n"
            run(environment, add + "Peer.objects.create(name='W', ae_title='WARD')")
            eventually(lambda: answers(ward))
            run(environment, add + "Peer.objects.filter(ae_title='WARD').update(active=False)")
            eventually(lambda: not answers(ward))
            eventually(lambda: counted(environment)[:6] == [1] * 6)
        finally:
            kill(room)
    assert reports(inbox) == ["1.2.3.1"], "it went back by TLS"


def strangers(environment: dict[str, str], ours: Tls, folder: Path) -> None:
    """Nobody is heard in the clear, without a certificate, or with one of somebody else's."""
    other, key = certificates(folder / "other")
    assert not answers(node_of(environment, seconds=2))
    assert not answers(node_of(environment, tls=Tls(authorities=ours.authorities), seconds=2))
    assert not answers(node_of(environment, tls=Tls(other, key, ours.authorities), seconds=2))
    assert not answers(node_of(environment, tls=Tls(ours.certificate, ours.key, other), seconds=2))
