"""What a page tells the viewer that it mounts."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language, gettext

from lucidray_clinic.core.refusals import MESSAGES
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
        "draft_key": draft_key(request.user),
        "csrf": get_token(request),
        "bundles_url": "/api/v1/bundles",
        "private": True,
        "language": get_language(),
        "strings": viewer_strings(),
    }


def draft_key(user: Any) -> str:
    """Return the key that seals what somebody has not sent yet in a browser's store.

    It stays the same from session to session, so that nothing is lost when one ends by itself.

    Args:
        user: The person.
    """
    sealing = salted_hmac("lucidray drafts", str(user.pk), algorithm="sha256")
    return b64encode(sealing.digest()).decode()


def viewer_strings() -> dict[str, str]:
    """Return the viewer's words in the reader's language, by the English ones that differ."""
    told = {word: gettext(word) for word in (*WORDS, *MESSAGES)}
    return {word: text for word, text in told.items() if text != word}
