"""Where a request came from, and where it went."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve


def client_address(request: HttpRequest) -> str:
    """Return the address of the client; a proxy's word is taken only where one is configured.

    Args:
        request: The request.

    Returns:
        The peer's address; behind N configured proxies the N-th last entry of X-Forwarded-For,
        which is what the outermost of them saw.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    proxies: int = settings.PROXIES
    if not proxies:
        return peer
    seen = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    hops = [part for part in seen if part]
    return hops[-proxies] if len(hops) >= proxies else peer


def route_of(request: HttpRequest) -> str:
    """Return the name of a request's route, which holds no identifier.

    Args:
        request: The request.

    Returns:
        ``"static"`` for files of ours, ``"unknown"`` where there is no such route.
    """
    match = request.resolver_match
    if match is None:
        if request.path.startswith("/static/"):
            return "static"
        try:
            match = resolve(request.path_info)  # answered before a view was looked for
        except Resolver404:
            return "unknown"
    return match.view_name or "unnamed"
