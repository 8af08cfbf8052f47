"""What has moved, on the home page of administrators."""

from __future__ import annotations

from typing import Any

from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.care import watching


def alerts(user: Any) -> dict[str, Any] | None:
    """Return how many alerts nobody has looked at; None: none, or not for this person.

    Args:
        user: The person.
    """
    if not user.may(Permission.MANAGE):
        return None
    unseen = watching.open_alerts().filter(seen_at=None).count()
    return {"unseen": unseen} if unseen else None
