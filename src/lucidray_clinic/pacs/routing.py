"""Which rule holds for a film."""

from __future__ import annotations

from typing import Any

from lucidray_clinic.pacs.models import Arrival, Rule

#: What a rule may ask of a film, by its field, and the fact that answers.
_ASKED = ("modality", "body_part", "view", "station")


def facts_of(told: dict[str, Any]) -> dict[str, str]:
    """Return what rules ask about a film; nothing of it tells whose it is.

    Args:
        told: As the child that inspected it told.
    """
    tags = told.get("tags", {})
    return {
        "modality": str(tags.get("modality", ""))[:16].upper(),
        "body_part": str(tags.get("body_part", ""))[:16].upper(),
        "view": str(told.get("view_position", ""))[:4],
        "station": str(tags.get("station", ""))[:16],
    }


def rule_for(arrival: Arrival, facts: dict[str, str]) -> Rule | None:
    """Return the first rule that fits; None: none does.

    Args:
        arrival: What came.
        facts: As of `facts_of`.
    """
    rules = Rule.objects.filter(active=True).select_related("team", "bundle", "answer_to")
    if arrival.team_id is not None:  # somebody fetched it for this team
        rules = rules.filter(team_id=arrival.team_id)
    return next((rule for rule in rules if _fits(rule, arrival, facts)), None)


def _fits(rule: Rule, arrival: Arrival, facts: dict[str, str]) -> bool:
    if rule.peer_id is not None and rule.peer_id != arrival.peer_id:
        return False
    asked = ((getattr(rule, name), facts[name]) for name in _ASKED)
    return all(not wanted or wanted.upper() == is_.upper() for wanted, is_ in asked)
