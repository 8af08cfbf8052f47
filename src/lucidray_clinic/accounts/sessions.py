"""Sessions of people: how long they last, who ends them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.utils import timezone

from lucidray_clinic.accounts.models import User, UserSession
from lucidray_clinic.core import audit

_BEGAN, _ACTIVE = "began", "active"

#: Seconds within which an active session is not written again.
_GRAIN = 20


def nobody() -> Any:
    """Return the one who has not signed in."""
    return AnonymousUser()


def begin(user: User, session: SessionBase, address: str, device: str) -> None:
    """Start counting a session's time, and list it.

    Args:
        user: Who signed in.
        session: The session, whose key is new.
        address: Where from.
        device: What the browser calls itself.
    """
    session[_BEGAN] = time.time()
    go_on(user, session, address, device)


def go_on(user: User, session: SessionBase, address: str, device: str) -> None:
    """List a session under its key, which may be new; its time goes on being counted.

    Args:
        user: Whose it is.
        session: The session.
        address: Where from.
        device: What the browser calls itself.
    """
    session[_ACTIVE] = time.time()
    if session.session_key is None:
        session.create()
    UserSession.objects.update_or_create(
        session_key=session.session_key,
        defaults={
            "user": user,
            "address": address,
            "device": device[:120],
            "last_active_at": timezone.now(),
            "ended_at": None,
        },
    )


def keep(user: Any, session: SessionBase, *, polling: bool) -> bool:
    """Tell whether a session may go on, and note that it is in use.

    Args:
        user: Whose it is.
        session: The session.
        polling: The page asked by itself: this keeps nothing open.

    Returns:
        False where it is idle or too old, was ended elsewhere, or the person is disabled.
    """
    now = time.time()
    began, active = session.get(_BEGAN, 0.0), session.get(_ACTIVE, 0.0)
    too_old = now - began > settings.SESSION_LIFE_SECONDS
    idle = now - active > settings.SESSION_IDLE_SECONDS
    if too_old or idle or not user.is_active or _is_ended(session):
        _close(session, "expire" if too_old or idle else "end")
        return False
    if not polling and now - active > _GRAIN:
        session[_ACTIVE] = now
        UserSession.objects.filter(session_key=session.session_key).update(
            last_active_at=timezone.now()
        )
    return True


def end(one: UserSession, actor: Any) -> None:
    """End a session, wherever it is open.

    Args:
        one: The session.
        actor: Who ends it.
    """
    _end_rows(UserSession.objects.filter(pk=one.pk), actor)


def end_all(user: User, actor: Any, but: str | None = None) -> None:
    """End all sessions of somebody.

    Args:
        user: Whose.
        actor: Who ends them.
        but: Key of a session that goes on.
    """
    _end_rows(user.sessions.filter(ended_at=None).exclude(session_key=but or ""), actor)


def open_sessions(user: User) -> Any:
    """Return the sessions that somebody has open, newest first.

    Args:
        user: Whose.
    """
    limit = timezone.now() - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    return user.sessions.filter(ended_at=None, last_active_at__gt=limit)


def lacks_second_factor(user: Any) -> bool:
    """Tell whether a role of somebody needs a second factor that is not set up.

    Args:
        user: The person.
    """
    needed = set(settings.SECOND_FACTOR_ROLES)
    if not needed or not any(roles & needed for roles in user.roles().values()):
        return False
    from allauth.mfa.utils import is_mfa_enabled

    return not is_mfa_enabled(user)


def _is_ended(session: SessionBase) -> bool:
    row = UserSession.objects.filter(session_key=session.session_key)
    return not row.filter(ended_at=None).exists()


def _end_rows(rows: Any, actor: Any) -> None:
    keys = list(rows.values_list("session_key", flat=True))
    for row in rows.select_related("user"):
        audit.record(actor, "end session", row.user)
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).update(ended_at=timezone.now())


def _close(session: SessionBase, why: str) -> None:
    row = UserSession.objects.filter(session_key=session.session_key, ended_at=None)
    if row.update(ended_at=timezone.now()):
        listed = UserSession.objects.select_related("user").get(session_key=session.session_key)
        audit.record(listed.user, f"session {why}", listed.user)
