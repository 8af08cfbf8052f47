"""How a view and a service refuse: by page for a role, by 404 for what another team owns."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from lucidray_clinic.accounts.models import User

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def needs(permission: str) -> Callable[[View], View]:
    """Let only those open a view who are allowed something in at least one team.

    What concerns one row is asked again by `fetch`, in the service.

    Args:
        permission: What.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user: Any = request.user
            if not user.may(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def signed_in(request: HttpRequest) -> User:
    """Return who asks; routes without a sign-in do not ask for this.

    Args:
        request: The request.
    """
    return cast(User, request.user)


def fetch(rows: Any, user: Any, key: Any, permission: str | None = None) -> Any:
    """Return one row that somebody may see, and work on if asked.

    Args:
        rows: A model that belongs to teams, or rows of one.
        user: The person.
        key: The row's id.
        permission: What the person wants to do with it; None: look.

    Raises:
        Http404: There is no such row in the person's teams.
        PermissionDenied: There is, but the person's role may not do this.
    """
    rows = rows if hasattr(rows, "visible_to") else rows.objects.all()
    row = rows.visible_to(user).filter(pk=key).first()
    if row is None:
        raise Http404
    if permission is not None and not user.may(permission, row):
        raise PermissionDenied
    return row
