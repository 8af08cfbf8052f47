"""Labels of cases, from signed reports and from what readers decided, drew and thought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from lucidray.findings import ABSENCES
from lucidray_clinic.analyses.models import FirstOpinion
from lucidray_clinic.annotations.models import Box, FindingDecision
from lucidray_clinic.curation.filtering import signed_reports
from lucidray_clinic.curation.models import LabelRule
from lucidray_clinic.reports.models import Reported

#: What a report's certainty means as a label; possible: not known.
MEANING: Mapping[str, float | None] = {
    "present": 1.0,
    "probable": 1.0,
    "possible": None,
    "absent": 0.0,
}

Labels = dict[str, float]


def labels_of(
    cases: Sequence[UUID], rule: str = LabelRule.BEST, *, unmentioned_absent: bool = True
) -> dict[UUID, Labels]:
    """Return what is known of some cases.

    Args:
        cases: Ids of the cases.
        rule: A `LabelRule`.
        unmentioned_absent: Whether what a signed report does not name is absent; "possible" stays
            unknown.

    Returns:
        By case, then by finding: 1 or 0; a finding that is not there is unknown. Findings that
        other cases name are 0 where a signed report does not name them, if so asked for.
    """
    reports = _of_reports(cases) if rule != LabelRule.READERS else {}
    readers = _of_readers(cases) if rule != LabelRule.REPORTS else {}
    known = {case: reports.get(case, readers.get(case, {})) for case in cases}
    if not unmentioned_absent:
        return {case: _settled(told) for case, told in known.items()}
    named = {name for told in known.values() for name in told if name not in ABSENCES}
    absent: dict[str, float | None] = dict.fromkeys(named, 0.0)
    for case in reports:
        known[case] = absent | known[case]
    return {case: _settled(told) for case, told in known.items()}


def votes_of(cases: Sequence[UUID]) -> dict[UUID, dict[str, dict[UUID, float]]]:
    """Return what each reader said of each finding: by case, finding and reader, 1 or 0.

    A decision outweighs a box, a box a first opinion: what came later counts.

    Args:
        cases: Ids of the cases.
    """
    votes: dict[UUID, dict[str, dict[UUID, float]]] = defaultdict(lambda: defaultdict(dict))
    for case, finding, reader, vote in (*_opinions(cases), *_boxes(cases), *_decisions(cases)):
        votes[case][finding][reader] = vote
    return votes


def _settled(told: Mapping[str, float | None]) -> Labels:
    return {name: value for name, value in told.items() if value is not None}


def _of_reports(cases: Sequence[UUID]) -> dict[UUID, dict[str, float | None]]:
    signed = signed_reports(list(cases))
    found: dict[UUID, dict[str, float | None]] = {case: {} for case in signed}
    for row in Reported.objects.filter(report__in=[one.pk for one in signed.values()]):
        found[row.case_id][row.finding] = MEANING[row.certainty]
    return found


def _of_readers(cases: Sequence[UUID]) -> dict[UUID, dict[str, float | None]]:
    return {
        case: {finding: majority(each.values()) for finding, each in by_finding.items()}
        for case, by_finding in votes_of(cases).items()
    }


def majority(votes: Iterable[float]) -> float | None:
    """Return what most readers said; None where they are divided.

    Args:
        votes: 1 or 0 each.

    >>> majority([1, 1, 0]), majority([1, 0])
    (1.0, None)
    """
    said = list(votes)
    share = sum(said) / len(said)
    return None if share == 0.5 else float(share > 0.5)


def _opinions(cases: Sequence[UUID]) -> Iterable[tuple[UUID, str, UUID, float]]:
    for row in FirstOpinion.objects.filter(case__in=cases):
        for each in row.findings:
            certainty = 1.0 if each["certainty"] is None else each["certainty"]
            if certainty != 0.5:
                yield row.case_id, each["finding"], row.reader_id, float(certainty > 0.5)


def _boxes(cases: Sequence[UUID]) -> Iterable[tuple[UUID, str, UUID, float]]:
    drawn = Box.objects.filter(case__in=cases).order_by().distinct()
    for case, finding, reader in drawn.values_list("case_id", "finding", "author_id"):
        yield case, finding, reader, 1.0


def _decisions(cases: Sequence[UUID]) -> Iterable[tuple[UUID, str, UUID, float]]:
    for row in FindingDecision.objects.filter(case__in=cases, current=True).order_by("created_at"):
        yield from _said_by(row)


def _said_by(row: Any) -> Iterable[tuple[UUID, str, UUID, float]]:
    called = row.original.get("positive")
    if called is None:
        return
    agrees = row.decision == "accept"
    yield row.case_id, row.finding, row.author_id, float(called is agrees)
    if row.finding_after:
        yield row.case_id, row.finding_after, row.author_id, 1.0
