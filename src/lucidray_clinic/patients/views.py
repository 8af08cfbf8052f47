"""Pages about patients."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lucidray_clinic.accounts.access import fetch, needs, signed_in
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.core.paging import one_page
from lucidray_clinic.errors import Conflict, SiteError
from lucidray_clinic.patients import exporting, merging, services
from lucidray_clinic.patients.forms import IdentifierForm, NewPatientForm, PatientForm
from lucidray_clinic.patients.models import Patient
from lucidray_clinic.patients.timeline import timeline_of


@require_http_methods(["GET", "POST"])
@needs(Permission.VIEW_PATIENT)
def patients(request: HttpRequest) -> HttpResponse:
    """List and search patients; a search is posted, so that no name stands in an address."""
    query = request.POST.get("q", "").strip()[:100]
    rows = services.list_patients(request.user, query)
    place = request.POST.get("page") or request.GET.get("page")
    page = one_page(rows, place, parts=Patient.objects.parts_of(request.user))
    services.with_films(page.rows)
    template = "patients/rows.html" if request.htmx else "patients/patients.html"  # type: ignore[attr-defined]
    return render(request, template, {"page": page, "query": query})


@require_http_methods(["GET", "POST"])
@needs(Permission.EDIT_PATIENT)
def new_patient(request: HttpRequest) -> HttpResponse:
    """Add a patient."""
    form = NewPatientForm(request.POST or None, teams=services.teams_to_add_to(request.user))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            made = services.create_patient(request.user, values["team"], values, values["number"])
        except SiteError as error:
            form.add_error("number", str(error))
        else:
            return redirect("patient", made.pk)
    return render(request, "patients/new.html", {"form": form})


@require_GET
@needs(Permission.VIEW_PATIENT)
def patient(request: HttpRequest, patient: UUID) -> HttpResponse:
    """Show a patient with all films."""
    row = services.open_patient(request.user, patient)
    page = {
        "patient": row,
        "timeline": timeline_of(request.user, row),
        "duplicates": merging.likely_duplicates(request.user, row),
        "identifier_form": IdentifierForm(),
        "allowed": signed_in(request).permissions_in(row),
    }
    return render(request, "patients/patient.html", page)


@require_http_methods(["GET", "POST"])
@needs(Permission.EDIT_PATIENT)
def edit_patient(request: HttpRequest, patient: UUID) -> HttpResponse:
    """Change a patient."""
    row = fetch(Patient, request.user, patient, Permission.EDIT_PATIENT)
    form = PatientForm(request.POST or None, instance=row, initial={"version": row.version})
    status = 200
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.update_patient(request.user, patient, values["version"] or 0, values)
        except Conflict as error:
            form.add_error(None, str(error))
            status = 409
        else:
            return redirect("patient", patient)
    current = Patient.objects.get(pk=patient) if status == 409 else None
    page = {"form": form, "patient": row, "current": current}
    return render(request, "patients/edit.html", page, status=status)


@require_POST
@needs(Permission.DELETE)
def delete_patient(request: HttpRequest, patient: UUID) -> HttpResponse:
    """Hide a patient."""
    services.delete_patient(request.user, patient)
    return redirect("patients")


@require_POST
@needs(Permission.EDIT_PATIENT)
def add_identifier(request: HttpRequest, patient: UUID) -> HttpResponse:
    """Add a number."""
    form = IdentifierForm(request.POST)
    if not form.is_valid():
        raise SiteError("; ".join(str(one[0]) for one in form.errors.values()), "invalid")
    values = form.cleaned_data
    services.add_identifier(request.user, patient, values["system"], values["value"])
    return redirect("patient", patient)


@require_POST
@needs(Permission.EDIT_PATIENT)
def remove_identifier(request: HttpRequest, patient: UUID, identifier: UUID) -> HttpResponse:
    """Remove a number."""
    services.remove_identifier(request.user, patient, identifier)
    return redirect("patient", patient)


@require_POST
@needs(Permission.EDIT_PATIENT)
def merge_patient(request: HttpRequest, patient: UUID, target: UUID) -> HttpResponse:
    """Merge a duplicate into the patient who stays."""
    merging.merge_patients(request.user, patient, target)
    return redirect("patient", target)


@require_POST
@needs(Permission.EDIT_PATIENT)
def undo_merge(request: HttpRequest, merge: UUID) -> HttpResponse:
    """Take a merge back."""
    return redirect("patient", merging.undo_merge(request.user, merge).pk)


@require_GET
@needs(Permission.VIEW_PATIENT)
def export_patient(request: HttpRequest, patient: UUID) -> FileResponse:
    """Give a patient everything that is kept about them."""
    path = exporting.export_patient(request.user, patient)
    file = path.open("rb")
    path.unlink()  # the open handle keeps it until it is sent
    return FileResponse(file, as_attachment=True, filename="patient.zip")
