"""A new model in the shadow of one in use: started, stopped, promoted, rolled back. All audited.

A model in the shadow is not on offer, so nothing that a reader opens knows of it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses import shelf
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.care.models import Shadow, ShadowState
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError

#: Days of films from before its start that a shadow may read, too.
MOST_DAYS_BACK = 365


def shadows(state: str = "") -> QuerySet[Shadow]:
    """Return the shadows, the latest first.

    Args:
        state: A `ShadowState`; empty: all.
    """
    rows = Shadow.objects.select_related("bundle", "beside", "started_by", "changed_by")
    return rows.filter(state=state) if state else rows


def candidates() -> list[ModelBundle]:
    """Return the models that could be put in the shadow: those that judge findings."""
    running = shadows(ShadowState.RUNNING).values("bundle_id")
    rows = shelf.bundles(retired=True).filter(task="classification").exclude(pk__in=running)
    return list(rows)


@transaction.atomic
def start(user: Any, key: UUID, beside: UUID, days_back: int = 0) -> Shadow:
    """Let a model read every new film in the shadow of one in use; it is offered no longer.

    Args:
        user: Who starts it.
        key: The model's id.
        beside: Id of the model in use.
        days_back: Days of earlier films that both read, too.

    Raises:
        SiteError: They are the same, judge nothing in common, or it is in a shadow already.
        PermissionDenied: The person manages no team.
    """
    _may_manage(user)
    bundle = get_object_or_404(ModelBundle, pk=key, task="classification")
    present = get_object_or_404(shelf.readers(), pk=beside)
    if bundle.pk == present.pk or not set(bundle.findings) & set(present.findings):
        raise SiteError(_("Choose two models that judge findings in common."), "incomparable")
    if bundle.retired_at is None:
        shelf.retire(user, bundle.pk)
    since = timezone.now() - timedelta(days=min(max(days_back, 0), MOST_DAYS_BACK))
    row, made = Shadow.objects.get_or_create(
        bundle=bundle,
        state=ShadowState.RUNNING,
        defaults={"beside": present, "films_since": since, "started_by": user},
    )
    if not made:
        raise SiteError(_("This model is in a shadow already."), "running")
    audit.record(user, "start shadow", row, model=bundle.digest, beside=present.digest)
    return row


def install(user: Any, path: Path, beside: UUID, days_back: int = 0) -> Shadow:
    """Check and install a model straight into the shadow, so that it is never on offer.

    Args:
        user: Who installs it.
        path: The bundle's file.
        beside: Id of the model in use.
        days_back: As of `start`.

    Raises:
        SiteError: As of `shelf.install` and `start`.
    """
    get_object_or_404(shelf.readers(), pk=beside)
    return start(user, shelf.install(user, path, offered=False).pk, beside, days_back)


@transaction.atomic
def stop(user: Any, key: UUID) -> Shadow:
    """End a shadow; what it read is kept.

    Args:
        user: Who ends it.
        key: The shadow's id.
    """
    row = _change(user, key, ShadowState.RUNNING, ShadowState.STOPPED)
    audit.record(user, "stop shadow", row, model=row.bundle.digest)
    return row


@transaction.atomic
def promote(user: Any, key: UUID) -> Shadow:
    """Put the model of a shadow in use, and the one beside it out of use.

    Args:
        user: Who decides it.
        key: The shadow's id.
    """
    row = _change(user, key, ShadowState.RUNNING, ShadowState.PROMOTED)
    _exchange(user, row.beside, row.bundle)
    audit.record(user, "promote model", row, model=row.bundle.digest, former=row.beside.digest)
    return row


@transaction.atomic
def roll_back(user: Any, key: UUID) -> Shadow:
    """Return to the model that was in use before a promotion; every reading stays.

    Args:
        user: Who decides it.
        key: The shadow's id.
    """
    row = _change(user, key, ShadowState.PROMOTED, ShadowState.ROLLED_BACK)
    _exchange(user, row.bundle, row.beside)
    audit.record(user, "roll back model", row, model=row.beside.digest, former=row.bundle.digest)
    return row


def _change(user: Any, key: UUID, before: str, after: str) -> Shadow:
    _may_manage(user)
    row: Shadow = get_object_or_404(shadows().select_for_update(of=("self",)), pk=key)
    if row.state != before:
        raise SiteError(_("Somebody else has changed this in between. Look again."), "changed")
    row.state, row.changed_at, row.changed_by = after, timezone.now(), user
    row.save(update_fields=["state", "changed_at", "changed_by"])
    return row


def _exchange(user: Any, out: ModelBundle, into: ModelBundle) -> None:
    shelf.offer_again(user, into.pk)
    if ModelBundle.objects.filter(pk=out.pk, retired_at=None).exists():
        shelf.retire(user, out.pk)


def _may_manage(user: Any) -> None:
    if not user.may(Permission.MANAGE):
        raise PermissionDenied
