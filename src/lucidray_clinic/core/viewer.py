"""What a page tells the viewer that it mounts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils.translation import get_language, gettext

from lucidray_clinic.core.viewer_words import WORDS


def viewer_config(request: HttpRequest, mode: str, case: str | None = None) -> dict[str, Any]:
    """Return what stands in the page's ``viewer-config``.

    Args:
        request: Of the page.
        mode: ``"case"`` or ``"quicklook"``.
        case: The case's id.
    """
    return {
        "mode": mode,
        "api": "/api/v1",
        "case": case,
        "user": str(request.user.pk),
        "csrf": get_token(request),
        "bundles_url": "/api/v1/bundles",
        "private": True,
        "language": get_language(),
        "strings": viewer_strings(),
    }


def viewer_strings() -> dict[str, str]:
    """Return the viewer's words in the reader's language, by the English ones that differ."""
    told = {word: gettext(word) for word in WORDS}
    return {word: text for word, text in told.items() if text != word}
