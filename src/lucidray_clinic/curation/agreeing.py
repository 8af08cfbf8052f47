"""How far readers agree with models and with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from lucidray.metrics.confusion import Counts, kappa
from lucidray.metrics.intervals import wilson_interval
from lucidray_clinic.annotations.models import FindingDecision
from lucidray_clinic.curation.labeling import votes_of


def with_models(cases: Sequence[UUID]) -> list[dict[str, Any]]:
    """Return how often readers accepted what models said, by finding, the most decided first.

    Args:
        cases: Ids of the cases.

    Returns:
        Finding, decisions, those that accept, and the share of them in percent with its interval.
    """
    rows = FindingDecision.objects.filter(case__in=cases, current=True)
    counted = rows.values("finding").annotate(
        total=Count("pk"), accepted=Count("pk", filter=Q(decision="accept"))
    )
    return [
        row | {"title": _(row["finding"]), "share": share(row["accepted"], row["total"])}
        for row in counted.order_by("-total", "finding")
    ]


def between_readers(cases: Sequence[UUID]) -> list[dict[str, Any]]:
    """Return how often two readers of one case said the same of a finding.

    Args:
        cases: Ids of the cases.

    Returns:
        Finding, pairs of readers, those that agree, and Cohen's kappa over all pairs, either way
        round; nan where it is not defined.
    """
    present, absent, differing = Counter[str](), Counter[str](), Counter[str]()
    for by_finding in votes_of(cases).values():
        for finding, said in by_finding.items():
            yes = sum(vote > 0.5 for vote in said.values())
            no = len(said) - yes
            present[finding] += comb(yes, 2)
            absent[finding] += comb(no, 2)
            differing[finding] += yes * no
    rows = [_row(name, present[name], absent[name], differing[name]) for name in present]
    found = [row for row in rows if row["total"]]
    return sorted(found, key=lambda row: (-row["total"], row["finding"]))


def share(part: int, whole: int) -> str:
    """Return a share in percent with Wilson's 95 % interval.

    Args:
        part: How many.
        whole: Of how many.

    >>> share(8, 10)
    '80 % (49–94)'
    """
    if not whole:
        return "–"
    low, high = (100 * float(end) for end in wilson_interval(part, whole))
    return f"{100 * part / whole:.0f} % ({low:.0f}–{high:.0f})"


def _row(finding: str, present: int, absent: int, differing: int) -> dict[str, Any]:
    """Return what pairs of readers said: both present, both absent, one this and one that."""
    total, agreed = present + absent + differing, present + absent
    both_ways = Counts(*np.array([2 * present, differing, differing, 2 * absent], np.float64))
    return {
        "finding": finding,
        "title": _(finding),
        "total": total,
        "agreed": agreed,
        "share": share(agreed, total),
        "kappa": float(kappa(both_ways)),
    }
