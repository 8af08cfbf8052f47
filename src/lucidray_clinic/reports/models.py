"""Reports and their addenda."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses.models import Reading
from lucidray_clinic.cases.models import Case
from lucidray_clinic.core.bases import Identified, OfTeam, Versioned


class Certainty(models.TextChoices):
    """How sure the reader is of a finding."""

    PRESENT = "present", _("Present")
    PROBABLE = "probable", _("Probable")
    POSSIBLE = "possible", _("Possible")
    ABSENT = "absent", _("Absent")


class Report(Identified, Versioned, OfTeam):
    """The report of a case, or an addendum to it; once signed, the database refuses changes."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    addendum_to = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="addenda"
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    findings = models.JSONField(default=list, blank=True)
    comparison = models.TextField(_("comparison"), blank=True)
    impression = models.TextField(_("impression"), blank=True)
    reading = models.ForeignKey(
        Reading, null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    key_images = models.JSONField(default=list, blank=True)
    content = models.JSONField(null=True, blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    signed_at = models.DateTimeField(_("signed"), null=True, blank=True, editable=False)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    team_path = "case__team_id"
    patient_path = "case__patient_id"
    view_permission = "report.view"

    class Meta(OfTeam.Meta):
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["case"], condition=models.Q(addendum_to=None), name="one_report_each"
            )
        ]
        indexes = [models.Index(fields=["signed_at"], name="report_by_time")]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_signed(self) -> bool:
        """Whether it can no longer be changed."""
        return self.signed_at is not None

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        row: Any = self
        return row.case.patient_id


class Reported(Identified):
    """One finding of a signed report, in a row of its own, so that the database can count them."""

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="reported")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reported")
    finding = models.CharField(_("finding"), max_length=60)
    certainty = models.CharField(_("certainty"), max_length=8, choices=Certainty.choices)
    signed_at = models.DateTimeField(_("signed"), default=timezone.now)

    class Meta:
        verbose_name = _("reported finding")
        verbose_name_plural = _("reported findings")
        indexes = [
            models.Index(fields=["case", "finding"], name="reported_of_case"),
            models.Index(fields=["finding", "certainty", "case"], name="reported_by_finding"),
            models.Index(
                fields=["team", "signed_at", "finding", "certainty", "case"],
                name="all_reported_by_time",
            ),
        ]

    def __str__(self) -> str:
        return str(self.finding)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the case's team."""
        if self.team_id is None:
            self.team_id = self.case.team_id
        super().save(*args, **kwargs)
