"""The database server is killed while films come, are read and answered: nothing is lost."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pg_cluster
import psycopg
import pytest
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
from pg_cluster import Cluster
from room import free_port, missing_server

from lucidray.dicom.network import Inbox, Node, Peer, Retry, send

pytestmark = [
    pytest.mark.slow,
    pytest.mark.processes,
    pytest.mark.skipif(bool(missing_server()), reason=missing_server()),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FILMS = 4


@pytest.fixture
def server() -> Iterator[Cluster]:
    with pg_cluster.running() as one:
        yield one
    gc.collect()  # what pynetdicom leaves, so that no other test is blamed for it


class Modality:
    """Sends one film after the other, each until the node says that it has it."""

    def __init__(self, films: list[Any], node: Peer) -> None:
        self.films, self.node = films, node
        self.stored: list[str] = []
        self.failures = 0
        self._thread = threading.Thread(target=self._send_all)

    def __enter__(self) -> Modality:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.films.clear()
        self._thread.join(60)

    def _send_all(self) -> None:
        while self.films:
            (told,) = send(self.films[:1], self.node, Retry(tries=1))
            if told.error is None:
                self.stored.append(str(self.films.pop(0).SOPInstanceUID))
            else:
                self.failures += 1
                time.sleep(0.2)


def status(port: int) -> int:
    """What a page answers that asks the database: 403, as this link has been used."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/once/", timeout=20)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def rows(server: Cluster) -> set[str]:
    """The films that the database has rows of."""
    with psycopg.connect(server.url) as connection:
        return {str(row[0]) for row in connection.execute("SELECT sop_uid FROM pacs_arrival")}


def be_away(server: Cluster, port: int, modality: Modality) -> None:
    """Kill the server; start it again once everybody has noticed."""
    server.kill()
    failed = modality.failures
    eventually(lambda: status(port) == 503, 30)
    eventually(lambda: modality.failures > failed or not modality.films, 30)
    said = list(modality.stored)
    server.start()
    assert set(said) <= rows(server), "what was called stored is there"
    eventually(lambda: status(port) == 403, 30)


def test_a_killed_database_loses_nothing_and_doubles_nothing(
    server: Cluster, tmp_path: Path, make_film: Callable[..., Any]
) -> None:
    environment = environment_of(
        tmp_path / "home", LUCIDRAY_DATABASE=server.url, LUCIDRAY_WORKER="separate"
    )
    inbox, port = Inbox(tmp_path / "archive"), free_port()
    films = [make_film(number) for number in range(1, FILMS + 1)]
    with Node(archive_settings(), inbox.keep) as archive:
        run(environment, PREPARE, archive.port)
        arguments = [str(tmp_path / "home"), str(port)]
        room = subprocess.Popen([sys.executable, "-c", ROOM, *arguments], env=environment)
        worker = start(environment, "work", "--pause", "0.1")
        try:
            eventually(lambda: answers(node_of(environment)) and status(port) == 403)
            with Modality(films, node_of(environment)) as modality:
                eventually(lambda: modality.stored)
                be_away(server, port, modality)
                eventually(lambda: archive.counts["stored"] >= 2)
                be_away(server, port, modality)
                eventually(lambda: len(set(reports(inbox))) == FILMS)
        finally:
            kill(room)
            worker.terminate()
            assert worker.wait(60) == 0
    assert sorted(reports(inbox)) == [f"1.2.3.{number}" for number in range(1, FILMS + 1)]
    assert len(modality.stored) == FILMS
    assert modality.failures
    assert counted(environment) == [*[FILMS] * 6, [], []]
