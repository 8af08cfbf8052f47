"""Conditions on related rows, asked for by key where those rows are few.

How many rows of one team meet a condition, a database's planner can only guess from all teams'
rows; where it guesses many and there are none, it walks through every row of the team.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

#: Rows up to which their keys are asked for.
FEW = 1000


def few_keys(rows: QuerySet[Any], name: str = "pk") -> list[Any] | None:
    """Return a field of each of some rows where they are few.

    Args:
        rows: A query without an order.
        name: The field.

    Returns:
        Its values, each once; None: there are more than `FEW` rows.
    """
    found = list(rows.order_by().values_list(name, flat=True)[: FEW + 1])
    return None if len(found) > FEW else list(dict.fromkeys(found))
