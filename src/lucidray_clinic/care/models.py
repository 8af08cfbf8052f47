"""New models in the shadow of those in use, and what the watch for drift found."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses.models import ModelBundle
from lucidray_clinic.cases.models import Instance
from lucidray_clinic.core.bases import Identified, OfTeam
from lucidray_clinic.core.jobs import Job


class ShadowState(models.TextChoices):
    """What became of a shadow."""

    RUNNING = "running", _("In the shadow")
    STOPPED = "stopped", _("Stopped")
    PROMOTED = "promoted", _("Promoted")
    ROLLED_BACK = "rolled_back", _("Rolled back")


class Shadow(Identified):
    """A model that reads every new film beside the one in use, unseen by readers."""

    bundle = models.ForeignKey(ModelBundle, on_delete=models.PROTECT, related_name="shadows")
    beside = models.ForeignKey(ModelBundle, on_delete=models.PROTECT, related_name="shadowed_by")
    state = models.CharField(
        _("state"), max_length=12, choices=ShadowState.choices, default=ShadowState.RUNNING
    )
    films_since = models.DateTimeField(_("films since"))
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("shadow")
        verbose_name_plural = _("shadows")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["bundle"], condition=models.Q(state="running"), name="one_shadow_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.bundle} / {self.beside}"


class ShadowReading(Identified, Job, OfTeam):
    """What a model in a comparison says of a film; no reader is ever shown it."""

    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="shadow_readings")
    bundle = models.ForeignKey(
        ModelBundle, on_delete=models.PROTECT, related_name="shadow_readings"
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    image_sha256 = models.CharField(max_length=64, blank=True)
    pixels_sha256 = models.CharField(max_length=64, blank=True)
    refusal = models.JSONField(null=True, blank=True)
    findings = models.JSONField(default=list, blank=True)
    refer = models.BooleanField(null=True)

    patient_path = "instance__case__patient_id"
    view_permission = "team.manage"

    class Meta(OfTeam.Meta):
        verbose_name = _("shadow reading")
        verbose_name_plural = _("shadow readings")
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["instance", "bundle"], name="one_shadow_reading_each")
        ]
        indexes = [
            models.Index(fields=["state", "urgency", "created_at"], name="shadow_queue"),
            models.Index(fields=["bundle", "state"], name="shadow_of_model"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.instance.case.patient_id


class FilmStatistics(Identified, OfTeam):
    """How bright a film is, as it is displayed: numbers from 0 to 1."""

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, related_name="film_statistics"
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    mean = models.FloatField()
    spread = models.FloatField()
    dark = models.FloatField()
    bright = models.FloatField()

    patient_path = "instance__case__patient_id"

    class Meta(OfTeam.Meta):
        verbose_name = _("statistics of a film")
        verbose_name_plural = _("statistics of films")

    def __str__(self) -> str:
        return str(self.pk)


class Reference(Identified):
    """The window that an administrator has chosen to compare with; the latest counts."""

    bundle = models.ForeignKey(
        ModelBundle, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    start = models.DateTimeField()
    end = models.DateTimeField()
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("reference window")
        verbose_name_plural = _("reference windows")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} – {self.end:%Y-%m-%d}"


class DriftCheck(Identified):
    """One look of the watch: at what a model says, or without a model at the films themselves."""

    bundle = models.ForeignKey(
        ModelBundle, null=True, blank=True, on_delete=models.PROTECT, related_name="drift_checks"
    )
    reference_start = models.DateTimeField()
    reference_end = models.DateTimeField()
    current_start = models.DateTimeField()
    current_end = models.DateTimeField()
    measures = models.JSONField(default=list)

    class Meta:
        verbose_name = _("drift check")
        verbose_name_plural = _("drift checks")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["bundle", "-created_at"], name="drift_of_model")]

    def __str__(self) -> str:
        return str(self.pk)


class DriftAlert(Identified):
    """Something that has moved, until it is back."""

    bundle = models.ForeignKey(
        ModelBundle, null=True, blank=True, on_delete=models.PROTECT, related_name="drift_alerts"
    )
    kind = models.CharField(max_length=12)
    what = models.CharField(max_length=60, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("drift alert")
        verbose_name_plural = _("drift alerts")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["bundle", "kind", "what"],
                condition=models.Q(closed_at=None, bundle__isnull=False),
                name="one_open_alert_of_model",
            ),
            models.UniqueConstraint(
                fields=["kind", "what"],
                condition=models.Q(closed_at=None, bundle=None),
                name="one_open_alert_of_films",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.what}"
