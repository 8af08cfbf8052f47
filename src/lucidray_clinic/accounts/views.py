"""Pages about oneself: one-time sign-in, preferences, sessions."""

from __future__ import annotations

from uuid import UUID

from allauth.account.app_settings import EmailVerificationMethod
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lucidray_clinic.accounts import services
from lucidray_clinic.accounts.access import signed_in
from lucidray_clinic.accounts.forms import Preferences


@login_not_required
@require_GET
def sign_in_once(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in by a link in the place of the password; a second factor is asked for as always."""
    user = services.use_one_time_link(token)
    if user is None:
        return render(request, "accounts/link_used.html", status=403)
    if request.user.is_authenticated:
        logout(request)
    record_authentication(request, user, method="one-time link")
    unasked = EmailVerificationMethod.NONE
    return perform_login(request, Login(user, unasked, redirect_url=reverse("home")))


@login_not_required
def one_door(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Send to the site's own sign-in, which asks for the second factor."""
    return redirect("account_login")


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """Choose language and theme."""
    form = Preferences(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        services.save_preferences(signed_in(request), form.cleaned_data)
        return redirect("preferences")
    return render(request, "accounts/preferences.html", {"form": form})


@require_POST
def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Note that a person is at work on a page; the session rules have done so by now."""
    return HttpResponse(status=204)


@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    """List one's own open sessions."""
    rows = list(services.list_sessions(signed_in(request)))
    page = {"sessions": rows, "current": request.session.session_key}
    return render(request, "accounts/sessions.html", page)


@require_POST
def end_session(request: HttpRequest, session: UUID) -> HttpResponse:
    """End one of one's own sessions."""
    services.end_own_session(signed_in(request), session)
    return redirect("sessions")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this."""
    services.end_other_sessions(signed_in(request), request.session.session_key)
    return redirect("sessions")
