"""Cases, the clinic's unit of work, and the films in them."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.cases.remarks import told_remarks
from lucidray_clinic.core.bases import Deletable, Identified, OfTeam, Versioned
from lucidray_clinic.patients.models import Patient


class Urgency(models.IntegerChoices):
    """How soon a case is to be read."""

    EMERGENCY = 0, _("Emergency")
    URGENT = 1, _("Urgent")
    ROUTINE = 2, _("Routine")


class Status(models.TextChoices):
    """How far a case has come."""

    NEW = "new", _("New")
    READING = "reading", _("Being read")
    REPORTED = "reported", _("Reported")


class Case(Identified, Versioned, Deletable, OfTeam):
    """One examination of one patient, with its films."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="cases")
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="cases", verbose_name=_("patient")
    )
    title = models.CharField(_("title"), max_length=120, blank=True)
    question = models.TextField(_("clinical question"), blank=True)
    acquired_on = models.DateField(_("date of the film"), null=True, blank=True)
    urgency = models.PositiveSmallIntegerField(
        _("urgency"), choices=Urgency.choices, default=Urgency.ROUTINE
    )
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.NEW
    )
    read_first = models.BooleanField(
        _("read first, then reveal"),
        default=False,
        help_text=_("The model's calls stay hidden until the reader has written an own opinion."),
    )
    study_uid = models.CharField(max_length=64, blank=True, db_index=True)
    batch = models.UUIDField(null=True, blank=True, editable=False)
    accession = models.CharField(_("accession number"), max_length=64, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    patient_path = "patient_id"
    view_permission = "case.view"

    #: Its films, where `cases.services.with_films` has added them.
    films: list[Instance]

    class Meta(OfTeam.Meta):
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        indexes = [
            models.Index(fields=["team", "status", "urgency", "created_at"], name="case_worklist"),
            models.Index(fields=["team", "-created_at"], name="case_recent"),
            models.Index(
                fields=["-created_at"], condition=models.Q(deleted_at=None), name="case_latest"
            ),
            models.Index(fields=["team", "acquired_on"], name="case_by_film"),
            models.Index(fields=["team", "status", "-created_at"], name="case_by_status"),
            models.Index(fields=["team", "urgency", "-created_at"], name="case_by_urgency"),
            models.Index(
                fields=["team", "urgency", "created_at"],
                condition=models.Q(deleted_at=None) & ~models.Q(status=Status.REPORTED),
                name="case_waiting",
            ),
            models.Index(fields=["patient", "-acquired_on"], name="case_of_patient"),
        ]

    def __str__(self) -> str:
        return self.title or str(_("Chest film"))

    @property
    def shown_at(self) -> datetime:
        """When the film was taken; where nobody knows, when the case was opened."""
        if self.acquired_on is None:
            return self.created_at
        start = datetime.combine(self.acquired_on, time())
        return timezone.make_aware(start)

    @property
    def age_years(self) -> int | None:
        """The patient's age in whole years when the film was taken; None: not known."""
        born = self.patient.birth_date
        taken = self.acquired_on or timezone.localdate(self.created_at)
        if born is None:
            return None
        return int(taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day)))

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.patient_id


class Instance(Identified, Deletable, OfTeam):
    """One film: a file that was inspected and stored, and what it says of itself."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="instances")
    name = models.CharField(_("file"), max_length=200)
    media_type = models.CharField(max_length=40)
    size = models.BigIntegerField(_("size"))
    sha256 = models.CharField(max_length=64, db_index=True)
    pixels_sha256 = models.CharField(max_length=64, db_index=True)
    sop_uid = models.CharField(max_length=64, blank=True, db_index=True)
    series_uid = models.CharField(max_length=64, blank=True)
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    bits = models.PositiveSmallIntegerField(default=8)
    lossy = models.BooleanField(default=False)
    view_position = models.CharField(_("view"), max_length=4, blank=True)
    acquired_on = models.DateField(_("date"), null=True, blank=True)
    spacing_mm = models.JSONField(null=True, blank=True)
    remarks = models.JSONField(default=list, blank=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    team_path = "case__team_id"
    patient_path = "case__patient_id"
    view_permission = "case.view"

    class Meta(OfTeam.Meta):
        verbose_name = _("film")
        verbose_name_plural = _("films")
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(
                fields=["case", "view_position"],
                condition=models.Q(deleted_at=None),
                name="film_by_view",
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.case.patient_id

    @property
    def told_remarks(self) -> list[str]:
        """What the inspection remarked, for people to read."""
        return told_remarks(_list(self.remarks))

    def has_remark(self, code: str) -> bool:
        """Tell whether the inspection remarked something.

        Args:
            code: For example ``"lateral"``.
        """
        return any(remark.get("code") == code for remark in _list(self.remarks))


def _list(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else []
