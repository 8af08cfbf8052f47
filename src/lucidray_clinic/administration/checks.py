"""Whether the installation is as it should be: Django's system checks, and a page of facts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register, run_checks
from django.db import connection
from django.utils.translation import gettext as _

from lucidray_clinic.core.models import AuditHead

_LEAST_FREE = 5 * 2**30


@dataclass(frozen=True)
class Fact:
    """One line of the page.

    Args:
        title: What it is about.
        text: How it is.
        state: ``"good"``, ``"warn"`` or ``"bad"``.
        hint: What to do; empty: nothing.
    """

    title: str
    text: str
    state: str = "good"
    hint: str = ""


def connect() -> None:
    """Register the checks."""
    register(check_folders, Tags.files)
    register(check_scanner, Tags.security)
    register(check_demo, Tags.security, deploy=True)


def check_folders(app_configs: Any = None, **_kwargs: Any) -> list[Any]:  # noqa: ARG001
    """Refuse a data folder that other users of the machine may look into."""
    folders = [Path(settings.MEDIA_ROOT), Path(settings.FILE_UPLOAD_TEMP_DIR)]
    return [
        Warning(
            f"{folder} is open to every user of this machine.",
            hint=f"chmod 700 {folder}",
            id="lucidray.W001",
        )
        for folder in folders
        if folder.exists() and folder.stat().st_mode & 0o007
    ]


def check_scanner(app_configs: Any = None, **_kwargs: Any) -> list[Any]:  # noqa: ARG001
    """Refuse a virus scanner that is not there: every film would be turned away."""
    if not settings.SCANNER or shutil.which(settings.SCANNER[0]):
        return []
    told = f"LUCIDRAY_SCANNER names {settings.SCANNER[0]}, which is not installed."
    return [Error(told, hint="Install it, or unset LUCIDRAY_SCANNER.", id="lucidray.E002")]


def check_demo(app_configs: Any = None, **_kwargs: Any) -> list[Any]:  # noqa: ARG001
    """Refuse to call a demonstration fit for patients."""
    if not settings.DEMO:
        return []
    return [Error("This is a demonstration.", hint="Unset LUCIDRAY_DEMO.", id="lucidray.E001")]


def facts() -> list[Fact]:
    """Return how the installation is."""
    found = [_software(), _database(), _disk(), _https(), _audit()]
    for fault in run_checks():
        state = "bad" if fault.level >= 40 else "warn"
        found.append(Fact(str(fault.id), str(fault.msg), state, str(fault.hint or "")))
    return found


def _software() -> Fact:
    return Fact(_("Software"), f"LucidRay {version('lucidray')}, Django {django.get_version()}")


def _database() -> Fact:
    with connection.cursor() as cursor:
        sqlite = connection.vendor == "sqlite"
        cursor.execute("SELECT sqlite_version()" if sqlite else "SHOW server_version")
        answer = cursor.fetchone()[0]
    hint = _("For more than a few readers at once, use PostgreSQL: LUCIDRAY_DATABASE.")
    return Fact(_("Database"), f"{connection.display_name} {answer}", hint=hint if sqlite else "")


def _disk() -> Fact:
    free = shutil.disk_usage(settings.MEDIA_ROOT).free
    text = _("%(n)d GB free for films") % {"n": free // 2**30}
    low = free < _LEAST_FREE
    return Fact(_("Disk"), text, "bad" if low else "good", _("Make room.") if low else "")


def _https() -> Fact:
    if settings.SESSION_COOKIE_SECURE:
        return Fact("HTTPS", _("on; cookies are secure"))
    hint = _("On this machine alone that is fine. For others, set LUCIDRAY_HTTPS=1 behind TLS.")
    return Fact("HTTPS", _("off"), "warn", hint)


def _audit() -> Fact:
    head = AuditHead.objects.filter(pk=1).first()
    text = _("%(n)d events") % {"n": head.number if head else 0}
    return Fact(_("Audit"), text, hint=_("Verify it with: lucidray-clinic audit verify"))
