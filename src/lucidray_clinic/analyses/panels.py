"""What models said, on the home page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.analyses import figures
from lucidray_clinic.core.charts import columns, shares
from lucidray_clinic.core.panels import Panel, add_panel


def add_all() -> None:
    """Add the panels."""
    add_panel(Panel(60, "findings", "analyses/panel_findings.html", findings, 4))
    add_panel(Panel(70, "findings by week", "analyses/panel_weeks.html", weeks, 4))


def findings(user: Any) -> dict[str, Any] | None:
    """Return the findings called most often.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_CASE):
        return None
    told = figures.told_calls(_counts(user), figures.DAYS)
    return {"bars": shares(told[:6]), "days": figures.DAYS}


def weeks(user: Any) -> dict[str, Any] | None:
    """Return the most frequent finding over time.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_CASE):
        return None
    counts = _counts(user)
    if not counts:
        return {"chart": None}
    finding = counts[0][0]
    return {"chart": columns(figures.called_by_week(user, finding)), "finding": _(finding)}


def _counts(user: Any) -> list[tuple[str, int]]:
    """Count calls once for both panels of a page: a person is looked up for each request."""
    if not hasattr(user, "_call_counts"):
        user._call_counts = figures.call_counts(user)
    counted: list[tuple[str, int]] = user._call_counts
    return counted
