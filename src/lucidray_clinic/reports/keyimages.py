"""Key images of a report: a film, a film with a map, a film with its readers' boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404
from django.utils.translation import gettext as _

from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.analyses.pictures import Drawn, film_picture, label_of
from lucidray_clinic.analyses.telling import readings_of
from lucidray_clinic.cases.models import Case, Instance


@dataclass(frozen=True)
class Choice:
    """A picture that a report may show.

    Args:
        key: ``film:ID``, ``boxes:ID`` or ``map:READING:FINDING``.
        title: What it shows.
    """

    key: str
    title: str


def choices_of(user: Any, case: Case) -> list[Choice]:
    """Return the pictures that a report of a case may show.

    Args:
        user: Who writes it.
        case: The case.
    """
    films = list(case.instances.filter(deleted_at=None))
    boxed = set(case.boxes.values_list("instance_id", flat=True))
    found = [Choice(f"film:{film.pk}", film.name) for film in films]
    found += [
        Choice(f"boxes:{film.pk}", _("%(film)s with boxes") % {"film": film.name})
        for film in films
        if film.pk in boxed
    ]
    for reading in readings_of(user, case):
        found += [_map_choice(reading, said) for said in reading.findings if said["positive"]]
    return found


def described(case: Case, key: str) -> dict[str, str]:
    """Return what a report says of one of its pictures.

    Args:
        case: The case.
        key: As of `Choice`.

    Raises:
        Http404: There is no such picture of the case.
    """
    film, reading, finding, boxed = _parsed(case, key)
    if reading is not None:
        caption = _("%(film)s: where %(model)s looked for %(finding)s, not a lesion outline") % {
            "film": film.name,
            "model": str(reading.bundle),
            "finding": _(finding),
        }
    else:
        caption = _("%(film)s with boxes") % {"film": film.name} if boxed else film.name
    return {"key": key, "caption": caption, "sha256": film.sha256}


def draw(case: Case, key: str) -> bytes:
    """Draw a picture of a report as JPEG.

    Args:
        case: The case.
        key: As of `Choice`.

    Raises:
        Http404: There is no such picture of the case.
    """
    film, reading, finding, boxed = _parsed(case, key)
    boxes = []
    if boxed:
        rows = case.boxes.filter(instance=film)
        boxes = [Drawn(box.corners, label_of(box.finding)) for box in rows]
    return film_picture(film, reading=reading, finding=finding, boxes=boxes)


def _map_choice(reading: Reading, said: dict[str, Any]) -> Choice:
    title = _("Map of %(finding)s by %(model)s") % {
        "finding": _(said["name"]),
        "model": str(reading.bundle),
    }
    return Choice(f"map:{reading.pk}:{said['name']}", title)


def _parsed(case: Case, key: str) -> tuple[Instance, Reading | None, str, bool]:
    kind, _colon, rest = key.partition(":")
    first, _colon, finding = rest.partition(":")
    try:
        number = UUID(first)
    except ValueError as error:
        raise Http404 from error
    if kind == "map":
        rows = Reading.objects.filter(instance__case=case).select_related("bundle", "instance")
        reading = rows.filter(pk=number).first()
        if reading is None or reading.said(finding) is None:
            raise Http404
        return reading.instance, reading, finding, False
    film = Instance.objects.filter(case=case, pk=number).first()
    if film is None or kind not in ("film", "boxes"):
        raise Http404
    return film, None, "", kind == "boxes"
