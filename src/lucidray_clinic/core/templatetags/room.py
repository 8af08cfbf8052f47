"""Tags and filters that every template knows."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import get_language_bidi, gettext

from lucidray_clinic.core.findings import named_findings

register = template.Library()

#: First strong isolate, and its end: what stands between runs as its first letter does.
_ISOLATE, _UNTIL_HERE = "\u2068", "\u2069"


@register.filter
def may(user: Any, permission: str) -> bool:
    """Tell whether somebody is allowed something in at least one team."""
    return bool(user.is_authenticated and user.teams_with(permission))


#: Grades with which a card begins what it says of a map, and their color.
_GRADES = {"supported": "good", "limited": "warn", "not supported": "bad", "unknown": ""}


@register.inclusion_tag("lucidray/trust.html")
def trust(words: str) -> dict[str, str]:
    """Show how far a map can be trusted, the grade as a tag."""
    grade, found, rest = words.partition(": ")
    if not found or grade not in _GRADES:
        return {"grade": "", "words": words}
    return {"grade": grade, "color": _GRADES[grade], "words": rest}


@register.simple_tag
def finding(name: str) -> str:
    """Return a finding in the reader's language."""
    return str(gettext(name))


@register.simple_tag
def findings(names: Iterable[str]) -> str:
    """Return several findings in the reader's language, with its comma."""
    return named_findings(names)


@register.filter
def direction(text: Any) -> str:
    """Return the direction in which a text runs, by its first letter: ``"rtl"`` or ``"ltr"``."""
    kinds = (unicodedata.bidirectional(letter) for letter in str(text or ""))
    strong = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    return "ltr" if strong == "L" else "rtl"


@register.filter
def isolated(text: Any) -> str:
    """Let each line of a text run in its own direction on a page that runs from right to left."""
    lines = str(text or "").splitlines()
    if not get_language_bidi():
        return "\n".join(lines)
    return "\n".join(f"{_ISOLATE}{line}{_UNTIL_HERE}" if line else "" for line in lines)


@register.filter
def item(values: Mapping[str, Any], key: str) -> Any:
    """Return what a mapping holds under a key; None where it holds nothing."""
    return values.get(key)


@register.filter
def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


@register.filter
def known(value: float, digits: int = 2) -> str:
    """Return a number, or a dash where it is not defined."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


@register.filter
def minute(text: str) -> str:
    """Return an ISO moment to the minute, in the site's time zone."""
    return f"{timezone.localtime(datetime.fromisoformat(text)):%Y-%m-%d %H:%M}"


@register.filter
def at(values: Sequence[Any], place: int) -> Any:
    """Return one of several values."""
    return values[place]


@register.filter
def kilobytes(size: int) -> str:
    """Return a number of bytes for people to read."""
    step, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    for unit in units:
        if step < 1000 or unit == units[-1]:
            return f"{step:.0f} {unit}" if unit == "B" or step >= 10 else f"{step:.1f} {unit}"
        step /= 1000
    return ""
