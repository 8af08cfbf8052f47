"""Abstract models: what a row of any app may be."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.core.identifiers import new_id
from lucidray_clinic.errors import Conflict


class Identified(models.Model):
    """A row with an identifier that may stand in an address."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        abstract = True


class Versioned(models.Model):
    """A row that two people may change, of which the second learns that the first was faster."""

    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    def save_version(self, expected: int, fields: list[str]) -> None:
        """Save some fields if nobody else saved since.

        Args:
            expected: The version that the person saw.
            fields: Names of the fields to write.

        Raises:
            Conflict: Another version is in the database; nothing is written.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in fields}
        rows = type(self)._base_manager.filter(pk=self.pk, version=expected)
        if not rows.update(**values, version=F("version") + 1):
            raise Conflict(
                gettext(
                    "Somebody else has saved this in between. Your changes are still in the form."
                ),
                "conflict",
            )
        self.version = expected + 1


class Deletable(models.Model):
    """A row that is hidden when deleted, and only purged by two people."""

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    class Meta:
        abstract = True


class TeamQuerySet(models.QuerySet[Any]):
    """Rows that belong to teams."""

    def visible_to(self, user: Any, permission: str | None = None) -> Self:
        """Keep the rows of teams in which somebody may look at them.

        Args:
            user: The person.
            permission: What the person must be allowed in the row's team; None: the model's
                ``view_permission``.

        Returns:
            The rows; with those of patients that the person may see in an emergency.
        """
        needed = permission or self.model.view_permission
        mine = models.Q(**{f"{self.model.team_path}__in": user.teams_with(needed)})
        opened = user.emergency_patients(needed)
        if opened and self.model.patient_path:
            mine |= models.Q(**{f"{self.model.patient_path}__in": opened})
        return self.filter(mine)

    def parts_of(self, user: Any, permission: str | None = None) -> list[models.Q]:
        """Return conditions of which each row that somebody may look at meets just one: its team.

        Args:
            user: The person.
            permission: As of `visible_to`.
        """
        needed = permission or self.model.view_permission
        teams = user.teams_with(needed)
        parts = [models.Q(**{self.model.team_path: team}) for team in teams]
        opened = user.emergency_patients(needed)
        if opened and self.model.patient_path:
            elsewhere = ~models.Q(**{f"{self.model.team_path}__in": teams})
            parts.append(elsewhere & models.Q(**{f"{self.model.patient_path}__in": opened}))
        return parts


class TeamManager(models.Manager.from_queryset(TeamQuerySet)):  # type: ignore[misc]
    """Rows of teams, without the deleted."""

    def get_queryset(self) -> TeamQuerySet:
        """Return what is not deleted."""
        rows = TeamQuerySet(self.model, using=self._db)
        return rows.filter(deleted_at=None) if issubclass(self.model, Deletable) else rows


class OfTeam(models.Model):
    """A row that belongs to a team, directly or through another row.

    Attributes:
        team_path: How a query reaches the team's id.
        patient_path: How a query reaches the patient's id; empty: it has none.
        view_permission: What one must be allowed to see it at all.
    """

    team_path: ClassVar[str] = "team_id"
    patient_path: ClassVar[str] = ""
    view_permission: ClassVar[str] = "case.view"

    objects = TeamManager()
    everything = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "everything"
        default_manager_name = "objects"

    @property
    def owning_team_id(self) -> Any:
        """The team's id."""
        row: Any = self
        for step in self.team_path.removesuffix("_id").split("__")[:-1]:
            row = getattr(row, step)
        return getattr(row, self.team_path.rsplit("__", 1)[-1])
