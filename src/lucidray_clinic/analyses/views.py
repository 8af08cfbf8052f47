"""Pages about models, and the quick look."""

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
from lucidray_clinic.analyses import describing, shelf
from lucidray_clinic.analyses.forms import CompareForm, InstallForm
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.cases.uploading import received
from lucidray_clinic.core.viewer import viewer_config
from lucidray_clinic.errors import SiteError


@require_GET
@needs(Permission.VIEW_CASE)
def models(request: HttpRequest) -> HttpResponse:
    """List the models."""
    user: Any = request.user
    rows = list(shelf.bundles(retired=True))
    page = {
        "bundles": [describing.summary(row) for row in rows],
        "offered": [row for row in rows if row.retired_at is None],
        "form": InstallForm(),
        "may_manage": user.may(Permission.MANAGE),
    }
    return render(request, "analyses/models.html", page)


@require_GET
@needs(Permission.VIEW_CASE)
def model(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Show a model's card."""
    user: Any = request.user
    row = get_object_or_404(shelf.bundles(retired=True), pk=bundle)
    page = describing.card_page(row) | {"may_manage": user.may(Permission.MANAGE)}
    return render(request, "analyses/model.html", page)


@require_GET
@needs(Permission.VIEW_CASE)
def compare(request: HttpRequest) -> HttpResponse:
    """Lay two models side by side."""
    form = CompareForm(request.GET)
    if not form.is_valid():
        raise SiteError(_("Choose two models."), "invalid")
    rows = shelf.bundles(retired=True)
    first = get_object_or_404(rows, pk=form.cleaned_data["first"])
    second = get_object_or_404(rows, pk=form.cleaned_data["second"])
    page = describing.comparison_page(first, second, shelf.compared(first, second))
    return render(request, "analyses/compare.html", page)


@require_POST
@needs(Permission.MANAGE)
def install(request: HttpRequest) -> HttpResponse:
    """Install a bundle."""
    form = InstallForm(request.POST, request.FILES)
    if not form.is_valid():
        raise SiteError(_("Choose a .lucid file."), "invalid")
    path = received(form.cleaned_data["file"].temporary_file_path())
    try:
        row: ModelBundle = shelf.install(request.user, path)
    finally:
        path.unlink(missing_ok=True)
    messages.success(request, _("Every byte was checked, and its own test images came out."))
    return redirect("model", row.pk)


@require_POST
@needs(Permission.MANAGE)
def retire(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Offer a model no longer."""
    return redirect("model", shelf.retire(request.user, bundle).pk)


@require_POST
@needs(Permission.MANAGE)
def offer_again(request: HttpRequest, bundle: UUID) -> HttpResponse:
    """Offer a retired model again."""
    return redirect("model", shelf.offer_again(request.user, bundle).pk)


@require_GET
@needs(Permission.VIEW_CASE)
def quick_look(request: HttpRequest) -> HttpResponse:
    """Read a film without storing anything."""
    config = viewer_config(request, "quicklook")
    page = {"viewer_config": config, "bundles": shelf.readers()}
    return render(request, "analyses/quick_look.html", page)
