"""What a reading or a signed report says, as the library's statement, and the objects of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from pydicom.dataset import Dataset

from lucidray.dicom import (
    Algorithm,
    Extras,
    Maker,
    Result,
    StatedFinding,
    Statement,
    Verification,
    objects_of,
    read_source,
)
from lucidray.dicom.objects import USUAL
from lucidray.dicom.statement import algorithm_of
from lucidray.findings import ABSENCES
from lucidray.records import Box
from lucidray_clinic.analyses import pictures
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.cases import storage
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs.models import Delivery
from lucidray_clinic.reports.models import Certainty, Report

#: Longer side of a picture with its map, in pixels.
_SIDE = 1600
_PRESENT = {Certainty.PRESENT: True, Certainty.PROBABLE: True, Certainty.ABSENT: False}


def objects_for(delivery: Delivery) -> dict[str, Dataset]:
    """Make the objects of a delivery: the same ones however often it is tried.

    Args:
        delivery: The delivery.

    Raises:
        SiteError: The film is no DICOM file.
        DicomError: The film cannot be referred to.
    """
    film, report = delivery.instance, delivery.report
    if film.media_type != "application/dicom":
        raise SiteError(_("The film is no DICOM image, so no archive can hold its result."), "kind")
    reading = delivery.reading
    if report is not None and report.signed_at is not None:
        statement, made = statement_of_report(report, film), report.signed_at
    elif reading is not None:
        statement, made = statement_of_reading(reading), reading.created_at
    else:
        raise SiteError(_("There is nothing to send."), "nothing")
    maker = Maker(version=delivery.software, institution=settings.NODE.institution or None)
    source = read_source(storage.file_path(film.pk))
    result = Result(source, statement, _local(made), maker)
    kinds = (*USUAL, "sc") if delivery.pictures else USUAL
    return objects_of(result, kinds, _extras(delivery, statement))


def statement_of_reading(reading: Reading) -> Statement:
    """Say what a model said of a film, unsigned.

    Args:
        reading: The reading.
    """
    refusal = reading.refusal
    return Statement(
        findings=() if refusal else tuple(_stated(reading, each) for each in reading.findings),
        algorithm=_algorithm(reading),
        calibrated=all(each["calibrated"] for each in reading.findings),
        refer=reading.refer,
        refusal=(refusal["reason"], refusal["message"]) if refusal else None,
    )


def statement_of_report(report: Report, film: Instance) -> Statement:
    """Say what a signed report says of a film: its findings, with the name of who signed.

    Args:
        report: The report.
        film: The film.

    Raises:
        SiteError: The report is not signed.
    """
    if report.signed_at is None or report.signed_by is None:
        raise SiteError(_("Only a signed report can be sent."), "unsigned")
    reading = report.reading if report.reading and report.reading.instance_id == film.pk else None
    who = report.signed_by
    return Statement(
        findings=tuple(_reported(report, film, reading, each) for each in report.findings),
        algorithm=_algorithm(reading) if reading else Algorithm("LucidRay", "no model"),
        calibrated=reading is not None and all(one["calibrated"] for one in reading.findings),
        verified=Verification(
            name=f"{who.last_name or who.username}^{who.first_name}"[:64],
            organization=settings.NODE.institution or str(report.case.team)[:64],
            when=_local(report.signed_at),
        ),
    )


def _algorithm(reading: Reading) -> Algorithm:
    bundle = reading.bundle
    told = {"bundle": bundle.name, "bundle_sha256": bundle.digest, "engine": reading.engine_version}
    return algorithm_of(told)


def _stated(reading: Reading, told: dict[str, Any]) -> StatedFinding:
    boxes, method, scores = _model_boxes(reading, told)
    return StatedFinding(
        name=told["name"],
        probability=told["probability"],
        threshold=told["threshold"],
        present=told["positive"],
        entropy=told["entropy"],
        may_be_present=told["may_be_present"],
        may_be_absent=told["may_be_absent"],
        boxes=boxes,
        method=method,
        scores=scores,
    )


def _model_boxes(
    reading: Reading, told: dict[str, Any]
) -> tuple[tuple[Box, ...], str | None, tuple[float, ...]]:
    """Return boxes of a finding that is called present, what they come from, and their scores."""
    name, facts = told["name"], reading.map_facts or {}
    if not told["positive"] or name in ABSENCES:
        return (), None, ()
    found = [each for each in facts.get("detections", ()) if each["finding"] == name]
    if found:
        boxes = tuple(_pixels(each["box"], reading.instance) for each in found)
        return boxes, "detector", tuple(each["score"] for each in found)
    spots = tuple(_pixels(each, reading.instance) for each in facts.get("boxes", {}).get(name, ()))
    return spots, facts.get("method") if spots else None, ()


def _reported(
    report: Report, film: Instance, reading: Reading | None, each: dict[str, Any]
) -> StatedFinding:
    """Say one finding of a report: the signer's call, beside it what the model had said."""
    told = reading.said(each["finding"]) if reading and reading.refusal is None else None
    drawn = tuple(_drawn(report, film, each["finding"]))
    boxes, method = drawn, None
    scores: tuple[float, ...] = ()
    if not drawn and reading is not None and told is not None and _PRESENT.get(each["certainty"]):
        boxes, method, scores = _model_boxes(reading, told)
    return StatedFinding(
        name=each["finding"],
        probability=told["probability"] if told else None,
        threshold=told["threshold"] if told else None,
        present=_PRESENT.get(each["certainty"]),
        boxes=boxes,
        method=method,
        scores=scores,
    )


def _drawn(report: Report, film: Instance, finding: str) -> Iterator[Box]:
    """Yield the boxes that author and signer drew before it was signed."""
    boxes = film.boxes.filter(
        finding=finding,
        deleted_at=None,
        author__in=[report.author_id, report.signed_by_id],
        changed_at__lte=report.signed_at,
    )
    for box in boxes.order_by("created_at", "pk"):
        yield _pixels(box.corners, film)


def _pixels(corners: Any, film: Instance) -> Box:
    """Return the film's pixels that a box touches."""
    x_min, y_min, x_max, y_max = corners
    left, top = max(0, math.floor(x_min)), max(0, math.floor(y_min))
    return left, top, min(film.columns, math.ceil(x_max)), min(film.rows, math.ceil(y_max))


def _extras(delivery: Delivery, statement: Statement) -> Extras | None:
    reading = delivery.reading or (delivery.report.reading if delivery.report else None)
    if not delivery.pictures or reading is None or statement.refusal is not None:
        return None
    shown = [one for one in statement.findings if one.present and one.name not in ABSENCES]
    drawn = {
        one.name: pictures.film_pixels(
            delivery.instance, reading=reading, finding=one.name, side=_SIDE
        )
        for one in shown
        if reading.said(one.name) is not None
    }
    return Extras(drawn)


def _local(moment: datetime) -> datetime:
    """Return a moment as DICOM says it: in the time of the place."""
    return timezone.localtime(moment).replace(tzinfo=None)
