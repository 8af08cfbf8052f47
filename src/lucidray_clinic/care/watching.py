"""The watch: looks once a day at the models that are offered and at the films; raises alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.care import intensity, measuring, windows
from lucidray_clinic.care.models import DriftAlert, DriftCheck, Reference
from lucidray_clinic.core import audit
from lucidray_clinic.core.metrics import Gauge

#: Hours between two looks.
EVERY_HOURS = 24


def work_once() -> bool:
    """Look, if it is time to.

    Returns:
        False: so that the queue is not asked again at once.
    """
    last = DriftCheck.objects.order_by("-created_at").first()
    if last is None or timezone.now() - last.created_at > timedelta(hours=EVERY_HOURS):
        look()
    return False


def look(now: datetime | None = None) -> list[DriftCheck]:
    """Measure new films, then look at the films and at every model that is offered.

    Args:
        now: The end of the current window; None: this moment.

    Returns:
        One check of the films, and one of each model.
    """
    while intensity.measure_new() == intensity.BATCH:
        pass
    return [look_at(bundle, now) for bundle in (None, *shelf.readers())]


def look_at(bundle: ModelBundle | None, now: datetime | None = None) -> DriftCheck:
    """Look at one model, or the films; raise alerts for what has moved, close those that are back.

    Args:
        bundle: The model; None: the films.
        now: The end of the current window; None: this moment.
    """
    reference, current = windows.windows_of(bundle, now)
    measures = _measured(bundle, reference, current)
    with transaction.atomic():
        check = DriftCheck.objects.create(
            bundle=bundle,
            reference_start=reference.start,
            reference_end=reference.end,
            current_start=current.start,
            current_end=current.end,
            measures=measures,
        )
        _raise_and_close(bundle, measures)
    return check


def latest() -> list[DriftCheck]:
    """Return the last check of the films and of every model that is offered, the films first."""
    rows = [DriftCheck.objects.filter(bundle=bundle).first() for bundle in (None, *shelf.readers())]
    return [row for row in rows if row is not None]


def open_alerts() -> QuerySet[DriftAlert]:
    """Return what has moved and is not back, the latest first."""
    return DriftAlert.objects.filter(closed_at=None).select_related("bundle", "seen_by")


@transaction.atomic
def note_seen(user: Any, key: UUID) -> None:
    """Note that an administrator has looked at an alert.

    Args:
        user: The administrator.
        key: The alert's id.
    """
    _may_manage(user)
    row = get_object_or_404(DriftAlert, pk=key)
    if row.seen_at is None:
        row.seen_at, row.seen_by = timezone.now(), user
        row.save(update_fields=["seen_at", "seen_by"])
        audit.record(user, "drift seen", row, kind=row.kind, what=row.what)


@transaction.atomic
def take_reference(user: Any, bundle: ModelBundle | None) -> Reference:
    """Take the days before the current window as what is to be compared with from now on.

    Args:
        user: The administrator.
        bundle: The model; None: the films.
    """
    _may_manage(user)
    end = timezone.now()
    start = end - timedelta(days=windows.REFERENCE_DAYS)
    row = Reference.objects.create(bundle=bundle, start=start, end=end, set_by=user)
    audit.record(user, "set drift reference", row, model="" if bundle is None else bundle.digest)
    return row


def count_alerts() -> Iterator[Gauge]:
    """Count what has moved, for Prometheus."""
    yield Gauge("drift_alerts", "What has moved and is not back.", open_alerts().count())


def _measured(
    bundle: ModelBundle | None, reference: windows.Window, current: windows.Window
) -> list[dict[str, Any]]:
    if bundle is None:
        return measuring.of_films(windows.films_in(reference), windows.films_in(current))
    before, now = (windows.readings_in(bundle, each) for each in (reference, current))
    agreed = (windows.agreements(before), windows.agreements(now))
    return measuring.of_model(bundle.findings, before, now, agreed)


def _raise_and_close(bundle: ModelBundle | None, measures: list[dict[str, Any]]) -> None:
    for one in measures:
        rows = DriftAlert.objects.filter(
            bundle=bundle, kind=one["kind"], what=one["what"], closed_at=None
        )
        if one["state"] == "moved" and not rows.exists():
            row = DriftAlert.objects.create(bundle=bundle, kind=one["kind"], what=one["what"])
            audit.record(None, "drift", row, kind=one["kind"], what=one["what"])
        elif one["state"] == "ok":
            rows.update(closed_at=timezone.now())


def _may_manage(user: Any) -> None:
    if not user.may(Permission.MANAGE):
        raise PermissionDenied
