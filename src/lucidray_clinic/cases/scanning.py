"""A virus scanner of the installation's own, asked about every file before anything reads it."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from lucidray_clinic.cases.bare import bare_environment
from lucidray_clinic.errors import ScannerAway, UploadRefused

log = logging.getLogger(__name__)


def scan(path: Path) -> None:
    """Have a file scanned, if the installation names a scanner.

    Args:
        path: The file, in the quarantine folder.

    Raises:
        UploadRefused: The scanner found something: it ended with status 1.
        ScannerAway: It did not start, took too long, or ended with another status than 0.
    """
    if not settings.SCANNER:
        return
    status = _status([*settings.SCANNER, str(path)])
    if status == 1:
        raise UploadRefused(_("The virus scanner found something in it. It was not kept."), "virus")
    if status:
        raise ScannerAway(
            _("The virus scanner does not work, so nothing is taken in. Tell your administrator."),
            "scanner_away",
        )


def _status(command: list[str]) -> int:
    """Return how the scanner ended; what it says may tell of the file, so nobody keeps it."""
    try:
        return subprocess.run(
            command,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=settings.SCANNER_SECONDS,
            check=False,
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("the virus scanner does not answer: %s", type(error).__name__)  # noqa: TRY400
        return -1
