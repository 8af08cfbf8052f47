"""The rules of sessions, asked on every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from lucidray_clinic.accounts import sessions

Handler = Callable[[HttpRequest], HttpResponse]

#: A page sends this with what it asks by itself; such requests do not keep a session open.
BACKGROUND = "X-LucidRay-Background"


def session_rules(respond: Handler) -> Handler:
    """End sessions that are idle, too old, closed elsewhere, or of somebody disabled."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            polling = BACKGROUND in request.headers
            if not sessions.keep(request.user, request.session, polling=polling):
                request.session.flush()
                request.user = sessions.nobody()
        return respond(request)

    return middleware


def own_language(respond: Handler) -> Handler:
    """Speak the person's language, or before the sign-in the browser's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        known = user.is_authenticated
        language = user.language if known else translation.get_language_from_request(request)
        with translation.override(language):
            request.LANGUAGE_CODE = translation.get_language()
            response = respond(request)
            response.headers.setdefault("Content-Language", language)
            return response

    return middleware


class LoginRequired(LoginRequiredMiddleware):
    """Refuse who has not signed in: pages send to the door, the JSON interface says so."""

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view: Any
    ) -> HttpResponse:
        """Answer."""
        if "HX-Request" in request.headers:  # a part of a page: the whole page goes to the door
            door = HttpResponse(status=401)
            door["HX-Redirect"] = reverse("account_login")
            return door
        if not request.path.startswith("/api/"):
            return super().handle_no_permission(request, view)
        told = {"code": "signed_out", "message": _("You are not signed in."), "hint": ""}
        return JsonResponse({"error": told}, status=401)


def second_factor_where_required(respond: Handler) -> Handler:
    """Send those to set up a second factor whose role needs one, before they see anything."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and sessions.lacks_second_factor(request.user):
            start = reverse("mfa_index")
            free = (start, reverse("account_logout"), reverse("account_reauthenticate"))
            if not request.path.startswith((*free, settings.STATIC_URL)):
                messages.warning(request, _("Your role needs a second factor. Set one up first."))
                return redirect(start)
        return respond(request)

    return middleware
