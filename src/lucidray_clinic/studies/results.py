"""What a study shows: each reader in each arm, what the model changed, and how sure one can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, cast

import numpy as np
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from lucidray.metrics.confusion import count, kappa, sensitivity, specificity
from lucidray.metrics.intervals import wilson_interval
from lucidray.metrics.ranking import auc
from lucidray.metrics.statistics import delong_test, sign_flip_test
from lucidray_clinic.curation.cells import to_csv
from lucidray_clinic.studies.models import Answer, Arm, Study

#: Rating from which a finding counts as called.
CALLED = 50

#: Answers that took longer were interrupted; times leave them out.
LONGEST_SECONDS = 900


def results_of(study: Study) -> dict[str, Any]:
    """Return the tables of a study.

    Args:
        study: The study.
    """
    answers = _given(study)
    names = reader_names(answers)
    return {
        "findings": [
            {"name": _(finding), **_of_finding(study, finding, answers, names)}
            for finding in study.findings
        ],
        "times": _times(study, answers, names),
        "answers": len(answers),
        "called": CALLED,
    }


def progress_of(study: Study) -> list[dict[str, Any]]:
    """Return how many answers each reader has given, without telling which.

    Args:
        study: The study.
    """
    total = study.items.count() * len(study.arms)
    given = Count("pk", filter=Q(answered_at__isnull=False))
    counted = dict(
        Answer.objects.filter(study=study).values_list("reader").annotate(n=given).order_by()
    )
    people = study.readers.order_by("last_name", "first_name", "username")
    return [{"reader": one, "given": counted.get(one.pk, 0), "total": total} for one in people]


def answers_csv(study: Study) -> bytes:
    """Return every answer as CSV, readers and films by number.

    Args:
        study: The study.
    """
    answers = _given(study)
    names = reader_names(answers)
    header = ["film", "reader", "arm", "finding", "truth", "rating", "seconds", "order"]
    order: dict[Any, int] = {}
    rows = []
    for one in sorted(answers, key=lambda each: cast(datetime, each.answered_at)):
        order[one.reader_id] = order.get(one.reader_id, 0) + 1
        rows += [
            (
                str(one.item),
                names[one.reader_id],
                one.arm,
                finding,
                one.item.truth.get(finding),
                one.rating(finding),
                None if one.seconds is None else round(one.seconds, 1),
                order[one.reader_id],
            )
            for finding in study.findings
        ]
    return to_csv(header, rows)


def reader_names(answers: Sequence[Answer]) -> dict[Any, str]:
    """Return R1, R2 … in place of the readers' names, in an order that tells nothing.

    Args:
        answers: All answers.
    """
    keys = sorted({one.reader_id for one in answers}, key=str)
    return {key: f"R{number}" for number, key in enumerate(keys, start=1)}


def _given(study: Study) -> list[Answer]:
    rows = Answer.objects.filter(study=study, answered_at__isnull=False)
    return list(rows.select_related("item"))


def _of_finding(
    study: Study, finding: str, answers: Sequence[Answer], names: dict[Any, str]
) -> dict[str, Any]:
    known = [one for one in answers if one.item.truth.get(finding) is not None]
    rows = [
        _row(
            finding,
            names[reader],
            arm,
            [one for one in known if (one.reader_id, one.arm) == (reader, arm)],
        )
        for reader in names
        for arm in study.arms
    ]
    return {
        "rows": [row for row in rows if row is not None],
        "compared": _compared(finding, known) if len(study.arms) > 1 else None,
        "agreement": [
            {"arm": str(Arm(arm).label), "kappa": _between(finding, answers, arm)}
            for arm in study.arms
        ],
        "unknown": len({one.item_id for one in answers}) - len({one.item_id for one in known}),
    }


def _row(finding: str, name: str, arm: str, answers: Sequence[Answer]) -> dict[str, Any] | None:
    if not answers:
        return None
    truth = np.array([one.item.truth[finding] for one in answers], float)
    rating = np.array([one.rating(finding) for one in answers], float)
    counts = count(truth, rating, threshold=CALLED)
    return {
        "reader": name,
        "arm": str(Arm(arm).label),
        "films": len(answers),
        "sensitivity": _rate(float(sensitivity(counts)), float(counts.tp), float(counts.positives)),
        "specificity": _rate(float(specificity(counts)), float(counts.tn), float(counts.negatives)),
        "auc": float(auc(truth, rating)),
    }


def _compared(finding: str, answers: Sequence[Answer]) -> dict[str, Any] | None:
    """Compare the arms on films that the same reader read in both."""
    held = {(one.reader_id, one.item_id, one.arm): one for one in answers}
    pairs = [
        (one, held[reader, item, Arm.AIDED])
        for (reader, item, arm), one in held.items()
        if arm == Arm.UNAIDED and (reader, item, Arm.AIDED) in held
    ]
    if not pairs:
        return None
    truth = np.array([one.item.truth[finding] for one, _other in pairs], float)
    ratings = np.array([[each.rating(finding) for each in pair] for pair in pairs], float)
    right = (ratings >= CALLED) == (truth[:, None] == 1)
    gain = right[:, 1].astype(float) - right[:, 0]
    films = [str(one.item_id) for one, _other in pairs]
    area = delong_test(truth, ratings[:, 1], ratings[:, 0], groups=films)
    return {
        "pairs": len(pairs),
        "unaided": 100 * float(right[:, 0].mean()),
        "aided": 100 * float(right[:, 1].mean()),
        "mended": int((gain > 0).sum()),
        "spoiled": int((gain < 0).sum()),
        "p_right": float(sign_flip_test(gain, groups=films)),
        "auc": area.difference.value,
        "auc_low": area.difference.low,
        "auc_high": area.difference.high,
        "p_auc": area.p_value,
    }


def _between(finding: str, answers: Sequence[Answer], arm: str) -> float:
    """Return the mean of Cohen's kappa over all pairs of readers; nan with fewer than two."""
    by_reader: dict[Any, dict[Any, bool]] = {}
    for one in answers:
        rating = one.rating(finding)
        if one.arm == arm and rating is not None:
            by_reader.setdefault(one.reader_id, {})[one.item_id] = rating >= CALLED
    found = [_kappa(first, second) for first, second in combinations(by_reader.values(), 2)]
    known = [one for one in found if not math.isnan(one)]
    return sum(known) / len(known) if known else float("nan")


def _kappa(first: dict[Any, bool], second: dict[Any, bool]) -> float:
    both = sorted(set(first) & set(second), key=str)
    if not both:
        return float("nan")
    one, other = ([float(each[item]) for item in both] for each in (first, second))
    return float(kappa(count(one, other, threshold=0.5)))


def _times(study: Study, answers: Sequence[Answer], names: dict[Any, str]) -> list[dict[str, Any]]:
    rows = []
    for reader, name in names.items():
        for arm in study.arms:
            mine = [one.seconds for one in answers if (one.reader_id, one.arm) == (reader, arm)]
            kept = [one for one in mine if one is not None and one <= LONGEST_SECONDS]
            if mine:
                rows.append(
                    {
                        "reader": name,
                        "arm": str(Arm(arm).label),
                        "films": len(mine),
                        "median": float(np.median(kept)) if kept else float("nan"),
                        "quarter": float(np.quantile(kept, 0.25)) if kept else float("nan"),
                        "three": float(np.quantile(kept, 0.75)) if kept else float("nan"),
                        "interrupted": len(mine) - len(kept),
                    }
                )
    return rows


def _rate(value: float, part: float, whole: float) -> dict[str, float]:
    low, high = wilson_interval(part, whole)
    return {"value": value, "low": float(low), "high": float(high), "count": int(whole)}
