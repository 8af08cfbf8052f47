"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language, get_language_bidi

from lucidray_clinic.core.navigation import entries_for


def page(request: HttpRequest) -> dict[str, Any]:
    """Return theme, direction and the entries of the top bar.

    Args:
        request: The request.
    """
    user: Any = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    return {
        "theme": user.theme if known else "dark",
        "language": get_language() or "en",
        "direction": "rtl" if get_language_bidi() else "ltr",
        "navigation": entries_for(user, request.path) if known else [],
        "is_demo": settings.DEMO,
        "idle_seconds": settings.SESSION_IDLE_SECONDS,
    }
