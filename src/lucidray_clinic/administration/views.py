"""The administrators' pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lucidray_clinic.accounts import sessions
from lucidray_clinic.accounts.access import needs, signed_in
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.accounts.roles import Permission, Role
from lucidray_clinic.accounts.services import has_second_factor
from lucidray_clinic.administration import checks, purging, services
from lucidray_clinic.administration.forms import PersonForm, RolesForm
from lucidray_clinic.cases.services import deleted_cases, restore_case
from lucidray_clinic.core.paging import one_page
from lucidray_clinic.errors import SiteError
from lucidray_clinic.patients import emergency
from lucidray_clinic.patients.services import deleted_patients, restore_patient


@require_GET
@needs(Permission.MANAGE)
def people(request: HttpRequest) -> HttpResponse:
    """List people."""
    page = one_page(services.list_people(signed_in(request)), request.GET.get("page"))
    return render(request, "administration/people.html", {"page": page})


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def new_person(request: HttpRequest) -> HttpResponse:
    """Add a person."""
    form = PersonForm(request.POST or None, teams=_teams(request))
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        values = {name: given[name] for name in ("username", "first_name", "last_name", "email")}
        made = services.add_person(signed_in(request), given["team"], given["roles"], values)
        return redirect("person", made.pk)
    return render(request, "administration/new_person.html", {"form": form})


@require_GET
@needs(Permission.MANAGE)
def person(request: HttpRequest, person: UUID) -> HttpResponse:
    """Show a person."""
    row = services.open_person(signed_in(request), person)
    held = row.roles()
    page = {
        "person": row,
        "sessions": list(sessions.open_sessions(row)),
        "teams": [{"team": team, "roles": held.get(team.pk, ())} for team in _teams(request)],
        "roles": Role,
        "link": request.session.pop("fresh_link", ""),
        "has_second_factor": has_second_factor(row),
    }
    return render(request, "administration/person.html", page)


@require_POST
@needs(Permission.MANAGE)
def set_roles(request: HttpRequest, person: UUID) -> HttpResponse:
    """Set somebody's roles in a team."""
    form = RolesForm(request.POST)
    if not form.is_valid():
        raise SiteError(_("Choose a team and roles from the list."), "invalid")
    given = form.cleaned_data
    services.set_roles(signed_in(request), person, given["team"], given["roles"])
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def open_account(request: HttpRequest, person: UUID) -> HttpResponse:
    """Approve or reopen an account."""
    services.set_active(signed_in(request), person, True)
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def close_account(request: HttpRequest, person: UUID) -> HttpResponse:
    """Close an account."""
    services.set_active(signed_in(request), person, False)
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def end_sessions(request: HttpRequest, person: UUID) -> HttpResponse:
    """End somebody's sessions."""
    services.end_sessions(signed_in(request), person)
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def unlock(request: HttpRequest, person: UUID) -> HttpResponse:
    """Forget somebody's failed sign-ins."""
    services.unlock(signed_in(request), person)
    messages.success(request, _("Failed sign-ins are forgotten."))
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def forget_factor(request: HttpRequest, person: UUID) -> HttpResponse:
    """Forget somebody's second factor."""
    if services.forget_factor(signed_in(request), person):
        messages.success(request, _("The second factor is forgotten; all sessions have ended."))
    else:
        messages.info(request, _("There is no second factor to forget."))
    return redirect("person", person)


@require_POST
@needs(Permission.MANAGE)
def new_link(request: HttpRequest, person: UUID) -> HttpResponse:
    """Make a link that signs somebody in once; it is shown once."""
    token = services.new_link(signed_in(request), person)
    path = reverse("sign_in_once", args=[token])
    request.session["fresh_link"] = request.build_absolute_uri(path)
    return redirect("person", person)


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def teams(request: HttpRequest) -> HttpResponse:
    """List teams; the site's administrator adds one."""
    if request.method == "POST":
        services.add_team(signed_in(request), request.POST.get("name", ""))
        return redirect("teams")
    rows = _teams(request).prefetch_related("memberships__user")
    return render(request, "administration/teams.html", {"teams": rows})


@require_GET
@needs(Permission.AUDIT)
def audit_log(request: HttpRequest) -> HttpResponse:
    """Show the audit."""
    chosen = {name: request.GET.get(name, "").strip()[:60] for name in ("action", "actor")}
    rows = services.audit_events(signed_in(request), **chosen)
    page = one_page(rows, request.GET.get("page"), 50)
    return render(request, "administration/audit.html", {"page": page, "chosen": chosen})


@require_GET
@needs(Permission.DELETE)
def deleted(request: HttpRequest) -> HttpResponse:
    """Show deleted records and requests to purge them."""
    page: dict[str, Any] = {
        "patients": deleted_patients(signed_in(request))[:100],
        "cases": deleted_cases(signed_in(request))[:100],
        "purges": services.open_purges(signed_in(request)),
    }
    return render(request, "administration/deleted.html", page)


@require_POST
@needs(Permission.DELETE)
def restore(request: HttpRequest, kind: str, row: UUID) -> HttpResponse:
    """Bring a record back."""
    back = restore_patient if kind == "patient" else restore_case
    back(signed_in(request), row)
    return redirect("deleted")


@require_POST
@needs(Permission.DELETE)
def request_purge(request: HttpRequest, kind: str, row: UUID) -> HttpResponse:
    """Ask that a record be destroyed."""
    purging.request_purge(signed_in(request), kind, row, request.POST.get("reason", ""))
    return redirect("deleted")


@require_POST
@needs(Permission.DELETE)
def approve_purge(request: HttpRequest, purge: UUID) -> HttpResponse:
    """Agree that a record be destroyed."""
    purging.approve_purge(signed_in(request), purge)
    messages.success(request, _("The record is destroyed."))
    return redirect("deleted")


@require_POST
@needs(Permission.DELETE)
def withdraw_purge(request: HttpRequest, purge: UUID) -> HttpResponse:
    """Take a request back."""
    purging.withdraw_purge(signed_in(request), purge)
    return redirect("deleted")


@require_GET
@needs(Permission.MANAGE)
def emergencies(request: HttpRequest) -> HttpResponse:
    """Show who broke the glass, and why."""
    rows = emergency.emergencies_to_see(signed_in(request))
    page = one_page(rows, request.GET.get("page"))
    return render(request, "administration/emergencies.html", {"page": page})


@require_POST
@needs(Permission.MANAGE)
def review_emergency(request: HttpRequest, emergency_: UUID) -> HttpResponse:
    """Note that an emergency was looked at."""
    emergency.note_seen(signed_in(request), emergency_)
    return redirect("emergencies")


@require_GET
@needs(Permission.MANAGE)
def system(request: HttpRequest) -> HttpResponse:
    """Show how the installation is."""
    return render(request, "administration/system.html", {"facts": checks.facts()})


@require_http_methods(["GET", "POST"])
@needs(Permission.EMERGENCY)
def break_glass(request: HttpRequest) -> HttpResponse:
    """Open a patient of another team in an emergency."""
    told, given = "", {name: request.POST.get(name, "").strip() for name in ("number", "reason")}
    if request.method == "POST":
        try:
            row = emergency.open_in_emergency(signed_in(request), given["number"], given["reason"])
        except SiteError as error:
            told = str(error)
        else:
            return redirect("patient", row.pk)
    page = {"told": told, "given": given, "minutes": emergency.MINUTES}
    return render(request, "administration/break_glass.html", page, status=400 if told else 200)


def _teams(request: HttpRequest) -> Any:
    user: Any = request.user
    return Team.objects.filter(pk__in=user.teams_with(Permission.MANAGE))
