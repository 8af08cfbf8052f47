"""The JSON interface: described at ``/api/v1/openapi.json``, for people who are signed in."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import ValidationError
from ninja.security import SessionAuth

from lucidray_clinic.analyses.api import router as analyses
from lucidray_clinic.annotations.api import router as annotating
from lucidray_clinic.cases.api import router as cases
from lucidray_clinic.core.middleware import note_refusal
from lucidray_clinic.errors import Conflict, SiteError

api = NinjaAPI(
    title="LucidRay reading room",
    version="1",
    urls_namespace="api-1",
    auth=SessionAuth(csrf=True),
    docs_url=None,
)
api.add_router("", cases)
api.add_router("", analyses)
api.add_router("", annotating)


def _told(
    request: HttpRequest, status: int, code: str, message: str, hint: str = ""
) -> HttpResponse:
    error = {"code": code, "message": message, "hint": hint}
    return api.create_response(request, {"error": error}, status=status)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Any) -> HttpResponse:  # noqa: ARG001
    hint = _("It may belong to another team, or have been deleted.")
    return _told(request, 404, "not_found", _("There is no such thing."), hint)


@api.exception_handler(PermissionDenied)
def _forbidden(request: HttpRequest, error: Any) -> HttpResponse:  # noqa: ARG001
    note_refusal(request)
    return _told(request, 403, "forbidden", _("Your role does not allow this."))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    fields = ", ".join(".".join(map(str, one["loc"][1:])) for one in error.errors)
    return _told(request, 422, "invalid", _("The request is not as described."), fields)


@api.exception_handler(SiteError)
def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    status = 409 if isinstance(error, Conflict) else 400
    return _told(request, status, error.code, str(error))
