"""Patients, their identifiers, and the trail of merged duplicates."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.core.bases import Deletable, Identified, OfTeam, Versioned
from lucidray_clinic.core.identifiers import new_pseudonym


class Sex(models.TextChoices):
    """As DICOM's Patient's Sex, with "not known" instead of an empty value."""

    FEMALE = "F", _("Female")
    MALE = "M", _("Male")
    OTHER = "O", _("Other")
    UNKNOWN = "U", _("Not known")


class Patient(Identified, Versioned, Deletable, OfTeam):
    """A person whose films are read."""

    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="patients", verbose_name=_("team")
    )
    pseudonym = models.CharField(_("pseudonym"), max_length=9, default=new_pseudonym, unique=True)
    family_name = models.CharField(_("family name"), max_length=120)
    given_name = models.CharField(_("given name"), max_length=120, blank=True)
    birth_date = models.DateField(_("date of birth"), null=True, blank=True)
    sex = models.CharField(_("sex"), max_length=1, choices=Sex.choices, default=Sex.UNKNOWN)
    history = models.TextField(_("history"), blank=True)
    searchable = models.CharField(max_length=260, editable=False, db_index=True)
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    patient_path = "pk"
    view_permission = "patient.view"

    #: Counted where `patients.services.with_films` has done so.
    case_count: int
    last_case: datetime | None

    class Meta(OfTeam.Meta):
        verbose_name = _("patient")
        verbose_name_plural = _("patients")
        indexes = [
            models.Index(fields=["team", "family_name", "given_name"], name="patient_by_name"),
            models.Index(fields=["team", "-created_at"], name="patient_by_age"),
            models.Index(fields=["birth_date"], name="patient_by_birth"),
        ]

    def __str__(self) -> str:
        return self.pseudonym

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the name in the form that is searched for."""
        self.searchable = folded(f"{self.family_name} {self.given_name}")
        super().save(*args, **kwargs)

    @property
    def name(self) -> str:
        """Family name, given name."""
        return ", ".join(part for part in (self.family_name, self.given_name) if part)

    @property
    def age_years(self) -> int | None:
        """Whole years today; None without a date of birth."""
        if self.birth_date is None:
            return None
        today, born = timezone.localdate(), self.birth_date
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.pk


class Identifier(Identified):
    """A number by which some register knows a patient."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="identifiers")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    system = models.CharField(_("register"), max_length=60, default="PID", blank=True)
    value = models.CharField(_("number"), max_length=64)

    class Meta:
        verbose_name = _("identifier")
        verbose_name_plural = _("identifiers")
        ordering = ["system", "value"]
        constraints = [
            models.UniqueConstraint(fields=["team", "system", "value"], name="one_patient_each")
        ]

    def __str__(self) -> str:
        return self.system


class Merge(Identified):
    """That one patient turned out to be another: what was moved, by whom, when."""

    source = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="merges_from")
    target = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="merges_into")
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    moved = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return str(self.pk)


def folded(text: str) -> str:
    """Return a name as it is searched for: without accents, in lower case.

    Args:
        text: The name.

    >>> folded("Müller-Žižek")
    'muller-zizek'
    """
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split())
