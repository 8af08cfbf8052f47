"""The head of an experiment's page: what was run, and a change as a colored number."""

from __future__ import annotations

import numpy as np

from lucidray.metrics.resampling import Estimate
from lucidray.papers.catalog import MODE_WORDS, Plan
from lucidray.papers.wording import show
from lucidray.report import Fact
from lucidray.report.document import Tone


def order_head(plan: Plan, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the mode, the scale and what else stands at the head of the page."""
    mode = ("Mode", f"{plan.mode}: {MODE_WORDS[plan.mode]}")
    return (mode, ("Scale", plan.scale), *more)


def estimate_fact(label: str, found: Estimate) -> Fact:
    """Show a number with its interval."""
    value, _, interval = show(found).partition(" ")
    return Fact(label, value, interval)


def change_fact(label: str, found: Estimate) -> Fact:
    """Show a difference: good above zero, bad below it, plain where its interval holds zero.

    >>> change_fact("AUC, crop − full", Estimate(0.02, 0.01, 0.03, np.empty(0)))
    Fact(label='AUC, crop − full', value='+0.020', detail='[+0.010, +0.030]', tone='good')
    """
    value, _, interval = show(found, signed=True).partition(" ")
    return Fact(label, value, interval, _tone(found))


def _tone(found: Estimate) -> Tone:
    if not (np.isfinite(found.low) and np.isfinite(found.high)) or found.low == found.high:
        return "plain"
    if found.low > 0:
        return "good"
    return "bad" if found.high < 0 else "plain"
