"""What a model in the shadow would change: agreement, scores side by side, calls that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from lucidray.metrics.confusion import count, kappa
from lucidray.metrics.drift import first_of_each
from lucidray.metrics.intervals import wilson_interval
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.care.models import Shadow, ShadowReading
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.jobs import JobState

#: Films that are compared, the latest.
MOST_FILMS = 20_000

#: Dots of a scatter, and films that are listed.
MOST_DOTS, MOST_LISTED = 500, 40


@dataclass(frozen=True)
class Pair:
    """What two models say of one film.

    Args:
        patient: Id of the patient.
        case: Id of the case.
        now: What the model in use says, by finding; None: no reliable result.
        then: What the model in the shadow says, the same.
    """

    patient: Any
    case: Any
    now: dict[str, dict[str, Any]] | None
    then: dict[str, dict[str, Any]] | None


def pairs_of(shadow: Shadow) -> list[Pair]:
    """Return the films that both models of a shadow have read, the latest first.

    Args:
        shadow: The shadow.
    """
    done = ShadowReading.objects.filter(
        state=JobState.DONE, instance__deleted_at=None, instance__case__deleted_at=None
    )
    columns = ("instance_id", "findings", "refusal", "refer")
    present = {row[0]: row for row in done.filter(bundle=shadow.beside).values_list(*columns)}
    more = ("instance__case__patient_id", "instance__case_id")
    rows = done.filter(bundle=shadow.bundle).order_by("-created_at").values_list(*columns, *more)
    return [
        Pair(row[4], row[5], _reliable(present[row[0]]), _reliable(row))
        for row in rows[:MOST_FILMS]
        if row[0] in present
    ]


def compared(shadow: Shadow) -> dict[str, Any]:
    """Return what a shadow has shown so far.

    Args:
        shadow: The shadow.

    Returns:
        How many films and patients, the results that only one of both gives, and for each finding
        in common `of_finding`. Rates count one film of each patient.
    """
    pairs = pairs_of(shadow)
    common = [name for name in shadow.beside.findings if name in shadow.bundle.findings]
    return {
        "films": len(pairs),
        "patients": len({pair.patient for pair in pairs}),
        "only_now": sum(pair.then is None and pair.now is not None for pair in pairs),
        "only_then": sum(pair.now is None and pair.then is not None for pair in pairs),
        "neither": sum(pair.now is None and pair.then is None for pair in pairs),
        "findings": [of_finding(shadow, pairs, name) for name in common],
        "added": [name for name in shadow.bundle.findings if name not in common],
        "lost": [name for name in shadow.beside.findings if name not in common],
        "failed": ShadowReading.objects.filter(
            bundle__in=(shadow.bundle, shadow.beside), state=JobState.FAILED
        ).count(),
        "waiting": ShadowReading.objects.filter(
            bundle__in=(shadow.bundle, shadow.beside), state=JobState.WAITING
        ).count(),
    }


def of_finding(shadow: Shadow, pairs: list[Pair], name: str) -> dict[str, Any]:
    """Return how two models agree on a finding; a kind of a finding that is absent is absent.

    Args:
        shadow: The shadow.
        pairs: As of `pairs_of`.
        name: The finding.

    Returns:
        Agreement with its interval, kappa (nan where it is undefined), the calls that would
        appear and vanish, and the dots of a scatter of probabilities.
    """
    both = [
        (pair.patient, (pair.now[name], pair.then[name]))
        for pair in pairs
        if pair.now is not None and pair.then is not None
    ]
    thresholds = shadow.beside.thresholds.get(name), shadow.bundle.thresholds.get(name)
    calls = [] if None in thresholds else first_of_each(both)
    called = [(bool(now["positive"]), bool(then["positive"])) for now, then in calls]
    agreed = sum(now == then for now, then in called)
    low, high = (float(end) for end in wilson_interval(agreed, len(called)))
    before, after = ([float(each[side]) for each in called] for side in (0, 1))
    return {
        "name": name,
        "title": _(name),
        "patients": len(called),
        "agreed": agreed,
        "share": agreed / len(called) if called else float("nan"),
        "low": low,
        "high": high,
        "kappa": float(kappa(count(before, after, threshold=0.5))) if called else float("nan"),
        "appear": sum(then and not now for now, then in called),
        "vanish": sum(now and not then for now, then in called),
        "thresholds": thresholds,
        "dots": [
            (
                now["probability"],
                then["probability"],
                bool(now["positive"]) != bool(then["positive"]),
            )
            for _patient, (now, then) in both[:MOST_DOTS]
        ],
    }


def would_change(user: Any, shadow: Shadow) -> list[dict[str, Any]]:
    """Return cases that a promotion would read otherwise, of those that somebody may see.

    Args:
        user: The person.
        shadow: The shadow.
    """
    found: dict[Any, list[str]] = {}
    for pair in pairs_of(shadow):
        changes = list(_changes(pair))
        if changes:
            found.setdefault(pair.case, changes)
    rows = Case.objects.visible_to(user, Permission.VIEW_CASE).filter(pk__in=list(found)[:1000])
    shown = rows.select_related("patient").order_by("-created_at")[:MOST_LISTED]
    return [{"case": case, "changes": found[case.pk]} for case in shown]


def _changes(pair: Pair) -> Any:
    if (pair.now is None) != (pair.then is None):
        yield _("no result any more") if pair.then is None else _("a result where there was none")
        return
    for name in pair.now or {}:
        now, then = (pair.now or {})[name], (pair.then or {}).get(name)
        if then is not None and bool(now["positive"]) != bool(then["positive"]):
            text = _("%(finding)s appears") if then["positive"] else _("%(finding)s vanishes")
            yield text % {"finding": _(name)}


def _reliable(row: Any) -> dict[str, dict[str, Any]] | None:
    _instance, findings, refusal, refer = row[:4]
    return None if refusal is not None or refer else {each["name"]: each for each in findings}
