"""Whether this process can do its work: probes, which each app adds when it is ready."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

log = logging.getLogger(__name__)

#: Answers ``"ok"``, or one word for what is worth a look; raises where nothing goes.
Probe = Callable[[], str]

_PROBES: dict[str, Probe] = {}


def add_probe(name: str, ask: Probe) -> None:
    """Add a probe, from an app's ``ready``.

    Args:
        name: What it asks after, one word.
        ask: The probe.
    """
    _PROBES[name] = ask


def readiness() -> dict[str, str]:
    """Ask every probe.

    Returns:
        One word each: ``"ok"``, ``"failing"``, or what is worth a look. No word tells of patients.
    """
    return {name: _asked(name, ask) for name, ask in _PROBES.items()}


def database() -> str:
    """Ask the database for an answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def storage() -> str:
    """Write a file where films lie, and one where uploads wait."""
    for folder in (settings.MEDIA_ROOT, settings.FILE_UPLOAD_TEMP_DIR):
        with tempfile.TemporaryFile(dir=Path(folder)) as file:
            file.write(b"ready")
            file.flush()
    return "ok"


def _asked(name: str, ask: Probe) -> str:
    try:
        return ask()
    except Exception as error:
        log.warning("the probe of %s fails: %s", name, type(error).__name__)
        return "failing"
