"""Files from outside, before they are films: told apart by content, decoded in a child only."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from django.conf import settings
from django.utils.translation import gettext as _

from lucidray_clinic.cases.bare import bare_environment
from lucidray_clinic.cases.scanning import scan
from lucidray_clinic.errors import UploadRefused

_PREAMBLE = 128
_ENDINGS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".zip": "zip",
}
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x08\x00", "dicom"),
    (b"\x02\x00", "dicom"),
)


@dataclass(frozen=True)
class Inspected:
    """A file that turned out to be a film.

    Args:
        path: The file.
        picture: Its small picture.
        facts: What it is and says of itself, as the child told.
    """

    path: Path
    picture: Path
    facts: dict[str, Any]


def kind_of(path: Path, name: str) -> str:
    """Tell what a file is by its content; the name must not say otherwise.

    Args:
        path: The file.
        name: What the sender called it.

    Raises:
        UploadRefused: Empty, too large, of no known kind, or of another kind than its name says.
    """
    size = path.stat().st_size
    if not size:
        raise UploadRefused(_("The file is empty."), "empty")
    if size > settings.MAX_FILE_BYTES:
        raise UploadRefused(_("The file is larger than a film may be."), "too_large")
    with path.open("rb") as file:
        start = file.read(_PREAMBLE + 4)
    kind = "dicom" if start[_PREAMBLE:] == b"DICM" else _by_start(start)
    if not kind:
        raise UploadRefused(
            _("Neither PNG, JPEG, TIFF, DICOM nor ZIP. Export the film in one of these."), "kind"
        )
    named = _ENDINGS.get(Path(name).suffix.lower())
    if named is not None and named != kind:
        told = {"named": named.upper(), "kind": kind.upper()}
        raise UploadRefused(
            _("Its name says %(named)s, its content is %(kind)s. Rename or export it anew.") % told,
            "mismatch",
        )
    return kind


def clear_preamble(path: Path) -> None:
    """Write zeros over the 128 bytes before a DICOM file, where anything may hide.

    Args:
        path: A file; one without the mark ``DICM`` is left as it is.
    """
    with path.open("r+b") as file:
        if file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM":
            file.seek(0)
            file.write(bytes(_PREAMBLE))


class Inspector:
    """A child process that inspects files one after another; a new one where it died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Return the inspector; the child starts with the first file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        self._end()

    def inspect(self, path: Path) -> Inspected:
        """Look into one file.

        Args:
            path: The file, in the quarantine folder.

        Raises:
            UploadRefused: It is no film that can be read, or it took too much time or memory, or
                the installation's virus scanner refuses it.
        """
        scan(path)
        clear_preamble(path)
        picture = path.with_suffix(".picture")
        answer = self._ask({"path": str(path), "picture": str(picture)})
        if "refused" in answer:
            picture.unlink(missing_ok=True)
            raise UploadRefused(_sentence(answer["refused"]), "not_a_film")
        return Inspected(path, picture, answer)

    def _ask(self, wish: dict[str, str]) -> dict[str, Any]:
        child = self._started()
        stdin, stdout = _pipes(child)
        line = ""
        with contextlib.suppress(OSError):
            stdin.write(json.dumps(wish) + "\n")
            stdin.flush()
            line = _line_within(stdout, settings.DECODE_SECONDS)
        if line.endswith("\n"):
            return dict(json.loads(line))
        self._end()
        Path(wish["picture"]).unlink(missing_ok=True)
        raise UploadRefused(
            _("It could not be decoded within the limits of time and memory. It was not kept."),
            "limits",
        )

    def _started(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            limits = [str(settings.DECODE_MEMORY_BYTES), str(settings.MAX_PIXELS)]
            self._child = subprocess.Popen(
                [sys.executable, "-m", "lucidray_clinic.cases.inspecting", *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=bare_environment(),
            )
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            for pipe in _pipes(self._child):
                with contextlib.suppress(OSError):
                    pipe.close()
            self._child.kill()
            self._child.wait()
            self._child = None


def _pipes(child: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    return child.stdin, child.stdout


def _line_within(stdout: IO[str], seconds: float) -> str:
    """Read one line, or what came of it before the time was over or the child died."""
    end, text = time.monotonic() + seconds, b""
    while not text.endswith(b"\n"):
        ready, _write, _error = select.select([stdout], [], [], max(0.0, end - time.monotonic()))
        part = os.read(stdout.fileno(), 65536) if ready else b""
        if not part:
            return ""
        text += part
    return text.decode()


def _by_start(start: bytes) -> str:
    return next((kind for mark, kind in _STARTS if start.startswith(mark)), "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
