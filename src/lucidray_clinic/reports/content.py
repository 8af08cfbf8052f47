"""What a report says, as plain values: shown as a preview, frozen and hashed when it is signed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.utils.translation import gettext as _

from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.analyses.telling import told_findings, verdict
from lucidray_clinic.annotations.models import FindingDecision
from lucidray_clinic.cases.models import Case
from lucidray_clinic.reports import keyimages
from lucidray_clinic.reports.models import Certainty, Report

#: Of the layout of `content_of`.
VERSION = 1


def content_of(report: Report) -> dict[str, Any]:
    """Return all that a report says.

    Args:
        report: A draft, or one that is being signed.
    """
    return {
        "version": VERSION,
        "id": str(report.pk),
        "addendum_to": str(report.addendum_to_id) if report.addendum_to_id else None,
        "case": _case(report.case),
        "patient": _patient(report.case),
        "findings": [
            each | {"words": str(Certainty(each["certainty"]).label)} for each in report.findings
        ],
        "comparison": report.comparison,
        "impression": report.impression,
        "model": _model(report.reading) if report.reading is not None else None,
        "key_images": [keyimages.described(report.case, key) for key in report.key_images],
        "author": str(report.author),
        "signed_by": str(report.signed_by) if report.signed_by_id else None,
        "signed_at": report.signed_at.isoformat() if report.signed_at else None,
    }


def shown(report: Report) -> dict[str, Any]:
    """Return what a report says: of a signed one what was frozen, of a draft what stands now.

    Args:
        report: The report.
    """
    return report.content if report.content is not None else content_of(report)


def digest_of(content: dict[str, Any]) -> str:
    """Return the SHA-256 that stands for what a report says.

    Args:
        content: As of `content_of`.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_intact(report: Report) -> bool:
    """Tell whether a signed report is as it was signed.

    Args:
        report: The report.
    """
    return report.content is not None and digest_of(report.content) == report.digest


def _case(case: Case) -> dict[str, Any]:
    return {
        "id": str(case.pk),
        "title": str(case),
        "question": case.question,
        "taken": case.acquired_on.isoformat() if case.acquired_on else None,
        "accession": case.accession,
        "team": str(case.team),
        "films": [
            {"name": film.name, "sha256": film.sha256, "view": film.view_position}
            for film in case.instances.filter(deleted_at=None)
        ],
    }


def _patient(case: Case) -> dict[str, Any]:
    patient = case.patient
    return {
        "name": patient.name,
        "pseudonym": patient.pseudonym,
        "born": patient.birth_date.isoformat() if patient.birth_date else None,
        "sex": str(patient.get_sex_display()),
        "numbers": [f"{one.system} {one.value}" for one in patient.identifiers.all()],
    }


def _model(reading: Reading) -> dict[str, Any]:
    bundle = reading.bundle
    decided = {
        row.finding: row
        for row in FindingDecision.objects.filter(reading=reading, current=True)
        .select_related("author")
        .order_by("created_at")
    }
    findings = [
        {
            "finding": each["name"],
            "title": each["title"],
            "probability": each["probability"],
            "threshold": each["threshold"],
            "positive": each["positive"],
            "cannot_tell": bool(each["may_be_present"] and each["may_be_absent"]),
            "trust": each["trust"],
            "decision": _decision(decided.get(each["name"])),
        }
        for each in told_findings(reading)
    ]
    return {
        "name": bundle.name,
        "version": bundle.version,
        "digest": bundle.digest,
        "title": bundle.title,
        "experimental": bundle.experimental,
        "made_at": reading.created_at.isoformat(),
        "engine": str(reading.get_engine_display()),
        "reliable": reading.reliable,
        "verdict": verdict(reading),
        "findings": findings,
        "calibrated": all(each["calibrated"] for each in reading.findings),
    }


def _decision(row: FindingDecision | None) -> str:
    if row is None:
        return ""
    text = str(row.get_decision_display())
    return f"{text}: {_(row.finding_after)}" if row.finding_after else text
