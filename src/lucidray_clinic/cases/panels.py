"""What cases show on the home page: the worklist, the latest, how many."""

from __future__ import annotations

from typing import Any

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases import figures, parts, services
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.charts import columns, shares
from lucidray_clinic.core.paging import first_rows
from lucidray_clinic.core.panels import Panel, add_panel
from lucidray_clinic.patients.services import recently_opened


def add_all() -> None:
    """Add the panels."""
    add_panel(Panel(10, "worklist", "cases/panel_worklist.html", worklist, 8, tall=True))
    add_panel(Panel(20, "state", "cases/panel_state.html", state, 4))
    add_panel(Panel(30, "opened", "cases/panel_opened.html", opened, 4))
    add_panel(Panel(40, "recent", "cases/panel_recent.html", recent, 4))
    add_panel(Panel(25, "by day", "cases/panel_by_day.html", by_day, 4))


def worklist(user: Any) -> dict[str, Any] | None:
    """Return what waits to be read.

    Args:
        user: The person.
    """
    if not user.may(Permission.READ):
        return None
    rows = first_rows(services.worklist(user), 8, Case.objects.parts_of(user, Permission.READ))
    cases = _labeled(user, services.with_films(rows))
    return {"cases": cases, "total": figures.to_read(user)}


def state(user: Any) -> dict[str, Any] | None:
    """Return how many cases are in which status.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_CASE):
        return None
    return {"bars": shares(figures.by_status(user)), "waits": figures.waiting(user)}


def opened(user: Any) -> dict[str, Any] | None:
    """Return the patients that the person opened last.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_PATIENT):
        return None
    return {"patients": recently_opened(user)}


def recent(user: Any) -> dict[str, Any] | None:
    """Return the cases that came last.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_CASE):
        return None
    rows = first_rows(services.list_cases(user), 6, Case.objects.parts_of(user))
    return {"cases": _labeled(user, services.with_films(rows))}


def by_day(user: Any) -> dict[str, Any] | None:
    """Return how many cases came on each of the last days.

    Args:
        user: The person.
    """
    if not user.may(Permission.VIEW_CASE):
        return None
    counted = figures.by_day(user)
    return {"chart": columns(counted), "total": sum(one.value for one in counted)}


def _labeled(user: Any, cases: list[Any]) -> list[Any]:
    for case in cases:
        case.patient_label = parts.patient_label(user, case)
    return cases
