"""Taking files in: each is filed whole or refused by name, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases import filing, storage
from lucidray_clinic.cases.archives import unpack
from lucidray_clinic.cases.filing import Destination
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.cases.quarantine import Inspected, Inspector, kind_of
from lucidray_clinic.core import audit
from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.errors import SiteError, UploadRefused
from lucidray_clinic.patients.models import Patient


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Args:
        name: What the sender called it.
        instance: The film; None where it was refused.
        case: Its case.
        known: Whether it was here already.
        refused: Why it was not taken.
        code: A word for that.
    """

    name: str
    instance: Instance | None = None
    case: Case | None = None
    known: bool = False
    refused: str = ""
    code: str = ""


def destination(
    user: Any,
    team: UUID | None = None,
    patient: UUID | None = None,
    case: UUID | None = None,
    batch: UUID | None = None,
    despite: bool = False,
) -> Destination:
    """Return where films go, if the person may put them there.

    Args:
        user: The person.
        team: Id of a team; None: that of the patient or case, or the only one.
        patient: Id of a patient; None: as the files say.
        case: Id of a case; None: a new one, or that of the study.
        batch: One name for all that is sent together.
        despite: As of `Destination`.

    Raises:
        Http404: There is no such case or patient in the person's teams.
        PermissionDenied: The person may not upload there.
    """
    if case is not None:
        row: Case = fetch(Case.objects.select_related("patient", "team"), user, case)
        return Destination(_allowed(user, row.team), row.patient, row, batch, despite)
    if patient is not None:
        one: Patient = fetch(Patient.objects.select_related("team"), user, patient)
        return Destination(_allowed(user, one.team), one, None, batch, despite)
    teams = teams_to_upload_to(user)
    chosen = teams.filter(pk=team).first() if team else teams.first()
    if chosen is None:
        raise PermissionDenied
    return Destination(chosen, None, None, batch, despite)


def teams_to_upload_to(user: Any) -> Any:
    """Return the teams that somebody may upload to.

    Args:
        user: The person.
    """
    return Team.objects.filter(pk__in=user.teams_with(Permission.UPLOAD))


def take_in(user: Any, where: Destination, path: Path, name: str) -> list[Outcome]:
    """Take in one file that was sent: a film, or an archive of films.

    Args:
        user: Who sends it.
        where: Where it is to go.
        path: The file in quarantine; it is gone afterwards.
        name: What the sender calls it.

    Returns:
        What became of each film.
    """
    with Inspector() as inspector:
        return list(_each(inspector, user, where, path, shown_name(name)))


def received(temporary: str) -> Path:
    """Take a file that was sent out of the hands of the one who received it.

    Args:
        temporary: Where it lies until the request ends.

    Returns:
        Where it lies from now on, in the quarantine folder.
    """
    path = Path(temporary)
    return path.rename(Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{new_id().hex}.received")


def shown_name(name: str) -> str:
    """Return a file name that is safe to show: no folders, no control characters, not long.

    Args:
        name: What the sender calls it.

    >>> shown_name("../../a\\x00b.dcm")
    'ab.dcm'
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[-120:] or "film"


def used_bytes(user: Any) -> int:
    """Return how much somebody has uploaded that is still here.

    Args:
        user: The person.
    """
    mine = Instance.everything.filter(uploaded_by=user)
    return int(mine.aggregate(total=Sum("size"))["total"] or 0)


def _each(
    inspector: Inspector, user: Any, where: Destination, path: Path, name: str
) -> Iterator[Outcome]:
    try:
        kind = kind_of(path, name)
        if kind != "zip":
            yield _one(inspector, user, where, path, name)
            return
        for inner, entry in unpack(path, path.parent):
            yield _entry(inspector, user, where, entry, shown_name(inner))
    except UploadRefused as error:
        yield _refused(user, name, error)
    finally:
        path.unlink(missing_ok=True)


def _entry(inspector: Inspector, user: Any, where: Destination, path: Path, name: str) -> Outcome:
    try:
        _refuse_nested(kind_of(path, name))
        return _one(inspector, user, where, path, name)
    except UploadRefused as error:
        return _refused(user, name, error)
    finally:
        path.unlink(missing_ok=True)


def _refuse_nested(kind: str) -> None:
    if kind == "zip":
        raise UploadRefused(_("An archive within an archive is not opened."), "zip_nested")


def _one(inspector: Inspector, user: Any, where: Destination, path: Path, name: str) -> Outcome:
    if used_bytes(user) + path.stat().st_size > settings.QUOTA_BYTES:
        raise UploadRefused(_("Your room for films is used up. Ask an administrator."), "quota")
    film = inspector.inspect(path)
    try:
        return file_film(user, where, film, name)
    except SiteError as error:
        return _refused(user, name, error)
    finally:
        film.picture.unlink(missing_ok=True)


def file_film(user: Any, where: Destination, film: Inspected, name: str) -> Outcome:
    """File an inspected film: write the file, then the row; what fails in between leaves neither.

    Where the database is lost while it commits, nobody knows whether it did; then the file stays,
    and `storage.sweep` removes it later if no row knows it.

    Args:
        user: Who sends it; None: it came by itself.
        where: Where it is to go.
        film: As the inspector told.
        name: What it is called.

    Returns:
        What became of it.

    Raises:
        SiteError: It cannot be filed there.
    """
    key = new_id()
    size = film.path.stat().st_size
    with transaction.atomic():
        try:
            tags = film.facts["tags"]
            patient = filing.patient_for(user, where, tags)
            Patient.everything.select_for_update().get(pk=patient.pk)  # one film at a time each
            case = filing.case_for(user, where, patient, tags)
            known = filing.already_here(case, film.facts)
            if known is not None:
                return Outcome(name, known, case, known=True)
            storage.keep(key, film.path, film.picture)
            instance = _row(user, key, case, film.facts, name, size)
            audit.record(user, "upload", instance, bytes=size)
            return Outcome(name, instance, case)
        except BaseException:
            storage.forget(key)
            raise


def _row(user: Any, key: UUID, case: Case, facts: dict[str, Any], name: str, size: int) -> Instance:
    tags = facts["tags"]
    return Instance.objects.create(
        id=key,
        case=case,
        name=name,
        media_type=facts["media_type"],
        size=size,
        sha256=facts["sha256"],
        pixels_sha256=facts["pixels_sha256"],
        sop_uid=tags.get("sop_uid", ""),
        series_uid=tags.get("series_uid", ""),
        rows=facts["rows"],
        columns=facts["columns"],
        bits=facts["bits"],
        lossy=facts["lossy"],
        view_position=facts["view_position"],
        acquired_on=filing.day(tags.get("acquired_on", "")),
        spacing_mm=facts["spacing_mm"],
        remarks=[*facts["remarks"], *filing.clashes(case.team, facts)],
        uploaded_by=user,
    )


def _refused(user: Any, name: str, error: SiteError) -> Outcome:
    audit.record(user, "upload refused", None, code=error.code)
    return Outcome(name, refused=str(error), code=error.code)


def _allowed(user: Any, team: Team) -> Team:
    if not user.may(Permission.UPLOAD, team):
        raise PermissionDenied
    return team
