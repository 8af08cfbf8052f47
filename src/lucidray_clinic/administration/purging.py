"""Destroying deleted records: one person asks, another agrees, the audit keeps both names."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.administration.models import PurgeRequest
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.belongings import remove_files, rows_of
from lucidray_clinic.patients.models import Patient

_MODELS: dict[str, Any] = {"patient": Patient, "case": Case}


@transaction.atomic
def request_purge(user: Any, kind: str, key: UUID, reason: str) -> PurgeRequest:
    """Ask that a deleted record be destroyed.

    Args:
        user: The person.
        kind: ``"patient"`` or ``"case"``.
        key: The record's id.
        reason: Why.

    Raises:
        SiteError: It is not deleted, no reason is given, or somebody has asked already.
    """
    if kind not in _MODELS:
        raise Http404
    rows = _MODELS[kind].everything.filter(team_id__in=user.teams_with(Permission.DELETE))
    row = rows.filter(pk=key).first()
    if row is None:
        raise Http404
    if row.deleted_at is None:
        raise SiteError(_("Delete it first; only deleted records can be purged."), "not_deleted")
    if not reason.strip():
        raise SiteError(_("Say why it must be destroyed."), "reason")
    try:
        with transaction.atomic():
            wish = PurgeRequest.objects.create(
                team_id=row.team_id, kind=kind, row_id=key, reason=reason, requested_by=user
            )
    except IntegrityError as error:
        raise SiteError(_("Somebody has asked for this already."), "asked") from error
    audit.record(user, "purge requested", row)
    return wish


@transaction.atomic
def approve_purge(user: Any, key: UUID) -> PurgeRequest:
    """Agree, as the second person, and destroy the record with all that hangs on it.

    Args:
        user: The second person.
        key: The request's id.

    Raises:
        SiteError: The same person asked, it was done already, or the record was brought back.
    """
    open_ones = PurgeRequest.objects.select_for_update(of=("self",)).filter(purged_at=None)
    wish: PurgeRequest = fetch(open_ones, user, key, Permission.DELETE)
    if wish.requested_by_id == user.pk:
        raise SiteError(_("Another person than the one who asked has to agree."), "same_person")
    row = _MODELS[wish.kind].everything.filter(pk=wish.row_id, deleted_at__isnull=False).first()
    if row is None:
        raise SiteError(_("The record has been brought back. Withdraw the request."), "restored")
    audit.record(user, "purge", row, requested_by=str(wish.requested_by_id))
    wish.rows = destroy(row)
    wish.approved_by, wish.purged_at = user, timezone.now()
    wish.save(update_fields=["rows", "approved_by", "purged_at"])
    return wish


@transaction.atomic
def withdraw_purge(user: Any, key: UUID) -> None:
    """Take a request back.

    Args:
        user: The person.
        key: The request's id.
    """
    wish = fetch(PurgeRequest.objects.filter(purged_at=None), user, key, Permission.DELETE)
    audit.record(user, "purge withdrawn", wish)
    PurgeRequest.objects.filter(pk=wish.pk).delete()


def destroy(row: Any) -> int:
    """Destroy a row, all that hangs on it, and their files once the rows are gone.

    Args:
        row: The row.

    Returns:
        How many rows.
    """
    rows = rows_of(row)
    for one in rows:
        type(one)._base_manager.filter(pk=one.pk).delete()

    def remove() -> None:
        for one in rows:
            remove_files(one)

    transaction.on_commit(remove)
    return len(rows)
