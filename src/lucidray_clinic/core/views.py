"""Home, health, and what is shown when something is wrong."""

from __future__ import annotations

import sys

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.crypto import constant_time_compare
from django.utils.translation import get_language, get_language_bidi
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from lucidray_clinic.core.health import readiness
from lucidray_clinic.core.metrics import exposition
from lucidray_clinic.core.panels import filled_panels

#: Seconds after which it is worth asking again, where the database is away.
RETRY_S = 10


def home(request: HttpRequest) -> HttpResponse:
    """Show today's work."""
    return render(request, "core/home.html", {"panels": filled_panels(request.user)})


@require_safe
@login_not_required
def live(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say that the process answers; nothing else."""
    return JsonResponse({"status": "ok"})


@require_safe
@login_not_required
def ready(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say whether the process can do its work, one word for each part of it."""
    parts = readiness()
    fit = "failing" not in parts.values()
    told = {"status": "ready" if fit else "not ready", "parts": parts}
    return JsonResponse(told, status=200 if fit else 503)


@require_safe
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Give numbers to whoever knows the token; where none is set, there are none."""
    if not settings.METRICS_TOKEN:
        raise Http404
    told = request.headers.get("Authorization", "")
    if not constant_time_compare(told, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Say that a form was too old, and what to do."""
    return render(request, "lucidray/form_too_old.html", status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """Say that something went wrong; told apart, as it passes: that the database is away."""
    away = isinstance(sys.exception(), (OperationalError, InterfaceError))
    status, page = (503, "503.html") if away else (500, "500.html")
    if request.path.startswith("/api/"):
        message = _("The database does not answer.") if away else _("Something went wrong.")
        told = {"code": "away" if away else "failed", "message": message, "hint": ""}
        response: HttpResponse = JsonResponse({"error": told}, status=status)
    else:
        asked = {"language": get_language(), "direction": "rtl" if get_language_bidi() else "ltr"}
        response = HttpResponse(render_to_string(page, asked), status=status)  # asks no database
    if away:
        response["Retry-After"] = str(RETRY_S)
    return response
