"""Pages about cases."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID, uuid4

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lucidray_clinic.accounts.access import fetch, needs
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases import parts, services, uploading
from lucidray_clinic.cases.forms import CaseForm, UploadForm
from lucidray_clinic.cases.models import Case, Status, Urgency
from lucidray_clinic.cases.sections import sections_of
from lucidray_clinic.core.paging import one_page
from lucidray_clinic.core.viewer import viewer_config
from lucidray_clinic.errors import Conflict, SiteError


@require_http_methods(["GET", "POST"])
@needs(Permission.VIEW_CASE)
def cases(request: HttpRequest) -> HttpResponse:
    """List cases; a search is posted, so that no name stands in an address."""
    names = ("status", "urgency", "day")
    chosen = {name: request.GET.get(name, "").strip()[:20] for name in names}
    chosen["query"] = request.POST.get("q", "").strip()[:100]
    rows = services.list_cases(request.user, **chosen)
    place = request.POST.get("page") or request.GET.get("page")
    teams = () if chosen["query"] else Case.objects.parts_of(request.user)
    page = one_page(rows, place, parts=teams)
    services.with_films(page.rows)
    for case in page.rows:
        case.patient_label = parts.patient_label(request.user, case)
    shown = {"page": page, "chosen": chosen, "statuses": Status, "urgencies": Urgency}
    return render(request, "cases/cases.html", shown)


@require_GET
@needs(Permission.VIEW_CASE)
def case(request: HttpRequest, case: UUID) -> HttpResponse:
    """Show a case."""
    row = services.open_case(request.user, case)
    return render(request, "cases/case.html", _page_of(request.user, row))


@require_http_methods(["GET", "POST"])
@needs(Permission.EDIT_CASE)
def edit_case(request: HttpRequest, case: UUID) -> HttpResponse:
    """Change a case."""
    row = fetch(Case, request.user, case, Permission.EDIT_CASE)
    form = CaseForm(request.POST or None, instance=row, initial={"version": row.version})
    status = 200
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.update_case(request.user, case, values["version"] or 0, values)
        except Conflict as error:
            form.add_error(None, str(error))
            status = 409
        else:
            return redirect("case", case)
    current = Case.objects.get(pk=case) if status == 409 else None
    page = {"form": form, "case": row, "current": current}
    return render(request, "cases/edit.html", page, status=status)


@require_POST
@needs(Permission.DELETE)
def delete_case(request: HttpRequest, case: UUID) -> HttpResponse:
    """Hide a case."""
    return redirect("patient", services.delete_case(request.user, case))


@require_POST
@needs(Permission.DELETE)
def delete_instance(request: HttpRequest, instance: UUID) -> HttpResponse:
    """Hide a film."""
    return redirect("case", services.delete_instance(request.user, instance).pk)


@require_GET
@needs(Permission.VIEW_CASE)
def picture(request: HttpRequest, instance: UUID) -> FileResponse:
    """Send the small picture of a film."""
    path = services.picture_of(request.user, instance)
    return FileResponse(path.open("rb"), content_type="image/jpeg")


@require_GET
@needs(Permission.VIEW_CASE)
def read_case(request: HttpRequest, case: UUID) -> HttpResponse:
    """Open the viewer on a case."""
    row = services.begin_reading(request.user, case)
    config = viewer_config(request, "case", str(row.pk))
    page = _page_of(request.user, row) | {"viewer_config": config}
    return render(request, "cases/read.html", page)


@require_http_methods(["GET", "POST"])
@needs(Permission.UPLOAD)
def upload(request: HttpRequest) -> HttpResponse:
    """Choose films, and take them in."""
    form = UploadForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        raise SiteError("The address of this page is not whole. Open it anew.", "invalid")
    where = uploading.destination(request.user, **form.cleaned_data)
    outcomes = []
    if request.method == "POST":
        for file in request.FILES.getlist("files"):
            path = uploading.received(cast(TemporaryUploadedFile, file).temporary_file_path())
            outcomes += uploading.take_in(request.user, where, path, file.name or "")
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"outcomes": [_outcome(one) for one in outcomes]})
    page = {
        "where": where,
        "teams": uploading.teams_to_upload_to(request.user),
        "outcomes": outcomes,
        "batch": uuid4(),
        "used": uploading.used_bytes(request.user),
    }
    return render(request, "cases/upload.html", page)


def _page_of(user: Any, row: Case) -> dict[str, Any]:
    return {
        "case": row,
        "patient_label": parts.patient_label(user, row),
        "priors": services.priors_of(user, row),
        "allowed": user.permissions_in(row),
        "sections": sections_of(user, row),
    }


def _outcome(one: uploading.Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"name": one.name, "refused": one.refused, "code": one.code}
    if one.case is not None and one.instance is not None:
        told["case"] = reverse("case", args=[one.case.pk])
        told["picture"] = reverse("picture", args=[one.instance.pk])
        told["known"] = one.known
        told["remarks"] = one.instance.told_remarks
    return told
