"""What a machine may ask after models and the queue; nothing of it is about patients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone

from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import InferenceRun, Reading, RunState
from lucidray_clinic.core.health import add_probe
from lucidray_clinic.core.identifiers import first_id_at
from lucidray_clinic.core.metrics import Gauge, add_gauges


def add_all() -> None:
    """Add the probes and the numbers."""
    add_probe("models", models)
    add_probe("queue", queue)
    add_gauges("runs", count_runs)
    add_gauges("readings", count_readings)


def models() -> str:
    """Look for the file of every model that is offered."""
    for bundle in shelf.bundles():
        shelf.file_of(bundle)
    return "ok"


def queue() -> str:
    """Tell whether films wait too long for the server: ``"late"``; then a worker is missing."""
    limit = timedelta(minutes=settings.QUEUE_LATE_MINUTES)
    return "late" if oldest_wait() > limit else "ok"


def oldest_wait() -> timedelta:
    """Return how long the first film that could be read now has waited."""
    now = timezone.now()
    waiting = InferenceRun.objects.filter(state=RunState.WAITING, not_before__lte=now)
    since = waiting.aggregate(first=Min("not_before"))["first"]
    return now - since if since is not None else timedelta()


def count_runs() -> Iterator[Gauge]:
    """Count the runs of the queue."""
    rows: Any = InferenceRun.objects.values_list("state").annotate(n=Count("pk")).order_by()
    counted = dict(rows)
    for state in RunState.values:
        yield Gauge(
            "runs", "Films for the server to read.", counted.get(state, 0), {"state": state}
        )
    seconds = oldest_wait().total_seconds()
    yield Gauge("queue_oldest_seconds", "How long the first film in the queue has waited.", seconds)


def count_readings() -> Iterator[Gauge]:
    """Count the readings of the last day by model, and those that give no result."""
    since = timezone.now() - timedelta(days=1)
    recent = Reading.objects.filter(pk__gte=first_id_at(since), created_at__gte=since)
    rows = recent.values("bundle__name", "bundle__digest")
    refused = Count("pk", filter=Q(refusal__isnull=False))
    for row in rows.annotate(n=Count("pk"), refused=refused).order_by():
        labels = {"model": row["bundle__name"], "version": row["bundle__digest"][:8]}
        yield Gauge("readings_day", "Readings of the last 24 hours.", row["n"], labels)
        yield Gauge("refusals_day", "Of these, without a result.", row["refused"], labels)
