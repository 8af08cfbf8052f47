"""A whole reading room in one encrypted file, and back, on SQLite or PostgreSQL alike."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from lucidray_clinic.accounts.models import User
from lucidray_clinic.administration import schema
from lucidray_clinic.administration.sealing import SealedReader, SealedWriter
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError

_BATCH = 500


class ExactTimes(DjangoJSONEncoder):
    """Django's JSON, with the microseconds that it leaves out and that seals are made of."""

    def default(self, value: Any) -> Any:
        """Return a value as JSON can hold it."""
        return value.isoformat() if isinstance(value, datetime) else super().default(value)


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
            _load(staged / "rows", manifest["rows"], schema.models_at(state))
        schema.go_forward()
        _place(staged)
    return manifest


def count_rows(models: list[type[Model]] | None = None) -> dict[str, int]:
    """Return how many rows of each model there are.

    Args:
        models: The models; None: all that a backup holds.
    """
    kept = schema.models_at(schema.applied()) if models is None else models
    return {model._meta.label_lower: model._base_manager.count() for model in kept}


def _fill(archive: tarfile.TarFile) -> dict[str, Any]:
    state = schema.applied()
    with transaction.atomic():
        counts = {}
        for model in schema.models_at(state):
            label = model._meta.label_lower
            counts[label] = _add_rows(archive, model, f"rows/{label}.jsonl")
    hashes = {name: _add_file(archive, path, name) for name, path in _files()}
    keys = {"audit": settings.AUDIT_KEY, "secret": settings.SECRET_KEY}
    for name, key in keys.items():
        _add_bytes(archive, key.encode(), f"keys/{name}")
    if audit.anchor_path().exists():
        _add_bytes(archive, audit.anchor_path().read_bytes(), "audit.anchor")
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


def _add_rows(archive: tarfile.TarFile, model: type[Model], name: str) -> int:
    rows = model._base_manager.order_by("pk")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        serializers.serialize("jsonl", rows.iterator(_BATCH), stream=file, cls=ExactTimes)
        file.flush()
        size = file.buffer.seek(0, io.SEEK_END)
        file.buffer.seek(0)
        entry = tarfile.TarInfo(name)
        entry.size = size
        archive.addfile(entry, file.buffer)
    return rows.count()


def _files() -> Iterator[tuple[str, Path]]:
    """Yield name and path of every file of an installation that is not a key or the database."""
    for folder in settings.KEPT_FOLDERS:
        root = Path(folder)
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            if path.is_file():
                yield f"files/{root.name}/{path.relative_to(root).as_posix()}", path


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> str:
    archive.add(path, name, recursive=False)
    return _hash(path)


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


def _load(folder: Path, counts: dict[str, int], kept: list[type[Model]]) -> None:
    for model in kept:
        model._base_manager.all().delete()  # what the migrations of a fresh installation made
    for model in kept:
        path = folder / f"{model._meta.label_lower}.jsonl"
        if path.exists():
            with path.open(encoding="utf-8") as file:
                _insert(model, file)
    _reset_sequences(kept)
    if count_rows(kept) != counts:
        raise SiteError("Not all rows came back. Nothing was restored.", "rows")


def _insert(model: type[Model], lines: Iterable[str]) -> None:
    rows = (_row(model, json.loads(line)) for line in lines if line.strip())
    while batch := list(islice(rows, _BATCH)):
        model._base_manager.bulk_create(batch)


def _row(model: type[Model], told: dict[str, Any]) -> Model:
    """Build a row from what Django's serializer wrote of it."""
    values = {"pk": model._meta.pk.to_python(told["pk"])}
    for name, value in told["fields"].items():
        field: Any = model._meta.get_field(name)
        if field.many_to_many:
            continue  # rows of their own
        source = field.target_field if field.is_relation else field
        values[field.attname] = None if value is None else source.to_python(value)
    return model(**values)


def _reset_sequences(models: list[type[Model]]) -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


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
