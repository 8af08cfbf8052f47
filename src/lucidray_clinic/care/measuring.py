"""What has moved between two windows: scores, refusals, agreement, brightness; and what alarms.

A shift alarms where it is large, unlikely by chance after Holm's correction over all that one check
looks at, and both windows hold enough patients. Of each patient one film counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lucidray.metrics.drift import distribution_shift, first_of_each, rate_shift
from lucidray.metrics.intervals import holm
from lucidray_clinic.care.intensity import STATISTICS
from lucidray_clinic.care.windows import Seen

#: Patients that each window must hold for a distribution, and for a rate.
LEAST_FOR_SHAPE, LEAST_FOR_RATE = 100, 50

#: Adjusted p-value below which a shift is no chance.
SIGNIFICANT = 0.01

#: Stability index from which a distribution counts as moved, over what chance alone would give.
LARGE_PSI = 0.2

#: Change from which a rate counts as moved.
LARGE_CHANGE = 0.1

#: Bars of a picture.
BARS = 20


@dataclass(frozen=True)
class Measure:
    """One thing that may have moved.

    Args:
        kind: ``"scores"``, ``"refusals"``, ``"agreement"`` or ``"films"``.
        what: Of which finding or statistic; empty: there is but one.
        reference: Patients in the reference window.
        current: Patients in the current one.
        before: Mean or rate before; None: unknown.
        now: Mean or rate now; None: unknown.
        psi: Population stability index; None for a rate.
        distance: Of Kolmogorov and Smirnov; None for a rate.
        p_value: Adjusted by Holm; None: not tested.
        state: ``"ok"``, ``"moved"``, or ``"few"`` where there are too few patients to tell.
        bars_before: Shares of values from 0 to 1 in `BARS` bars; empty for a rate.
        bars_now: The same, now.
    """

    kind: str
    what: str
    reference: int
    current: int
    before: float | None
    now: float | None
    psi: float | None = None
    distance: float | None = None
    p_value: float | None = None
    state: str = "few"
    bars_before: tuple[float, ...] = ()
    bars_now: tuple[float, ...] = ()


def of_model(
    findings: Sequence[str],
    before: list[Seen],
    now: list[Seen],
    agreed: tuple[Iterable[tuple[Any, bool]], Iterable[tuple[Any, bool]]],
) -> list[dict[str, Any]]:
    """Measure what a model says.

    Args:
        findings: What it judges.
        before: Readings of the reference window, in order.
        now: Readings of the current window, in order.
        agreed: Patient, and whether the report agreed, of both windows.
    """
    drafts = [_scores(name, before, now) for name in findings]
    windows = [
        [(one.patient, one.refused or one.referred) for one in each] for each in (before, now)
    ]
    drafts.append(_rate("refusals", windows[0], windows[1]))
    drafts.append(_rate("agreement", *agreed))
    return [asdict(one) for one in _judged(drafts)]


def of_films(before: list[tuple[Any, Any]], now: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """Measure how bright films are.

    Args:
        before: Patient and `FilmStatistics` of the reference window, in order.
        now: The same of the current window.
    """
    drafts = [
        _shape(
            "films",
            name,
            first_of_each((patient, getattr(row, name)) for patient, row in before),
            first_of_each((patient, getattr(row, name)) for patient, row in now),
        )
        for name in STATISTICS
    ]
    return [asdict(one) for one in _judged(drafts)]


def _scores(name: str, before: list[Seen], now: list[Seen]) -> Measure:
    values = [
        first_of_each(
            (one.patient, float(one.findings[name]["probability"]))
            for one in window
            if not one.refused and name in one.findings
        )
        for window in (before, now)
    ]
    return _shape("scores", name, values[0], values[1])


def _shape(kind: str, what: str, before: list[float], now: list[float]) -> Measure:
    shift = distribution_shift(before, now)
    large = shift.psi - shift.psi_by_chance >= LARGE_PSI
    enough = min(len(before), len(now)) >= LEAST_FOR_SHAPE
    return Measure(
        kind,
        what,
        len(before),
        len(now),
        _mean(before),
        _mean(now),
        _finite(shift.psi),
        _finite(shift.distance),
        _finite(shift.p_value),
        _draft_state(enough, large),
        _bars(before),
        _bars(now),
    )


def _rate(
    kind: str, before: Iterable[tuple[Any, bool]], now: Iterable[tuple[Any, bool]]
) -> Measure:
    windows = [first_of_each(each) for each in (before, now)]
    shift = rate_shift(sum(windows[0]), len(windows[0]), sum(windows[1]), len(windows[1]))
    enough = min(shift.reference, shift.current) >= LEAST_FOR_RATE
    large = abs(shift.change) >= LARGE_CHANGE
    return Measure(
        kind,
        "",
        shift.reference,
        shift.current,
        _finite(shift.before),
        _finite(shift.now),
        p_value=_finite(shift.p_value),
        state=_draft_state(enough, large),
    )


def _draft_state(enough: bool, large: bool) -> str:
    if not enough:
        return "few"
    return "moved" if large else "ok"


def _judged(drafts: list[Measure]) -> list[Measure]:
    """Correct p-values over all that can be told, and let only what is no chance be moved."""
    told = [
        math.nan if one.state == "few" or one.p_value is None else one.p_value for one in drafts
    ]
    adjusted = holm(told)
    return [
        replace(
            one,
            p_value=None if math.isnan(p_value) else float(p_value),
            state="ok" if one.state == "moved" and not p_value < SIGNIFICANT else one.state,
        )
        for one, p_value in zip(drafts, adjusted, strict=True)
    ]


def _bars(values: list[float]) -> tuple[float, ...]:
    if not values:
        return ()
    counts, _edges = np.histogram(np.clip(values, 0, 1), bins=BARS, range=(0, 1))
    return tuple(round(float(share), 4) for share in counts / len(values))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
