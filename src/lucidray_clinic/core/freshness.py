"""Static files that may be built anew while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware


class FreshFiles(WhiteNoiseMiddleware):
    """WhiteNoise, which remembers a file's length for good, looking whether the file has changed.

    Without this, a file that an upgrade replaced is cut off at the length of the one before.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._seen: dict[str, tuple[Path, int, int]] = {}
        super().__init__(*args, **kwargs)

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        """Remember a file, and how it looks."""
        super().add_file_to_dictionary(url, path, stat_cache=stat_cache)
        file = Path(path)
        self._seen[url] = (file, *_look(file))

    def __call__(self, request: Any) -> Any:
        """Serve a file as it is now; all else goes on."""
        known = self._seen.get(request.path_info)
        if known is not None and _look(known[0]) != known[1:]:
            self._forget_or_refresh(request.path_info, known[0])
        return super().__call__(request)

    def _forget_or_refresh(self, url: str, path: Path) -> None:
        if path.is_file():
            self.add_file_to_dictionary(url, str(path))
        else:
            self.files.pop(url, None)


def _look(path: Path) -> tuple[int, int]:
    """Return when a file was written and how long it is; zeros where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
