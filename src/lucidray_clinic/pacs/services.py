"""Peers and rules: who may send, and where it goes; no function here sees a request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from lucidray.dicom.network import echo
from lucidray.errors import LucidRayError
from lucidray_clinic.accounts.models import Team
from lucidray_clinic.accounts.roles import Permission
from lucidray_clinic.core import audit
from lucidray_clinic.errors import SiteError
from lucidray_clinic.pacs.models import Peer, Rule, Way
from lucidray_clinic.pacs.secrets import seal
from lucidray_clinic.pacs.sending import address_of, archive_of


def peers() -> QuerySet[Peer]:
    """Return all peers; they belong to the installation, as models do."""
    return Peer.objects.all()


def receivers() -> QuerySet[Peer]:
    """Return the peers that take results."""
    return peers().filter(active=True).exclude(way=Way.NONE)


def web_peers() -> QuerySet[Peer]:
    """Return the peers from which studies can be fetched."""
    return peers().filter(active=True).exclude(web_url="")


@transaction.atomic
def save_peer(user: Any, peer: Peer, password: str | None) -> Peer:
    """Save a peer.

    Args:
        user: An administrator.
        peer: The peer, new or changed.
        password: For DICOMweb; None: as before.

    Raises:
        PermissionDenied: The person manages no team.
    """
    _may_manage(user)
    new = peer._state.adding
    if password is not None:
        peer.web_secret = seal(password)
    peer.failing_since = peer.quiet_until = None  # what is changed may work now
    peer.save()
    audit.record(user, "add peer" if new else "edit peer", peer)
    return peer


def test_peer(user: Any, key: UUID) -> list[str]:
    """Ask a peer whether it is there and knows us.

    Args:
        user: An administrator.
        key: The peer's id.

    Returns:
        What works, a line each.

    Raises:
        SiteError: It does not answer, with what to check.
    """
    _may_manage(user)
    peer = get_object_or_404(Peer, pk=key)
    works = []
    try:
        if peer.host and peer.port:
            echo(address_of(peer))
            works.append(_("C-ECHO: it answers and knows us."))
        if peer.web_url:
            archive_of(peer).find_studies(AccessionNumber="lucidray-asks")
            works.append(_("DICOMweb: it answers."))
    except LucidRayError as error:
        raise SiteError(str(error), "peer_silent") from error
    if not works:
        raise SiteError(_("It has no address to ask; it can only call us."), "no_address")
    return works


def rules_of(user: Any) -> QuerySet[Rule]:
    """Return the rules of the teams that somebody manages, in their order.

    Args:
        user: The person.
    """
    rows = Rule.objects.filter(team__in=managed_teams(user))
    return rows.select_related("team", "bundle", "peer", "answer_to")


def managed_teams(user: Any) -> QuerySet[Team]:
    """Return the teams that somebody manages.

    Args:
        user: The person.
    """
    return Team.objects.filter(pk__in=user.teams_with(Permission.MANAGE))


def rule_to_edit(user: Any, key: UUID) -> Rule:
    """Return a rule of a team that the person manages.

    Args:
        user: The person.
        key: The rule's id.

    Raises:
        Http404: There is none.
    """
    return get_object_or_404(rules_of(user), pk=key)


@transaction.atomic
def save_rule(user: Any, rule: Rule) -> Rule:
    """Save a rule.

    Args:
        user: An administrator of the rule's team.
        rule: The rule, new or changed.

    Raises:
        PermissionDenied: The person does not manage that team.
    """
    if not user.may(Permission.MANAGE, rule.team):
        raise PermissionDenied
    new = rule._state.adding
    rule.save()
    audit.record(user, "add rule" if new else "edit rule", rule)
    return rule


@transaction.atomic
def delete_rule(user: Any, key: UUID) -> None:
    """Delete a rule; what it sent somewhere stays there.

    Args:
        user: An administrator of the rule's team.
        key: The rule's id.
    """
    rule = rule_to_edit(user, key)
    audit.record(user, "delete rule", rule)
    rule.delete()


def _may_manage(user: Any) -> None:
    if not user.may(Permission.MANAGE):
        raise PermissionDenied
