"""What can be done about people and teams; no function here sees a request."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from lucidray_clinic.accounts import sessions
from lucidray_clinic.accounts.models import Membership, OneTimeLink, Team, User, UserSession
from lucidray_clinic.accounts.roles import Role
from lucidray_clinic.core import audit


@transaction.atomic
def make_first_administrator() -> User:
    """Make the first person of an empty room, who signs in by a one-time link."""
    user = User(username="admin", is_staff=True, is_superuser=True, approved_at=timezone.now())
    user.set_unusable_password()
    user.save()
    team = Team.objects.create(name=_("Our team"))
    for role in (Role.ADMINISTRATOR, Role.CLINICIAN, Role.RESEARCHER):
        Membership.objects.create(user=user, team=team, role=role)
    audit.record(user, "create", user)
    return user


def make_one_time_link(user: User, minutes: int = 30) -> str:
    """Return a token that signs somebody in once.

    Args:
        user: The person.
        minutes: How long it holds.
    """
    token = secrets.token_urlsafe(24)
    expires = timezone.now() + timedelta(minutes=minutes)
    OneTimeLink.objects.create(user=user, digest=_digest(token), expires_at=expires)
    return token


@transaction.atomic
def use_one_time_link(token: str) -> User | None:
    """Return the person whom a token signs in; the token is worth nothing afterwards.

    Args:
        token: As `make_one_time_link` returned it.

    Returns:
        None where the token is unknown, used or too old.
    """
    now = timezone.now()
    fresh = OneTimeLink.objects.filter(digest=_digest(token), used_at=None, expires_at__gt=now)
    link = fresh.select_related("user").first()
    if link is None or not fresh.update(used_at=now):
        return None
    return link.user if link.user.is_active else None


def has_second_factor(user: User) -> bool:
    """Tell whether somebody has set up a second factor.

    Args:
        user: The person.
    """
    from allauth.mfa.utils import is_mfa_enabled

    return bool(is_mfa_enabled(user))


@transaction.atomic
def forget_second_factor(user: User, actor: Any) -> bool:
    """Forget an authenticator that was lost, with keys and recovery codes; end all sessions.

    Args:
        user: Whose.
        actor: Who has made sure that it is this person; None: whoever holds the machine.

    Returns:
        Whether there was one.
    """
    from allauth.mfa.models import Authenticator

    gone, _kinds = Authenticator.objects.filter(user=user).delete()
    if gone:
        sessions.end_all(user, actor)
        audit.record(actor, "forget second factor", user)
    return bool(gone)


def save_preferences(user: User, values: dict[str, Any]) -> None:
    """Keep how pages look and speak for somebody.

    Args:
        user: The person.
        values: ``language`` and ``theme``.
    """
    user.language, user.theme = values["language"], values["theme"]
    user.save(update_fields=["language", "theme"])
    audit.record(user, "change preferences", user)


def list_sessions(user: User) -> Any:
    """Return the sessions that somebody has open.

    Args:
        user: The person.
    """
    return sessions.open_sessions(user)


def end_own_session(user: User, key: UUID) -> None:
    """End one of somebody's own sessions.

    Args:
        user: The person.
        key: The session's id.

    Raises:
        Http404: It is not theirs.
    """
    one = UserSession.objects.filter(user=user, pk=key).first()
    if one is None:
        raise Http404
    sessions.end(one, user)


def end_other_sessions(user: User, current: str | None) -> None:
    """End all of somebody's sessions but one.

    Args:
        user: The person.
        current: Key of the session that goes on.
    """
    sessions.end_all(user, user, but=current)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
