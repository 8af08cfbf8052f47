"""What a data set holds of each film, without anything that tells whose it is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from lucidray_clinic.annotations.models import Box
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.curation.labeling import labels_of
from lucidray_clinic.curation.models import DataSet

#: Ages above are one group, as the privacy rule of HIPAA asks (45 CFR 164.514(b)(2)(i)(C)).
OLDEST = 90

#: Parts of a hundred patients that go to validation and to test.
VALIDATION, TEST = 10, 20


@dataclass(frozen=True)
class Marked:
    """A box as a data set holds it.

    Args:
        finding: What it shows.
        corners: Left, top, right, bottom in the picture's pixels.
        certainty: From 0 to 1; None: not said.
        reader: A number in place of the name.
        source: ``"reader"`` or ``"model"``.
    """

    finding: str
    corners: tuple[float, float, float, float]
    certainty: float | None
    reader: str
    source: str


@dataclass(frozen=True)
class Item:
    """One film of a data set.

    Args:
        film: The film itself, of which only the pixels go out.
        image: Its name in the data set.
        patient: A name in place of the patient.
        split: ``"train"``, ``"validation"`` or ``"test"``; that of the patient.
        view: View position; empty: not known.
        age: In whole years, `OLDEST` at most; None: not known.
        sex: F or M; empty: other or not known.
        labels: By finding 1 or 0; what is not there is unknown.
        boxes: The readers' boxes.
    """

    film: Instance
    image: str
    patient: str
    split: str
    view: str
    age: int | None
    sex: str
    labels: dict[str, float]
    boxes: tuple[Marked, ...] = field(default=())


def gather(
    data_set: DataSet, cases: Sequence[Case], rule: str, *, unmentioned_absent: bool
) -> list[Item]:
    """Return the films of some cases as a data set holds them.

    Args:
        data_set: The data set; the same patient has the same pseudonym in all its versions.
        cases: The cases, with their patients.
        rule: A `curation.models.LabelRule`.
        unmentioned_absent: As of `labels_of`.

    Returns:
        One item a frontal film of a case of which something is known, in the order of the names.
    """
    keys = [case.pk for case in cases]
    labels = labels_of(keys, rule, unmentioned_absent=unmentioned_absent)
    films: dict[Any, list[Instance]] = {}
    for film in Instance.objects.filter(case__in=keys):
        films.setdefault(film.case_id, []).append(film)
    boxes = _boxes(keys)
    items = [
        _item(data_set, case, film, labels[case.pk], boxes.get(film.pk, ()))
        for case in cases
        if labels[case.pk]
        for film in films.get(case.pk, [])
        if film.view_position not in ("LL", "RL")
    ]
    return sorted(items, key=lambda item: item.image)


def pseudonym(data_set: DataSet, key: Any, length: int = 12) -> str:
    """Return a name in place of an id, which nobody without the site's key can trace back.

    Args:
        data_set: Other data sets have other names for the same id.
        key: The id.
        length: Letters.
    """
    text = f"{data_set.pk}:{key}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()[:length]


def split_of(patient: str) -> str:
    """Return the split of a patient, which follows from the pseudonym and never changes.

    Args:
        patient: The pseudonym.
    """
    place = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) % 100
    if place < TEST:
        return "test"
    return "validation" if place < TEST + VALIDATION else "train"


def _item(
    data_set: DataSet, case: Case, film: Instance, labels: dict[str, float], boxes: Any
) -> Item:
    patient = f"P{pseudonym(data_set, case.patient_id)}"
    age = case.age_years
    return Item(
        film=film,
        image=f"I{pseudonym(data_set, film.pk, 16)}",
        patient=patient,
        split=split_of(patient),
        view=film.view_position,
        age=None if age is None else min(age, OLDEST),
        sex=case.patient.sex if case.patient.sex in ("F", "M") else "",
        labels=labels,
        boxes=tuple(
            Marked(
                box.finding,
                (box.x_min, box.y_min, box.x_max, box.y_max),
                box.certainty,
                f"R{pseudonym(data_set, box.author_id, 6)}",
                box.source,
            )
            for box in boxes
        ),
    )


def _boxes(cases: Sequence[Any]) -> dict[Any, list[Box]]:
    found: dict[Any, list[Box]] = {}
    for box in Box.objects.filter(case__in=cases).order_by("created_at", "pk"):
        found.setdefault(box.instance_id, []).append(box)
    return found
