"""Signs of life: a slow worker keeps its job, a hung or broken one gives it up."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from lucidray_clinic.analyses import runs, shelf
from lucidray_clinic.analyses.models import InferenceRun
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core import heartbeat, jobs
from lucidray_clinic.core.heartbeat import hand_back, kept_alive
from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.core.work import Worker

LEASE_S = 0.6


@pytest.fixture
def run(film: Instance) -> InferenceRun:
    """A run whose lease is over in a moment."""
    runs.ask(None, film, shelf.bundles().get(name="pediatric-pneumonia"))
    claimed: Any = jobs.claim(jobs.open_jobs(InferenceRun.objects.all()), "died", seconds=LEASE_S)
    assert claimed is not None
    return claimed  # type: ignore[no-any-return]


def freed_within(seconds: float) -> bool:
    """Whether another worker could take the run up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if jobs.open_jobs(InferenceRun.objects.all()).exists():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.django_db(transaction=True)
def test_a_slow_worker_keeps_its_job(run: InferenceRun) -> None:
    with kept_alive(run, LEASE_S):
        assert not freed_within(3 * LEASE_S)
        assert jobs.finish(run)


@pytest.mark.django_db(transaction=True)
def test_a_worker_without_signs_of_life_loses_it(run: InferenceRun) -> None:
    assert freed_within(5 * LEASE_S)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_hangs_loses_it_too(
    run: InferenceRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "HUNG_SECONDS", LEASE_S)
    with kept_alive(run, LEASE_S):
        assert freed_within(10 * LEASE_S)
        assert runs.claim() is not None
        assert not jobs.finish(run)


@pytest.mark.django_db(transaction=True)
def test_the_lease_of_another_worker_is_left_alone(run: InferenceRun) -> None:
    until = timezone.now() + timedelta(seconds=60)
    with kept_alive(run, LEASE_S):
        InferenceRun.objects.update(lease=new_id(), lease_until=until)
        time.sleep(LEASE_S)
        assert not [one for one in threading.enumerate() if one.name == "lease"], "it has ended"
    assert InferenceRun.objects.get().lease_until == until


def test_a_database_that_is_away_for_a_moment_ends_no_signs(
    run: InferenceRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> bool:
        raise OperationalError("the server is gone")

    monkeypatch.setattr(heartbeat, "renew", away)
    assert heartbeat._renewed(run, LEASE_S)


def test_what_broke_off_is_taken_up_at_once(
    run: InferenceRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.renew(run)
    with pytest.raises(OperationalError), kept_alive(run):
        raise OperationalError("the server is gone")
    assert runs.claim() is None, "the lease holds"
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "held", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hand_back()
    monkeypatch.setattr("lucidray_clinic.core.work._QUEUES", {})
    Worker().run(once=True)
    again = runs.claim()
    assert again is not None
    assert again.attempts == 2
    hand_back()
    assert jobs.finish(again), "it is handed back once"


def test_what_ended_is_not_handed_back(run: InferenceRun) -> None:
    with pytest.raises(ValueError, match="late"), kept_alive(run):
        jobs.fail(run, "no", timedelta(seconds=60))
        raise ValueError("late")
    hand_back()
    assert InferenceRun.objects.get().lease_until is None
