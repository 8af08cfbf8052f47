"""A whole reading room in one encrypted file, and back, on SQLite or PostgreSQL alike."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from lucidray_clinic.accounts.models import User
from lucidray_clinic.administration import rows, schema
from lucidray_clinic.administration.sealing import SealedReader, SealedWriter
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs import receiving


def write_backup(path: Path, passphrase: str) -> dict[str, Any]:
    """Write everything into one encrypted file, whole or not at all.

    Args:
        path: The file.
        passphrase: At least twelve letters; without it nobody reads the backup.

    Returns:
        The manifest: how many rows of each kind, and the hash of every file.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as file:
            sealed = SealedWriter(file, passphrase)
            with tarfile.open(fileobj=sealed, mode="w|", bufsize=1 << 16) as archive:
                manifest = _fill(archive)
            sealed.finish()
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def read_backup(path: Path, passphrase: str) -> dict[str, Any]:
    """Restore everything into an empty installation.

    The archive is read to its end and checked before anything is touched.

    Args:
        path: The file that `write_backup` wrote.
        passphrase: Its passphrase.

    Returns:
        The manifest, which the restored rows and files equal.

    Raises:
        SiteError: Altered, of another passphrase, of a newer version, or this installation is
            not empty.
    """
    if User.objects.exists() or any(_files()):
        raise SiteError("This installation is not empty. Restore into a fresh one.", "not_empty")
    with tempfile.TemporaryDirectory(dir=settings.ENVIRONMENT.home) as folder:
        staged = Path(folder)
        _unpack(path, passphrase, staged)
        manifest: dict[str, Any] = json.loads((staged / "manifest.json").read_text())
        _check_staged(staged, manifest)
        state = manifest.get("migrations") or schema.applied()
        schema.go_to(state)
        with transaction.atomic():
            rows.load(staged / "rows", manifest["rows"], schema.models_at(state))
        schema.go_forward()
        _place(staged)
    return manifest


def _fill(archive: tarfile.TarFile) -> dict[str, Any]:
    state, anchor = schema.applied(), _anchor()
    with receiving.files_stay():
        with rows.one_moment():
            counts = {}
            for model in schema.models_at(state):
                label = model._meta.label_lower
                counts[label] = _add_rows(archive, model, f"rows/{label}.jsonl")
        added = {name: _add_file(archive, path, name) for name, path in _files()}
    hashes = {name: digest for name, digest in added.items() if digest}
    keys = {"audit": settings.AUDIT_KEY, "secret": settings.SECRET_KEY}
    for name, key in keys.items():
        _add_bytes(archive, key.encode(), f"keys/{name}")
    if anchor:
        _add_bytes(archive, anchor, "audit.anchor")
    manifest = {
        "format": "lucidray-backup",
        "version": 1,
        "written_at": timezone.now().isoformat(),
        "migrations": state,
        "rows": counts,
        "files": hashes,
    }
    _add_bytes(archive, json.dumps(manifest).encode(), "manifest.json")
    return manifest


def _anchor() -> bytes:
    """Return the end of the audit; to be asked before the rows, which then reach at least to it."""
    path = audit.anchor_path()
    return path.read_bytes() if path.exists() else b""


def _add_rows(archive: tarfile.TarFile, model: type[Model], name: str) -> int:
    with tempfile.TemporaryFile() as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        count = rows.write(model, text)
        text.detach()  # which writes out what it holds
        entry = tarfile.TarInfo(name)
        entry.size = file.tell()
        file.seek(0)
        archive.addfile(entry, file)
    return count


def _files() -> Iterator[tuple[str, Path]]:
    """Yield name and path of every file of an installation that is not a key or the database."""
    for folder in settings.KEPT_FOLDERS:
        root = Path(folder)
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            if path.is_file() and not path.name.startswith("."):  # those are drafts
                yield f"files/{root.name}/{path.relative_to(root).as_posix()}", path


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> str:
    """Add a file; returns its hash, empty where it was removed meanwhile."""
    try:
        with path.open("rb") as file:
            entry = archive.gettarinfo(arcname=name, fileobj=file)
            archive.addfile(entry, file)
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _add_bytes(archive: tarfile.TarFile, content: bytes, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _unpack(path: Path, passphrase: str, folder: Path) -> None:
    with path.open("rb") as file:
        sealed = SealedReader(file, passphrase)
        try:
            with tarfile.open(fileobj=sealed, mode="r|", bufsize=1 << 16) as archive:
                archive.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise SiteError("The backup is damaged. Nothing was restored.", "altered") from error
        sealed.drain()


def _check_staged(folder: Path, manifest: dict[str, Any]) -> None:
    for name, expected in manifest["files"].items():
        if _hash(folder / name) != expected:
            raise SiteError("A file in the backup is not what its list says.", "altered")
    newer = schema.unknown(manifest.get("migrations", {}))
    if newer:
        raise SiteError(
            f"The backup is of a newer version, which knows {newer[0]}. Restore it with that one. "
            "Nothing was restored.",
            "newer",
        )


def _place(folder: Path) -> None:
    """Move files and keys to where this installation keeps them."""
    for root in map(Path, settings.KEPT_FOLDERS):
        source = folder / "files" / root.name
        if source.is_dir():
            shutil.copytree(source, root, dirs_exist_ok=True)
            for path in (root, *root.rglob("*")):
                path.chmod(0o700 if path.is_dir() else 0o600)
    home = Path(settings.ENVIRONMENT.home)
    (home / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
    for key in (folder / "keys").iterdir():
        target = home / "keys" / key.name
        target.touch(mode=0o600)
        target.write_bytes(key.read_bytes())
    if (folder / "audit.anchor").exists():
        shutil.copyfile(folder / "audit.anchor", audit.anchor_path())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
