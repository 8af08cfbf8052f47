"""What is written when somebody signs in or out, or fails to."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, password_set
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from lucidray_clinic.accounts import sessions
from lucidray_clinic.accounts.models import User, UserSession
from lucidray_clinic.core import audit
from lucidray_clinic.core.addresses import client_address


def connect() -> None:
    """Listen."""
    user_logged_in.connect(_signed_in, dispatch_uid="lucidray signed in")
    user_logged_out.connect(_signed_out, dispatch_uid="lucidray signed out")
    user_login_failed.connect(_failed, dispatch_uid="lucidray sign-in failed")
    for signal in (password_changed, password_set):
        signal.connect(_chose_password, dispatch_uid="lucidray chose password")


def _signed_in(request: Any, user: User, **_: Any) -> None:
    device = request.headers.get("User-Agent", "")
    sessions.begin(user, request.session, client_address(request), device)
    audit.record(user, "sign in", user)


def _signed_out(request: Any, user: User | None, **_: Any) -> None:
    if user is None:
        return
    from django.utils import timezone

    rows = UserSession.objects.filter(session_key=request.session.session_key)
    rows.update(ended_at=timezone.now())
    audit.record(user, "sign out", user)


def _chose_password(request: Any, user: User, **_: Any) -> None:
    """Go on under the session's new key, and sign this person out everywhere else."""
    device = request.headers.get("User-Agent", "")
    sessions.go_on(user, request.session, client_address(request), device)
    sessions.end_all(user, user, but=request.session.session_key)
    audit.record(user, "choose password", user)


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    name = str(credentials.get("username") or "")
    tried = User.objects.filter(username__iexact=name).first()
    audit.record(None, "sign-in failed", tried)
