"""What happens to every request and response: nothing is stored, mistakes are told."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from lucidray_clinic.core import audit
from lucidray_clinic.core.addresses import client_address
from lucidray_clinic.core.origin import coming_from
from lucidray_clinic.errors import Conflict, SiteError

Handler = Callable[[HttpRequest], HttpResponse]


def never_stored(respond: Handler) -> Handler:
    """Keep browsers from keeping pages, so that Back after signing out shows no patient."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = respond(request)
        if not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
            response["Cache-Control"] = "no-store, private"
        return response

    return middleware


def request_origin(respond: Handler) -> Handler:
    """Tell the audit where a request came from."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with coming_from(client_address(request)):
            return respond(request)

    return middleware


class told_mistakes:
    """Turn what a service refuses into a page, or JSON, that says what to do."""

    def __init__(self, respond: Handler) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.respond(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer a SiteError; note who was not allowed what; leave all else to Django."""
        if isinstance(error, PermissionDenied):
            note_refusal(request)
        if not isinstance(error, SiteError):
            return None
        status = 409 if isinstance(error, Conflict) else 400
        if request.path.startswith("/api/"):
            told = {"code": error.code, "message": str(error), "hint": ""}
            return JsonResponse({"error": told}, status=status)
        page = {"message": str(error), "status": status, "debug": settings.DEBUG}
        return render(request, "lucidray/refused.html", page, status=status)


def note_refusal(request: HttpRequest) -> None:
    """Add to the audit that a role did not allow something.

    Args:
        request: The request.
    """
    match = request.resolver_match
    audit.record(request.user, "refused", route=match.view_name if match else "")
