"""What came and went, for people to look at, try again and set aside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core import audit, jobs
from lucidray_clinic.core.jobs import JobState
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import receiving
from lucidray_clinic.pacs.models import Answering, Arrival, Delivery, Outcome, Peer, StudyImport

#: For how long a peer may be silent before administrators are told.
SILENCE = timedelta(minutes=5)

#: Which arrivals a list shows, by a word for the address.
SHOWN = {
    "all": Q(),
    "waiting": Q(state__in=[JobState.WAITING, JobState.RUNNING]),
    "refused": Q(outcome=Outcome.REFUSED),
    "failed": Q(state=JobState.FAILED) | Q(answering=Answering.FAILED),
}


def arrivals_of(user: Any, shown: str = "all") -> QuerySet[Arrival]:
    """Return what came for somebody's teams; for administrators, what nobody has claimed too.

    Args:
        user: The person.
        shown: A key of `SHOWN`.
    """
    mine = Q(team__in=user.teams_with(Permission.UPLOAD))
    if user.may(Permission.MANAGE):
        mine |= Q(team=None)
    rows = Arrival.everything.filter(mine).filter(SHOWN.get(shown, Q()))
    return rows.select_related("peer", "team", "rule", "instance__case__patient", "run").order_by(
        "-created_at"
    )


def deliveries_of(user: Any) -> QuerySet[Delivery]:
    """Return the results of somebody's teams that went or are to go out.

    Args:
        user: The person.
    """
    rows = Delivery.objects.visible_to(user, Permission.UPLOAD)
    return rows.select_related(
        "peer", "instance__case__patient", "reading__bundle", "report", "asked_by"
    ).order_by("-created_at")


def deliveries_of_case(case: Case) -> QuerySet[Delivery]:
    """Return what of a case went or is to go out.

    Args:
        case: The case.
    """
    rows = Delivery.objects.filter(instance__case=case).order_by("-created_at")
    return rows.select_related("peer", "reading__bundle", "report")


def imports_of(user: Any) -> QuerySet[StudyImport]:
    """Return what somebody's teams fetched lately.

    Args:
        user: The person.
    """
    since = timezone.now() - timedelta(days=1)
    rows = StudyImport.objects.visible_to(user).filter(created_at__gte=since)
    return rows.select_related("peer", "team", "asked_by").order_by("-created_at")


def tally(user: Any) -> dict[str, int]:
    """Return how much is where.

    Args:
        user: The person.
    """
    came, went = arrivals_of(user).order_by(), deliveries_of(user).order_by()
    counted = came.aggregate(
        filing=Count("pk", filter=Q(state__in=[JobState.WAITING, JobState.RUNNING])),
        reading=Count("pk", filter=Q(answering=Answering.PENDING)),
        refused=Count("pk", filter=Q(outcome=Outcome.REFUSED, seen_at=None)),
    )
    waits = went.filter(state__in=[JobState.WAITING, JobState.RUNNING])
    return counted | {"sending": waits.count()}


def alerts_of(user: Any) -> dict[str, Any]:
    """Return what somebody should look at.

    Args:
        user: The person; only administrators are told.

    Returns:
        Objects given up, results given up, silent peers; empty where all is well.
    """
    if not user.may(Permission.MANAGE):
        return {}
    lost = arrivals_of(user, "failed").filter(seen_at=None)
    undelivered = deliveries_of(user).filter(state=JobState.FAILED, seen_at=None)
    silent = Peer.objects.filter(active=True, failing_since__lt=timezone.now() - SILENCE)
    found = {
        "arrivals": lost.count(),
        "deliveries": undelivered.count(),
        "silent": list(silent),
    }
    return found if any(found.values()) else {}


@transaction.atomic
def look_again(user: Any, key: UUID) -> None:
    """Have an object looked at again, or its reading made again.

    Args:
        user: Somebody who may upload to its team; of what nobody has claimed, an administrator.
        key: The arrival's id.

    Raises:
        Http404: There is no such arrival for this person.
        SiteError: Its file is no longer here.
    """
    row = get_object_or_404(arrivals_of(user), pk=key)
    if row.answering == Answering.FAILED and row.run is not None:
        jobs.again(row.run)
        back = {"answering": Answering.PENDING, "seen_at": None}
        Arrival.everything.filter(pk=row.pk).update(**back)
    elif not receiving.reopen(row):
        raise SiteError(_("Its file is no longer here. Have it sent again."), "gone")
    audit.record(user, "look again", row)


@transaction.atomic
def send_again(user: Any, key: UUID) -> None:
    """Send a result again: the same objects, so that no archive holds them twice.

    Args:
        user: Somebody who may upload to its team.
        key: The delivery's id.
    """
    row: Delivery = fetch(Delivery, user, key, Permission.UPLOAD)
    ended = Delivery.everything.filter(pk=row.pk, state=JobState.DONE)
    ended.update(state=JobState.FAILED)
    jobs.again(row, seen_at=None)
    audit.record(user, "send again", row)


@transaction.atomic
def set_aside(user: Any, key: UUID) -> None:
    """Note that somebody has seen what went wrong, of a result or of an object that came.

    Args:
        user: Somebody who may upload to its team; of what nobody has claimed, an administrator.
        key: Id of the arrival or delivery.
    """
    row = arrivals_of(user).filter(pk=key).first() or fetch(Delivery, user, key, Permission.UPLOAD)
    type(row)._base_manager.filter(pk=row.pk).update(seen_at=timezone.now())
    audit.record(user, "set aside", row)
