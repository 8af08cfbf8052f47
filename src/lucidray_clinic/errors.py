"""What the site's services raise on purpose; a view turns each into a page that says what to do."""

from __future__ import annotations

from lucidray.errors import LucidRayError


class SiteError(LucidRayError, ValueError):
    """Something that a person asked for and that cannot be done as asked.

    Args:
        message: What is wrong and what to do, for the person to read; no names, no identifiers.
        code: A word for programs.
    """

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code


class SetupError(SiteError):
    """A setting of the installation that is not understood."""


class Conflict(SiteError):
    """Somebody else saved in between; nothing of this save was kept."""


class UploadRefused(SiteError):
    """A file that is not taken in, and why."""


class ScannerAway(UploadRefused):
    """A file that nobody could scan; another time it may be taken in."""
