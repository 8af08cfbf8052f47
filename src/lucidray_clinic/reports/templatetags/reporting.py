"""Tags of pages of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from lucidray_clinic.reports.models import Certainty

register = template.Library()


@register.simple_tag
def certainty(told: Mapping[str, Any]) -> str:
    """Return how sure a report is of one of its findings, in the reader's language."""
    return str(Certainty(told["certainty"]).label)
