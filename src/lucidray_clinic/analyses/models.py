"""Installed bundles, readings that are never overwritten, and the runs that make them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.cases.models import Case, Instance
from lucidray_clinic.core.bases import Identified, OfTeam
from lucidray_clinic.core.jobs import Job, JobState

#: Whole years at the time of the film, both ends included.
CHILDREN, ADULTS = (0, 17), (18, 150)


class ModelBundle(Identified):
    """A bundle on this installation's shelf; its file is known by its digest."""

    digest = models.CharField(_("digest"), max_length=64, unique=True)
    sha256 = models.CharField(_("hash of the file"), max_length=64)
    name = models.CharField(_("name"), max_length=80)
    title = models.CharField(_("summary"), max_length=300)
    task = models.CharField(_("task"), max_length=20)
    experimental = models.BooleanField(_("experimental"), default=False)
    shipped = models.BooleanField(_("came with LucidRay"), default=False)
    size = models.BigIntegerField(_("size"))
    card = models.JSONField()
    installed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    retired_at = models.DateTimeField(_("retired"), null=True, blank=True)
    retired_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ["name", "-created_at"]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def version(self) -> str:
        """The first digits of the digest, by which people tell versions apart."""
        return str(self.digest)[:8]

    @property
    def findings(self) -> list[str]:
        """What it judges."""
        return [each["name"] for each in self.card["findings"]]

    @property
    def thresholds(self) -> dict[str, float]:
        """Probability at and above which a finding counts as present."""
        points: dict[str, Any] = self.card["operating_points"]
        return {name: point["threshold"] for name, point in points.items()}

    @property
    def ages_years(self) -> tuple[int, int] | None:
        """Ages of those whose films it is for, as its card says; None: it does not say."""
        told = str(self.card["intended_use"]).lower()
        children, adults = "children" in told, "adults" in told
        if children == adults:
            return None
        return CHILDREN if children else ADULTS

    def trust(self, finding: str) -> str:
        """How far its maps of a finding can be trusted, as the card says; empty: not measured.

        Args:
            finding: The finding.
        """
        return str(self.card.get("explanation_verdicts", {}).get(finding, ""))


class Engine(models.TextChoices):
    """Where a reading was made."""

    BROWSER = "browser", _("In the browser")
    SERVER = "server", _("On the server")


class Reading(Identified, OfTeam):
    """What a bundle said of a film: made once, never changed; the database sees to that."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="readings")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="readings")
    bundle = models.ForeignKey(ModelBundle, on_delete=models.PROTECT, related_name="readings")
    engine = models.CharField(_("made"), max_length=8, choices=Engine.choices)
    engine_version = models.CharField(max_length=80, blank=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    image_sha256 = models.CharField(max_length=64)
    pixels_sha256 = models.CharField(max_length=64, blank=True)
    refusal = models.JSONField(null=True, blank=True)
    findings = models.JSONField(default=list, blank=True)
    refer = models.BooleanField(null=True)
    self_test = models.JSONField(default=dict, blank=True)
    maps = models.BinaryField(null=True, blank=True, editable=False)
    map_facts = models.JSONField(default=dict, blank=True)

    patient_path = "case__patient_id"
    view_permission = "case.view"

    class Meta(OfTeam.Meta):
        verbose_name = _("reading")
        verbose_name_plural = _("readings")
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["instance", "bundle"], name="reading_of_film"),
            models.Index(fields=["team", "created_at"], name="reading_of_team"),
            models.Index(fields=["case", "created_at"], name="reading_of_case"),
            models.Index(
                fields=["case", "team"],
                condition=models.Q(refusal__isnull=False),
                name="reading_refused",
            ),
            models.Index(
                fields=["case", "team"],
                condition=models.Q(refusal__isnull=True, refer=True),
                name="reading_referred",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the film's case and team, which queries ask for."""
        if self.case_id is None:
            self.case = self.instance.case
        if self.team_id is None:
            self.team_id = self.case.team_id
        super().save(*args, **kwargs)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.case.patient_id

    @property
    def reliable(self) -> bool:
        """Whether it is a result: neither refused nor handed to a person."""
        return self.refusal is None and not self.refer

    def said(self, finding: str) -> dict[str, Any] | None:
        """What was said of one finding; None: it was not judged.

        Args:
            finding: The finding.
        """
        return next((each for each in self.findings if each["name"] == finding), None)


class Called(Identified):
    """One call of a reading, in a row of its own, so that the database can count calls."""

    reading = models.ForeignKey(Reading, on_delete=models.CASCADE, related_name="calls")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    finding = models.CharField(_("finding"), max_length=60)
    probability = models.FloatField(_("probability"))
    positive = models.BooleanField(_("present"), null=True)
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        constraints = [models.UniqueConstraint(fields=["reading", "finding"], name="one_call_each")]
        indexes = [
            models.Index(fields=["case", "finding"], name="call_of_case"),
            models.Index(fields=["finding", "positive", "case"], name="call_by_finding"),
            models.Index(
                fields=["team", "positive", "made_at", "finding", "case"], name="calls_by_time"
            ),
            models.Index(
                fields=["finding", "positive", "team", "made_at", "case"], name="calls_of_finding"
            ),
        ]

    def __str__(self) -> str:
        return str(self.finding)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the reading's team."""
        if self.team_id is None:
            self.team_id = self.reading.team_id
        super().save(*args, **kwargs)


class FirstOpinion(Identified, OfTeam):
    """What somebody thought before the model's calls were revealed; it cannot be changed."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="first_opinions")
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="first_opinions"
    )
    findings = models.JSONField(default=list, blank=True)
    seconds = models.PositiveIntegerField(null=True, blank=True)

    team_path = "case__team_id"
    patient_path = "case__patient_id"

    class Meta(OfTeam.Meta):
        verbose_name = _("first opinion")
        verbose_name_plural = _("first opinions")
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["case", "reader"], name="one_first_opinion_each")
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.case.patient_id


#: How far a run has come.
RunState = JobState


class InferenceRun(Identified, Job, OfTeam):
    """A film that is to be read by a bundle on the server: asked for once, done once.

    Whoever works on it holds a lease; where that ends without a result, another takes it up.
    """

    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="runs")
    bundle = models.ForeignKey(ModelBundle, on_delete=models.PROTECT, related_name="runs")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    reading = models.OneToOneField(
        Reading, null=True, blank=True, on_delete=models.SET_NULL, related_name="run"
    )

    team_path = "instance__case__team_id"
    patient_path = "instance__case__patient_id"

    class Meta(OfTeam.Meta):
        verbose_name = _("inference run")
        verbose_name_plural = _("inference runs")
        ordering = ["urgency", "created_at"]
        constraints = [models.UniqueConstraint(fields=["instance", "bundle"], name="one_run_each")]
        indexes = [models.Index(fields=["state", "urgency", "created_at"], name="run_queue")]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        return self.instance.case.patient_id
