"""Pages of the care of models, for administrators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from lucidray_clinic.accounts.access import needs
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses import shelf
from lucidray_clinic.care import comparing, pictures, shadows, watching
from lucidray_clinic.care.forms import InstallForm, ReferenceForm, StartForm
from lucidray_clinic.care.models import ShadowState
from lucidray_clinic.cases.uploading import received
from lucidray_clinic.errors import SiteError


@require_GET
@needs(Permission.MANAGE)
def care(request: HttpRequest) -> HttpResponse:
    """Show what has moved, and which models are in a shadow."""
    page = {
        "alerts": [pictures.told_alert(row) for row in watching.open_alerts()],
        "checks": [pictures.told_check(row) for row in watching.latest()],
        "running": shadows.shadows(ShadowState.RUNNING),
        "past": shadows.shadows().exclude(state=ShadowState.RUNNING)[:20],
        "candidates": shadows.candidates(),
        "present": shelf.readers(),
    }
    return render(request, "care/care.html", page)


@require_GET
@needs(Permission.MANAGE)
def shadow(request: HttpRequest, shadow: UUID) -> HttpResponse:
    """Compare a model in the shadow with the one in use."""
    row = get_object_or_404(shadows.shadows(), pk=shadow)
    told = comparing.compared(row)
    for one in told["findings"]:
        one["scatter"] = pictures.scatter(one["dots"], one["thresholds"])
    page = {"shadow": row, "told": told, "changes": comparing.would_change(request.user, row)}
    return render(request, "care/shadow.html", page)


@require_POST
@needs(Permission.MANAGE)
def start_shadow(request: HttpRequest) -> HttpResponse:
    """Put a model of the shelf in the shadow."""
    given = _valid(StartForm(request.POST))
    row = shadows.start(request.user, given["bundle"], given["beside"], given["days"])
    return redirect("shadow", row.pk)


@require_POST
@needs(Permission.MANAGE)
def install_shadow(request: HttpRequest) -> HttpResponse:
    """Install a model straight into the shadow."""
    given = _valid(InstallForm(request.POST, request.FILES))
    path = received(given["file"].temporary_file_path())
    try:
        row = shadows.install(request.user, path, given["beside"], given["days"])
    finally:
        path.unlink(missing_ok=True)
    return redirect("shadow", row.pk)


@require_POST
@needs(Permission.MANAGE)
def stop_shadow(request: HttpRequest, shadow: UUID) -> HttpResponse:
    """End a shadow."""
    return redirect("shadow", shadows.stop(request.user, shadow).pk)


@require_POST
@needs(Permission.MANAGE)
def promote_shadow(request: HttpRequest, shadow: UUID) -> HttpResponse:
    """Put the model of a shadow in use."""
    row = shadows.promote(request.user, shadow)
    messages.success(request, _("%(model)s is in use.") % {"model": row.bundle})
    return redirect("care")


@require_POST
@needs(Permission.MANAGE)
def roll_back_shadow(request: HttpRequest, shadow: UUID) -> HttpResponse:
    """Return to the model that was in use before."""
    row = shadows.roll_back(request.user, shadow)
    messages.success(request, _("%(model)s is in use.") % {"model": row.beside})
    return redirect("care")


@require_POST
@needs(Permission.MANAGE)
def drift_seen(request: HttpRequest, alert: UUID) -> HttpResponse:
    """Note that somebody has looked at an alert."""
    watching.note_seen(request.user, alert)
    return redirect("care")


@require_POST
@needs(Permission.MANAGE)
def drift_reference(request: HttpRequest) -> HttpResponse:
    """Compare with the last months from now on."""
    key = _valid(ReferenceForm(request.POST))["bundle"]
    bundle = get_object_or_404(shelf.bundles(retired=True), pk=key) if key else None
    watching.take_reference(request.user, bundle)
    messages.success(request, _("The next check compares with the last months."))
    return redirect("care")


def _valid(form: Any) -> dict[str, Any]:
    if not form.is_valid():
        raise SiteError(_("Choose from the lists, and a number of days."), "invalid")
    return dict(form.cleaned_data)
