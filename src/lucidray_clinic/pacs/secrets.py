"""Passwords of archives, which the database holds only under a key that is not in it."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils.translation import gettext as _

from lucidray_clinic.errors import SiteError


def seal(password: str) -> str:
    """Return a password as the database holds it; empty of none.

    Args:
        password: The password.
    """
    return _cipher().encrypt(password.encode()).decode() if password else ""


def unseal(sealed: str) -> str:
    """Return a password that the database holds.

    Args:
        sealed: As of `seal`.

    Raises:
        SiteError: It was sealed under another key.
    """
    if not sealed:
        return ""
    try:
        return _cipher().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SiteError(
            _("The password of this archive cannot be read any more. Enter it again."), "sealed"
        ) from error


def _cipher() -> Fernet:
    digest = hashlib.sha256(f"passwords of peers|{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
