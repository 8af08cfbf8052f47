"""People, their teams and roles, and the sessions that they have open."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.roles import EMERGENCY_OPENS, PERMISSIONS, Role, roles_with
from lucidray_clinic.core.bases import Identified
from lucidray_clinic.core.identifiers import new_id


class Theme(models.TextChoices):
    """How pages look."""

    DARK = "dark", _("Dark")
    LIGHT = "light", _("Light")
    AUTO = "auto", _("As the device")


class User(AbstractUser):
    """A person who can sign in."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    language = models.CharField(
        _("language"), max_length=8, default="en", choices=settings.LANGUAGES
    )
    theme = models.CharField(_("theme"), max_length=8, default=Theme.DARK, choices=Theme.choices)
    approved_at = models.DateTimeField(_("approved"), null=True, blank=True)

    class Meta(AbstractUser.Meta):  # type: ignore[name-defined]
        indexes = [models.Index(fields=["last_name", "first_name"], name="user_name")]

    def __str__(self) -> str:
        return self.get_full_name() or self.username

    def roles(self) -> dict[UUID, frozenset[Role]]:
        """Return the roles in each team, looked up once for each request."""
        if not hasattr(self, "_roles"):
            held: dict[UUID, set[Role]] = {}
            for team, role in self.memberships.values_list("team_id", "role"):
                held.setdefault(team, set()).add(Role(role))
            self._roles = {team: frozenset(roles) for team, roles in held.items()}
        return self._roles

    def teams_with(self, permission: str) -> list[UUID]:
        """Return the teams in which the person is allowed something.

        Args:
            permission: What.
        """
        wanted = set(roles_with(permission)) if self.is_active else set()
        return [team for team, roles in self.roles().items() if roles & wanted]

    def may(self, permission: str, row: Any = None) -> bool:
        """Tell whether the person is allowed something.

        Args:
            permission: What.
            row: A row that belongs to a team; None: in any team.
        """
        if row is None:
            return bool(self.teams_with(permission))
        team = row.pk if isinstance(row, Team) else row.owning_team_id
        return team in self.teams_with(permission)

    def emergency_patients(self, permission: str) -> list[UUID]:
        """Return the patients that the person may see for a while in an emergency.

        Args:
            permission: What the person wants; an emergency opens reading only.
        """
        if permission not in EMERGENCY_OPENS:
            return []
        if not hasattr(self, "_emergencies"):
            open_ones = self.emergencies.filter(until__gt=timezone.now())
            self._emergencies = list(open_ones.values_list("patient_id", flat=True))
        return self._emergencies

    def permissions_in(self, row: Any) -> set[str]:
        """Return all that the person is allowed in the team of a row.

        Args:
            row: A row that belongs to a team.
        """
        held = self.roles().get(row.owning_team_id, frozenset())
        return {str(one) for role in held for one in PERMISSIONS[role]}


class Team(Identified):
    """People who see the same patients: a department, a practice, a research group."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    members: models.ManyToManyField[User, Membership] = models.ManyToManyField(
        User, through="Membership", related_name="teams"
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def owning_team_id(self) -> UUID:
        """The team's own id."""
        return self.id


class Membership(Identified):
    """A role that somebody has in a team; one may have several."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=16, choices=Role.choices)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "team", "role"], name="one_membership_each")
        ]

    def __str__(self) -> str:
        return f"{self.role}"

    @property
    def owning_team_id(self) -> UUID:
        """The team's id."""
        return self.team_id


class UserSession(Identified):
    """A session that somebody has open on some device."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    session_key = models.CharField(max_length=40, unique=True)
    last_active_at = models.DateTimeField(_("last active"), default=timezone.now)
    address = models.CharField(_("address"), max_length=45, blank=True)
    device = models.CharField(_("device"), max_length=120, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return device_name(self.device)


class OneTimeLink(Identified):
    """A link that signs somebody in once, made on the command line only."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("one-time link")
        verbose_name_plural = _("one-time links")

    def __str__(self) -> str:
        return str(self.pk)


class Emergency(Identified):
    """Leave to see a patient of another team for a while, with the reason that was given."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="emergencies")
    patient_id = models.UUIDField(_("patient"))
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="emergencies")
    reason = models.TextField(_("reason"))
    until = models.DateTimeField(_("until"))
    seen_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("emergency")
        verbose_name_plural = _("emergencies")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["user", "until"], name="emergency_user")]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def owning_team_id(self) -> UUID:
        """The patient's team."""
        return self.team_id

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.patient_id


def device_name(agent: str) -> str:
    """Return what people call a device, from what its browser calls itself.

    Args:
        agent: The header ``User-Agent``.

    >>> device_name("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36")
    'Chrome, Linux'
    """
    browsers = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
    systems = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")
    titles = {"Edg": "Edge", "OPR": "Opera"}
    browser = next((one for one in browsers if one in agent), "")
    system = next((one for one in systems if one in agent), "")
    return ", ".join(part for part in (titles.get(browser, browser), system) if part) or agent[:40]
