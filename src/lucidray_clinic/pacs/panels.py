"""What other pages tell of the PACS; imported when the site starts, so it brings no DICOM along."""

from __future__ import annotations

from typing import Any

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.cases.models import Case


def alerts(user: Any) -> dict[str, Any] | None:
    """Return the alerts for the home page; None: there are none.

    Args:
        user: The person; only administrators are told.
    """
    if not user.may(Permission.MANAGE):
        return None
    from lucidray_clinic.pacs.traffic import alerts_of

    return alerts_of(user) or None


def of_case(user: Any, case: Case) -> dict[str, Any] | None:
    """Return what the page of a case shows of its traffic; None: nothing for this person.

    Args:
        user: The person.
        case: The case.
    """
    from lucidray_clinic.pacs.handing import section

    return section(user, case)


def of_report(user: Any, case: Case) -> dict[str, Any] | None:
    """Return what the page of a report shows of where it went; None: nothing for this person.

    Args:
        user: The person.
        case: The case.
    """
    from lucidray_clinic.pacs.handing import report_section

    return report_section(user, case)
