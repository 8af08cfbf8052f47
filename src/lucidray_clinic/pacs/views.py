"""Pages of the PACS."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lucidray_clinic.accounts.access import needs
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses import shelf
from lucidray_clinic.cases.uploading import teams_to_upload_to
from lucidray_clinic.core.paging import one_page
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import fetching, handing, services, traffic
from lucidray_clinic.pacs.forms import ImportForm, PeerForm, RuleForm, SearchForm, SendForm
from lucidray_clinic.pacs.models import Rule


@require_GET
@needs(Permission.UPLOAD)
def overview(request: HttpRequest) -> HttpResponse:
    """Show what comes and goes, and what is wrong with it."""
    return render(request, "pacs/overview.html", _state(request.user))


@require_GET
@needs(Permission.UPLOAD)
def state(request: HttpRequest) -> HttpResponse:
    """Show the same for the page that stands open."""
    return render(request, "pacs/state.html", _state(request.user))


@require_GET
@needs(Permission.UPLOAD)
def incoming(request: HttpRequest) -> HttpResponse:
    """List what came."""
    shown = request.GET.get("shown", "all")
    page = one_page(traffic.arrivals_of(request.user, shown), request.GET.get("page"))
    return render(request, "pacs/incoming.html", {"page": page, "shown": shown})


@require_GET
@needs(Permission.UPLOAD)
def outgoing(request: HttpRequest) -> HttpResponse:
    """List what went or is to go."""
    page = one_page(traffic.deliveries_of(request.user), request.GET.get("page"))
    return render(request, "pacs/outgoing.html", {"page": page})


@require_POST
@needs(Permission.UPLOAD)
def look_again(request: HttpRequest, arrival: UUID) -> HttpResponse:
    """Have an object looked at again."""
    traffic.look_again(request.user, arrival)
    return redirect("pacs_incoming")


@require_POST
@needs(Permission.UPLOAD)
def arrival_seen(request: HttpRequest, arrival: UUID) -> HttpResponse:
    """Set aside what went wrong with an object."""
    traffic.set_aside(request.user, arrival)
    return redirect("pacs_incoming")


@require_POST
@needs(Permission.UPLOAD)
def send_again(request: HttpRequest, delivery: UUID) -> HttpResponse:
    """Send a result again."""
    traffic.send_again(request.user, delivery)
    return redirect("pacs_outgoing")


@require_POST
@needs(Permission.UPLOAD)
def delivery_seen(request: HttpRequest, delivery: UUID) -> HttpResponse:
    """Set aside what went wrong with a result."""
    traffic.set_aside(request.user, delivery)
    return redirect("pacs_outgoing")


@require_http_methods(["GET", "POST"])
@needs(Permission.UPLOAD)
def search(request: HttpRequest) -> HttpResponse:
    """Look for a study in an archive; numbers are posted, so that no address holds one."""
    peers = services.web_peers()
    form = SearchForm(request.POST or None, peers=peers)
    page: dict[str, Any] = {"form": form, "archives": peers.exists(), "searched": False}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        page["found"] = fetching.find(request.user, given["peer"], given["accession"])
        page |= {"searched": True, "peer": given["peer"]}
    page["teams"] = teams_to_upload_to(request.user)
    page["imports"] = traffic.imports_of(request.user)
    return render(request, "pacs/import.html", page)


@require_POST
@needs(Permission.UPLOAD)
def start_import(request: HttpRequest) -> HttpResponse:
    """Have a study fetched."""
    teams = teams_to_upload_to(request.user)
    form = ImportForm(request.POST, peers=services.web_peers(), teams=teams)
    if not form.is_valid():
        raise SiteError(_("Search for the study again, then choose it from the list."), "invalid")
    given = form.cleaned_data
    fetching.ask(request.user, given["peer"], given["team"], given["study"])
    messages.success(request, _("The study is being fetched; its case appears by itself."))
    return redirect("pacs_import")


@require_GET
@needs(Permission.MANAGE)
def peers(request: HttpRequest) -> HttpResponse:
    """List archives and modalities."""
    return render(request, "pacs/peers.html", {"peers": services.peers()})


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def new_peer(request: HttpRequest) -> HttpResponse:
    """Add an archive or a modality."""
    return _edit_peer(request, PeerForm(request.POST or None))


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def edit_peer(request: HttpRequest, peer: UUID) -> HttpResponse:
    """Change an archive or a modality."""
    row = get_object_or_404(services.peers(), pk=peer)
    return _edit_peer(request, PeerForm(request.POST or None, instance=row))


@require_POST
@needs(Permission.MANAGE)
def test_peer(request: HttpRequest, peer: UUID) -> HttpResponse:
    """Ask a peer whether it is there."""
    try:
        for line in services.test_peer(request.user, peer):
            messages.success(request, line)
    except SiteError as error:
        messages.error(request, str(error))
    return redirect("pacs_peer", peer)


@require_GET
@needs(Permission.MANAGE)
def rules(request: HttpRequest) -> HttpResponse:
    """List rules."""
    return render(request, "pacs/rules.html", {"rules": services.rules_of(request.user)})


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def new_rule(request: HttpRequest) -> HttpResponse:
    """Add a rule."""
    return _edit_rule(request, None)


@require_http_methods(["GET", "POST"])
@needs(Permission.MANAGE)
def edit_rule(request: HttpRequest, rule: UUID) -> HttpResponse:
    """Change a rule."""
    return _edit_rule(request, services.rule_to_edit(request.user, rule))


@require_POST
@needs(Permission.MANAGE)
def delete_rule(request: HttpRequest, rule: UUID) -> HttpResponse:
    """Delete a rule."""
    services.delete_rule(request.user, rule)
    return redirect("pacs_rules")


@require_POST
@needs(Permission.SIGN)
def send_report(request: HttpRequest, case: UUID) -> HttpResponse:
    """Send the signed report of a case."""
    handing.send_report(request.user, case, _sent(request)["peer"])
    messages.success(request, _("The report is on its way."))
    return redirect("report", case)


@require_POST
@needs(Permission.EDIT_CASE)
def send_reading(request: HttpRequest, case: UUID) -> HttpResponse:
    """Send what a model said of a film."""
    given = _sent(request)
    handing.send_reading(request.user, case, given["reading"], given["peer"])
    messages.success(request, _("The reading is on its way."))
    return redirect("case", case)


def _state(user: Any) -> dict[str, Any]:
    return {
        "tally": traffic.tally(user),
        "alerts": traffic.alerts_of(user),
        "arrivals": traffic.arrivals_of(user)[:8],
        "deliveries": traffic.deliveries_of(user)[:8],
        "imports": traffic.imports_of(user)[:5],
    }


def _edit_peer(request: HttpRequest, form: PeerForm) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        row = services.save_peer(request.user, form.save(commit=False), form.secret())
        messages.success(request, _("Saved. The node knows it within seconds."))
        return redirect("pacs_peer", row.pk)
    return render(request, "pacs/peer.html", {"form": form, "peer": form.instance})


def _edit_rule(request: HttpRequest, row: Rule | None) -> HttpResponse:
    form = RuleForm(
        request.POST or None,
        instance=row,
        teams=services.managed_teams(request.user),
        bundles=shelf.readers(),
        receivers=services.receivers(),
    )
    if request.method == "POST" and form.is_valid():
        services.save_rule(request.user, form.save(commit=False))
        return redirect("pacs_rules")
    return render(request, "pacs/rule.html", {"form": form, "rule": row})


def _sent(request: HttpRequest) -> dict[str, Any]:
    form = SendForm(request.POST)
    if not form.is_valid():
        raise SiteError(_("Choose where it is to go."), "invalid")
    return form.cleaned_data
