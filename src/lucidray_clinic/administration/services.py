"""What administrators do about people and teams; no function here sees a request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from axes.utils import reset
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts import sessions
from lucidray_clinic.accounts.models import Membership, Team, User
from lucidray_clinic.accounts.roles import Permission, Role
from lucidray_clinic.accounts.services import forget_second_factor, make_one_time_link
from lucidray_clinic.administration.models import PurgeRequest
from lucidray_clinic.core import audit
from lucidray_clinic.core.models import AuditEvent
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients.emergency import emergencies_to_see


def list_people(admin: User) -> QuerySet[User]:
    """Return the people whom somebody administers: of the own teams, and those without any.

    Args:
        admin: The administrator.
    """
    mine = Q(memberships__team_id__in=admin.teams_with(Permission.MANAGE))
    people = User.objects.filter(mine | Q(memberships=None)).distinct()
    return people.prefetch_related("memberships__team").order_by("last_name", "username")


def open_person(admin: User, key: UUID) -> User:
    """Return a person whom somebody administers.

    Args:
        admin: The administrator.
        key: The person's id.

    Raises:
        Http404: The person belongs to other teams only.
    """
    person = list_people(admin).filter(pk=key).first()
    if person is None:
        raise Http404
    return person


@transaction.atomic
def add_person(admin: User, team: Team, roles: list[str], values: dict[str, str]) -> User:
    """Make an account, to be opened by a one-time link.

    Args:
        admin: The administrator.
        team: A team of the administrator.
        roles: Roles in it.
        values: ``username``, ``first_name``, ``last_name``, ``email``.
    """
    _ask(admin, team)
    person = User(**values, approved_at=timezone.now())
    person.set_unusable_password()
    person.save()
    audit.record(admin, "create", person)
    set_roles(admin, person.pk, team, roles)
    return person


@transaction.atomic
def set_roles(admin: User, key: UUID, team: Team, roles: list[str]) -> None:
    """Give somebody these roles in a team, and no others.

    Args:
        admin: The administrator.
        key: The person's id.
        team: A team of the administrator.
        roles: The roles; none: out of the team.

    Raises:
        SiteError: The team would be left without an administrator.
    """
    person = open_person(admin, key)
    _ask(admin, team)
    wanted = {Role(role) for role in roles}
    held = Membership.objects.filter(user=person, team=team)
    others = Membership.objects.filter(team=team, role=Role.ADMINISTRATOR).exclude(user=person)
    if Role.ADMINISTRATOR not in wanted and not others.exists():
        raise SiteError(_("A team needs an administrator. Name another one first."), "last")
    held.exclude(role__in=wanted).delete()
    for role in wanted - set(held.values_list("role", flat=True)):
        Membership.objects.create(user=person, team=team, role=role)
    audit.record(admin, "set roles", person, team=str(team.pk), roles=sorted(wanted))


@transaction.atomic
def set_active(admin: User, key: UUID, active: bool) -> None:
    """Open or close somebody's account; closing ends all sessions at once.

    Args:
        admin: The administrator.
        key: The person's id.
        active: Open.

    Raises:
        SiteError: It is oneself.
        PermissionDenied: The person also belongs to teams of others.
    """
    person = open_person(admin, key)
    if person.pk == admin.pk:
        raise SiteError(_("Nobody closes the own account."), "oneself")
    _ask_for_all_teams(admin, person)
    person.is_active = active
    if active and person.approved_at is None:
        person.approved_at = timezone.now()
    person.save(update_fields=["is_active", "approved_at"])
    if not active:
        sessions.end_all(person, admin)
    audit.record(admin, "open account" if active else "close account", person)


@transaction.atomic
def end_sessions(admin: User, key: UUID) -> None:
    """End all sessions of somebody.

    Args:
        admin: The administrator.
        key: The person's id.
    """
    sessions.end_all(open_person(admin, key), admin)


@transaction.atomic
def unlock(admin: User, key: UUID) -> None:
    """Forget the failed sign-ins of somebody.

    Args:
        admin: The administrator.
        key: The person's id.
    """
    person = open_person(admin, key)
    reset(username=person.username.lower())
    audit.record(admin, "unlock", person)


@transaction.atomic
def forget_factor(admin: User, key: UUID) -> bool:
    """Forget the second factor of somebody who has lost it and stands before you.

    Args:
        admin: The administrator.
        key: The person's id.

    Returns:
        Whether there was one.

    Raises:
        PermissionDenied: The person also belongs to teams of others.
    """
    person = open_person(admin, key)
    _ask_for_all_teams(admin, person)
    return forget_second_factor(person, admin)


@transaction.atomic
def new_link(admin: User, key: UUID) -> str:
    """Return a token that signs somebody in once, to be handed over in person.

    Args:
        admin: The administrator.
        key: The person's id.

    Raises:
        PermissionDenied: The person also belongs to teams of others.
    """
    person = open_person(admin, key)
    _ask_for_all_teams(admin, person)
    audit.record(admin, "sign-in link", person)
    return make_one_time_link(person, minutes=24 * 60)


@transaction.atomic
def add_team(admin: User, name: str) -> Team:
    """Make a team, with its first administrator.

    Args:
        admin: Who becomes that; must administer the whole site.
        name: The team's name.

    Raises:
        SiteError: The name is taken or empty.
    """
    if not admin.is_superuser:
        raise PermissionDenied
    if not name.strip() or Team.objects.filter(name__iexact=name.strip()).exists():
        raise SiteError(_("Give the team a name that no other has."), "taken")
    team = Team.objects.create(name=name.strip())
    Membership.objects.create(user=admin, team=team, role=Role.ADMINISTRATOR)
    audit.record(admin, "create", team)
    return team


def audit_events(admin: User, action: str = "", actor: str = "") -> QuerySet[AuditEvent]:
    """Return the audit of a person's teams, the latest first; the site's administrator sees all.

    Args:
        admin: The person.
        action: Only this; empty: all.
        actor: Only by the person with this user name; empty: all.
    """
    rows = AuditEvent.objects.select_related("actor").order_by("-number")
    if not admin.is_superuser:
        teams = [str(team) for team in admin.teams_with(Permission.AUDIT)]
        people = Membership.objects.filter(team_id__in=teams).values("user_id")
        rows = rows.filter(Q(team_id__in=teams) | Q(team_id="", actor_id__in=people))
    if action:
        rows = rows.filter(action=action)
    if not actor:
        return rows
    named = list(User.objects.filter(username__iexact=actor).values_list("pk", flat=True))
    return rows.filter(actor_id__in=named)


def open_purges(user: User) -> QuerySet[PurgeRequest]:
    """Return the requests to purge that somebody may agree to or withdraw.

    Args:
        user: The person.
    """
    rows = PurgeRequest.objects.visible_to(user).filter(purged_at=None)
    return rows.select_related("requested_by", "team")


def alerts(user: User) -> dict[str, Any] | None:
    """Return what an administrator must look at; None: nothing.

    Args:
        user: The person.
    """
    if not user.may(Permission.MANAGE):
        return None
    found = {
        "emergencies": emergencies_to_see(user).filter(seen_by=None).count(),
        "waiting": list_people(user).filter(approved_at=None, is_active=False).count(),
        "purges": open_purges(user).exclude(requested_by=user).count(),
    }
    return found if any(found.values()) else None


def _ask(admin: User, team: Team) -> None:
    if not admin.may(Permission.MANAGE, team):
        raise PermissionDenied


def _ask_for_all_teams(admin: User, person: User) -> None:
    theirs = set(person.memberships.values_list("team_id", flat=True))
    if not admin.is_superuser and not theirs <= set(admin.teams_with(Permission.MANAGE)):
        raise PermissionDenied
