"""What the pages of a case show beside the films; apps above this one add what they know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lucidray_clinic.cases.models import Case

#: Makes what a section shows, from a person and a case; None: nothing for this person.
Filler = Callable[[Any, Case], dict[str, Any] | None]


@dataclass(frozen=True)
class Section:
    """One section.

    Args:
        order: Smaller stands first.
        name: Unique.
        template: Shows it, with what `fill` makes as ``content``.
        fill: Makes what the template shows.
        page: Which page: ``"case"``, or ``"report"`` for that of its report.
    """

    order: int
    name: str
    template: str
    fill: Filler
    page: str = "case"


_SECTIONS: dict[str, Section] = {}


def add_section(section: Section) -> None:
    """Add a section, from an app's ``ready``.

    Args:
        section: The section.
    """
    _SECTIONS[section.name] = section


def sections_of(user: Any, case: Case, page: str = "case") -> list[dict[str, Any]]:
    """Return the sections of a case's page.

    Args:
        user: The person.
        case: The case.
        page: As of `Section`.
    """
    filled = []
    mine = [one for one in _SECTIONS.values() if one.page == page]
    for section in sorted(mine, key=lambda one: one.order):
        content = section.fill(user, case)
        if content is not None:
            filled.append({"template": section.template, "content": content})
    return filled
