"""What a bundle and a reading are for programs and for people; a film is never called normal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from lucidray.findings import ABSENCES, FINDINGS
from lucidray_clinic.accounts.access import fetch
from lucidray_clinic.analyses.models import Engine, ModelBundle, Reading
from lucidray_clinic.analyses.revealing import is_revealed
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.findings import named_findings


def bundle_as_json(bundle: ModelBundle) -> dict[str, Any]:
    """Return a bundle for a program.

    Args:
        bundle: The bundle.
    """
    thresholds = bundle.thresholds
    return {
        "id": str(bundle.pk),
        "name": bundle.name,
        "version": bundle.version,
        "title": bundle.title,
        "digest": bundle.digest,
        "sha256": bundle.sha256,
        "size": bundle.size,
        "task": bundle.task,
        "experimental": bundle.experimental,
        "retired": bundle.retired_at is not None,
        "findings": [
            {
                "name": name,
                "title": _(name),
                "threshold": thresholds.get(name),
                "trust": trust_words(bundle, name),
            }
            for name in bundle.findings
        ],
        "ages_years": bundle.ages_years,
        "intended_use": bundle.card["intended_use"],
        "limits": bundle.card["limits"],
        "url": reverse("api-1:bundle_file", args=[bundle.digest]),
    }


def reading_as_json(reading: Reading) -> dict[str, Any]:
    """Return a reading for a program; of a refused film no number is told.

    Args:
        reading: The reading, with its bundle.
    """
    bundle = reading.bundle
    return {
        "id": str(reading.pk),
        "instance": str(reading.instance_id),
        "bundle": {
            "id": str(bundle.pk),
            "name": bundle.name,
            "version": bundle.version,
            "title": bundle.title,
            "digest": bundle.digest,
            "experimental": bundle.experimental,
            "retired": bundle.retired_at is not None,
        },
        "engine": reading.engine,
        "engine_version": reading.engine_version,
        "made_at": reading.created_at.isoformat(),
        "made_by": str(reading.made_by) if reading.made_by_id else None,
        "refused": reading.refusal,
        "refer": reading.refer,
        "reliable": reading.reliable,
        "verdict": verdict(reading),
        "findings": told_findings(reading),
        "maps_url": reverse("api-1:reading_maps", args=[reading.pk]),
        "map_notice": _("Where the model looked, not a lesion outline."),
    }


def told_findings(reading: Reading) -> list[dict[str, Any]]:
    """Return what a reading says of each finding, those called present first.

    Args:
        reading: The reading; a refused one says nothing.
    """
    if reading.refusal is not None:
        return []
    boxes, found = (reading.map_facts.get(key, {}) for key in ("boxes", "detections"))
    more = [
        {
            "title": _(each["name"]),
            "trust": trust_words(reading.bundle, each["name"]),
            "boxes": boxes.get(each["name"], []),
            "detections": [one for one in found if one["finding"] == each["name"]],
        }
        for each in reading.findings
    ]
    told = [each | extra for each, extra in zip(reading.findings, more, strict=True)]
    return sorted(told, key=lambda one: (one["positive"] is not True, -one["probability"]))


def verdict(reading: Reading) -> str:
    """Return what a reading comes to, in a line that never says that a film is normal.

    Args:
        reading: The reading.
    """
    if reading.refusal is not None:
        message = str(reading.refusal.get("message") or "")
        return _(message) if message else _("No reliable result.")
    called = [one["name"] for one in reading.findings if one["positive"] and _is_something(one)]
    if reading.refer:
        return _("No reliable result: the model is unsure. A person decides.")
    if called:
        return _("Called present: %(findings)s.") % {"findings": named_findings(called)}
    return _("None of the findings that this model judges is called present.")


def trust_words(bundle: ModelBundle, finding: str) -> str:
    """Return how far a bundle's maps of a finding can be trusted.

    Args:
        bundle: The bundle.
        finding: The finding.
    """
    return bundle.trust(finding) or _("How far this map can be trusted has not been measured.")


def readings_of(user: Any, case: Case) -> QuerySet[Reading]:
    """Return the readings of a case that somebody may see, the latest first.

    Args:
        user: The person; before the own opinion of a read-first case there are none.
        case: The case.
    """
    rows = Reading.objects.filter(case=case, instance__deleted_at=None)
    rows = rows if is_revealed(user, case) else rows.none()
    return (
        rows.select_related("bundle", "made_by", "instance").defer("maps").order_by("-created_at")
    )


def open_reading(user: Any, key: UUID) -> Reading:
    """Return a reading that somebody may see.

    Args:
        user: The person.
        key: The reading's id.

    Raises:
        Http404: There is none, or it is not revealed to the person yet.
    """
    rows = Reading.objects.select_related("bundle", "made_by", "instance__case")
    reading: Reading = fetch(rows, user, key)
    case = reading.instance.case
    hidden = case.deleted_at is not None or reading.instance.deleted_at is not None
    if hidden or not is_revealed(user, case):
        raise Http404
    return reading


def revealed_part(user: Any, case: Case) -> bool:
    """Return whether a case's readings may be shown to somebody.

    Args:
        user: The person.
        case: The case.
    """
    return is_revealed(user, case)


def readings_part(user: Any, case: Case) -> list[dict[str, Any]]:
    """Return the readings of a case for the JSON interface.

    Args:
        user: The person.
        case: The case.
    """
    return [reading_as_json(reading) for reading in readings_of(user, case)]


def findings_part(user: Any, case: Case) -> list[dict[str, str]]:  # noqa: ARG001
    """Return the findings that a reader can choose from.

    Args:
        user: The person.
        case: The case.
    """
    return [{"name": name, "title": _(name)} for name in finding_names()]


def section(user: Any, case: Case) -> dict[str, Any]:
    """Return what the page of a case shows of its readings.

    Args:
        user: The person.
        case: The case.
    """
    rows = [
        {"reading": row, "verdict": verdict(row), "findings": told_findings(row)}
        for row in readings_of(user, case)
    ]
    return {"revealed": is_revealed(user, case), "readings": rows, "case": case}


def finding_names() -> list[str]:
    """Return the canonical names of all findings of the chest."""
    return [name for name, finding in FINDINGS.items() if finding.region == "chest"]


def made_where(reading: Reading) -> str:
    """Return where a reading was made, in words.

    Args:
        reading: The reading.
    """
    return str(Engine(reading.engine).label)


def _is_something(told: dict[str, Any]) -> bool:
    return told["name"] not in ABSENCES
