"""Pages of long lists: what follows a row, so that the last page is as fast as the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db.models import Q

#: Rows of a page.
ROWS = 30


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Args:
        rows: The rows.
        before: What an address says of the page before; empty: this is the first.
        after: What an address says of the page after; empty: this is the last.
    """

    rows: list[Any]
    before: str = ""
    after: str = ""

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)


def one_page(rows: Any, place: str | None, size: int = ROWS, *, parts: Sequence[Q] = ()) -> Page:
    """Return one page of a list, as the list is now.

    An address names the row that a page follows or precedes, by its key, which tells nothing of a
    patient. What is not understood, and what nothing follows any more, is the first page.

    Args:
        rows: A query, in order: all fields ascending or all descending.
        place: What the address says: `Page.before` or `Page.after` of another page.
        size: Rows of a page.
        parts: Of `first_rows`.
    """
    word, _, key = (place or "").partition(".")
    mark = _row(rows, key) if word in ("after", "before") else None
    if mark is None:
        found = first_rows(rows, size + 1, parts)
        return Page(found[:size], after=_address("after", found[:size][-1:], len(found) > size))
    order = _order(rows)
    if word == "before":
        order = [_turned(name) for name in order]
    beyond = rows.order_by(*order).filter(_beyond(order, mark))
    found = first_rows(beyond, size + 1, parts)
    if not found:
        return one_page(rows, None, size, parts=parts)
    shown, more = found[:size], len(found) > size
    if word == "before":
        shown.reverse()
    return Page(
        shown,
        before=_address("before", shown[:1], more or word == "after"),
        after=_address("after", shown[-1:], more or word == "before"),
    )


def first_rows(rows: Any, size: int, parts: Sequence[Q] = ()) -> list[Any]:
    """Return the first rows of a list.

    Args:
        rows: A query, in order: all fields ascending or all descending.
        size: How many.
        parts: Conditions of which each row meets one: each part is asked alone, as its index has
            its rows in order; fewer than two: one question for all.
    """
    order = _order(rows)
    ordered = rows.order_by(*order)
    if len(parts) < 2:
        return list(ordered[:size])
    found = [row for part in parts for row in ordered.filter(part)[:size]]
    for name in reversed(order):
        found.sort(key=attrgetter(name.lstrip("-")), reverse=name.startswith("-"))
    return found[:size]


def _address(word: str, row: list[Any], there: bool) -> str:
    return f"{word}.{row[0].pk}" if row and there else ""


def _order(rows: Any) -> list[str]:
    order = list(rows.query.order_by or rows.model._meta.ordering)
    names = [name.lstrip("-") for name in order]
    if "pk" in names or rows.model._meta.pk.name in names:
        return order
    return [*order, "-pk" if order[0].startswith("-") else "pk"]


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _row(rows: Any, key: str) -> Any:
    """Return the row that an address names, even if it is no longer in the list; None: gone."""
    field = rows.model._meta.pk
    try:
        value: Any = UUID(key) if field.get_internal_type() == "UUIDField" else int(key)
    except ValueError:
        return None
    return rows.model._base_manager.filter(pk=value).first()


def _beyond(order: list[str], mark: Any) -> Q:
    """Return what stands behind a row in an order, with a bound that an index serves."""
    behind, equal = Q(), Q()
    for name in order:
        field = name.lstrip("-")
        value = getattr(mark, field)
        sign = "lt" if name.startswith("-") else "gt"
        behind |= equal & Q(**{f"{field}__{sign}": value})
        equal &= Q(**{field: value})
    first = order[0].lstrip("-")
    bound = "lte" if order[0].startswith("-") else "gte"
    return Q(**{f"{first}__{bound}": getattr(mark, first)}) & behind
