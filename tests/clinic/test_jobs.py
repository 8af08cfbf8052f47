"""Leases, queues and workers, with the runs of readings as jobs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.models import InferenceRun
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core import jobs, work
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.core.work import Queue, Worker, add_queue, later


@pytest.fixture
def run(film: Instance) -> InferenceRun:
    return runs.ask(None, film, shelf.bundles().get(name="pediatric-pneumonia"))


@pytest.fixture
def queues(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No queue but those of the test."""
    monkeypatch.setattr(work, "_QUEUES", {})
    yield


def test_a_lease_is_taken_once_kept_and_given_back(run: InferenceRun) -> None:
    mine = runs.claim()
    assert mine is not None
    assert runs.claim() is None
    assert jobs.renew(mine, worker="me")
    assert InferenceRun.objects.get().worker == "me"
    assert jobs.fail(mine, "no", timedelta(seconds=60))
    assert not jobs.finish(mine), "it is no longer ours"
    assert not jobs.fail(mine, "no", None)
    row = InferenceRun.objects.get()
    assert (row.state, row.error, row.lease) == (JobState.WAITING, "no", None)
    assert row.not_before > timezone.now() + timedelta(seconds=50)
    assert runs.claim() is None


def test_pauses_grow_and_end(run: InferenceRun) -> None:
    run.attempts = 1
    assert jobs.pause_after(run) == timedelta(seconds=20)
    run.attempts = 2
    assert jobs.pause_after(run) == timedelta(seconds=80)
    run.attempts = 3
    assert jobs.pause_after(run) is None


def test_what_failed_starts_anew_and_what_did_not_stays(run: InferenceRun) -> None:
    assert not jobs.again(run)
    InferenceRun.objects.update(state=JobState.FAILED, attempts=3, error="x")
    assert jobs.again(run)
    row = InferenceRun.objects.get()
    assert (row.state, row.attempts, row.error) == (JobState.WAITING, 0, "")


def test_workers_of_this_machine_that_are_no_more_are_not_waited_for(run: InferenceRun) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = socket.gethostname()
    assert runs.claim() is not None
    for worker, freed in (
        (f"{name}:{os.getppid()}", 0),
        ("elsewhere:1", 0),
        (f"{name}:odd", 1),
        (f"{name}:{ended.pid}", 1),
        (f"{name}:{os.getpid()}", 1),
    ):
        until = timezone.now() + timedelta(seconds=60)
        InferenceRun.objects.update(worker=worker, lease_until=until, attempts=1)
        assert jobs.release_dead(InferenceRun) == freed, worker
    assert runs.claim() is not None


def test_a_worker_does_all_queues_in_order_and_stops_when_nothing_waits(queues: None) -> None:
    left, done = {"a": 2, "b": 1}, []

    def one_of(name: str) -> bool:
        left[name] -= 1
        done.append(name)
        return left[name] >= 0

    add_queue(Queue(2, "b", lambda: one_of("b")))
    add_queue(Queue(1, "a", lambda: one_of("a")))
    add_queue(Queue(3, "rarely", lambda: done.append("rarely") is not None, every_s=3600))
    worker = Worker()
    worker.run(once=True)
    assert worker.done == 3
    assert done == ["a", "b", "rarely", "a", "b", "a", "b"]


@pytest.mark.parametrize("error", [OperationalError("gone"), ValueError("Anna Example")])
def test_neither_a_database_that_is_away_nor_a_bad_job_ends_a_worker(
    queues: None, error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(work, "close_old_connections", lambda: None)
    worker, tried = Worker(), []

    def job() -> bool:
        tried.append(1)
        if len(tried) == 1:
            raise error
        worker.stop()
        return True

    add_queue(Queue(1, "a", job))
    monkeypatch.setattr(worker._stop, "wait", lambda _: None)
    worker.run()
    assert (worker.done, len(tried)) == (1, 2)
    assert "Anna" not in caplog.text


def test_what_brings_much_along_is_imported_when_it_is_needed() -> None:
    assert later("lucidray_clinic.core.identifiers.new_id")() is True
    broken = later("lucidray_clinic.nowhere.at_all")
    with pytest.raises(ImportError):
        broken()
