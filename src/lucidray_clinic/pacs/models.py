"""Archives and modalities, where films of theirs go, and what came and went."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.accounts.models import Team
from lucidray_clinic.analyses.models import InferenceRun, ModelBundle, Reading
from lucidray_clinic.cases.models import Instance, Urgency
from lucidray_clinic.core.bases import Identified, OfTeam
from lucidray_clinic.core.jobs import Job
from lucidray_clinic.reports.models import Report

_TITLE = RegexValidator(r"^[A-Za-z0-9_.\-]{1,16}$", _("1 to 16 letters, digits, _ . or -."))


class Way(models.TextChoices):
    """How results reach a peer."""

    NONE = "", _("Not at all")
    STORE = "store", _("C-STORE")
    WEB = "web", _("DICOMweb (STOW-RS)")


class Peer(Identified):
    """An archive or a modality: who may send, and where results go. Of the installation."""

    name = models.CharField(_("name"), max_length=80)
    ae_title = models.CharField(_("AE title"), max_length=16, unique=True, validators=[_TITLE])
    may_send = models.BooleanField(_("may send films to us"), default=True)
    addresses = models.CharField(
        _("from these addresses only"),
        max_length=300,
        blank=True,
        help_text=_("IP addresses, separated by commas; empty: from any."),
    )
    way = models.CharField(
        _("results go there by"), max_length=8, choices=Way.choices, default=Way.NONE, blank=True
    )
    host = models.CharField(_("host"), max_length=200, blank=True)
    port = models.PositiveIntegerField(
        _("port"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
    )
    tls = models.BooleanField(_("TLS"), default=False)
    web_url = models.CharField(
        _("DICOMweb address"),
        max_length=300,
        blank=True,
        help_text=_("For example https://pacs.example.org/dicom-web; studies are fetched there."),
    )
    web_user = models.CharField(_("DICOMweb user"), max_length=80, blank=True)
    web_secret = models.TextField(blank=True, editable=False)
    active = models.BooleanField(_("in use"), default=True)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    quiet_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("peer")
        verbose_name_plural = _("peers")
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def known_addresses(self) -> frozenset[str]:
        """Where it may call from; empty: anywhere."""
        return frozenset(part.strip() for part in self.addresses.split(",") if part.strip())


class Answer(models.TextChoices):
    """Who gets the result."""

    SENDER = "sender", _("Whoever sent the film")
    PEER = "peer", _("The archive below")
    NOBODY = "nobody", _("Nobody")


class Rule(Identified):
    """Where films go that are like this; the first rule that fits holds."""

    order = models.PositiveSmallIntegerField(_("order"), default=100)
    name = models.CharField(_("name"), max_length=80)
    peer = models.ForeignKey(
        Peer, null=True, blank=True, on_delete=models.CASCADE, related_name="rules"
    )
    modality = models.CharField(_("modality"), max_length=16, blank=True)
    body_part = models.CharField(_("body part"), max_length=16, blank=True)
    view = models.CharField(_("view"), max_length=4, blank=True)
    station = models.CharField(_("station"), max_length=16, blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="rules")
    urgency = models.PositiveSmallIntegerField(
        _("urgency"), choices=Urgency.choices, default=Urgency.ROUTINE
    )
    bundle = models.ForeignKey(
        ModelBundle, null=True, blank=True, on_delete=models.PROTECT, related_name="rules"
    )
    answer = models.CharField(
        _("result goes to"), max_length=8, choices=Answer.choices, default=Answer.SENDER
    )
    answer_to = models.ForeignKey(
        Peer, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    pictures = models.BooleanField(
        _("with pictures of the heat maps"),
        default=False,
        help_text=_("Secondary captures, for viewers that show nothing else."),
    )
    active = models.BooleanField(_("in use"), default=True)

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["order", "created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def owning_team_id(self) -> UUID:
        """The team's id."""
        return self.team_id


class StudyImport(Identified, Job, OfTeam):
    """A study that somebody fetches from an archive."""

    peer = models.ForeignKey(Peer, on_delete=models.PROTECT, related_name="imports")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    study_uid = models.CharField(max_length=64)
    total = models.PositiveIntegerField(default=0)
    fetched = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    view_permission = "case.upload"

    class Meta(OfTeam.Meta):
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "urgency", "created_at"], name="import_queue")]

    def __str__(self) -> str:
        return str(self.pk)


class Outcome(models.TextChoices):
    """What became of an object that came."""

    PENDING = "", _("Not looked at yet")
    FILED = "filed", _("Filed")
    REFUSED = "refused", _("Refused")


class Answering(models.TextChoices):
    """How far the result of an object that came is on its way."""

    NONE = "", _("None asked for")
    PENDING = "pending", _("Waits for the reading")
    MADE = "made", _("On its way")
    FAILED = "failed", _("There is no reading")


class Arrival(Identified, Job, OfTeam):
    """An object that came and was acknowledged: it lies on disk until it is filed or refused."""

    peer = models.ForeignKey(Peer, null=True, on_delete=models.PROTECT, related_name="arrivals")
    fetch = models.ForeignKey(
        StudyImport, null=True, blank=True, on_delete=models.SET_NULL, related_name="arrivals"
    )
    sha256 = models.CharField(max_length=64)
    sop_uid = models.CharField(max_length=64)
    size = models.BigIntegerField()
    path = models.CharField(max_length=300)
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    facts = models.JSONField(default=dict, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default="", blank=True)
    told = models.CharField(max_length=300, blank=True)
    code = models.CharField(max_length=40, blank=True)
    rule = models.ForeignKey(
        Rule, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    instance = models.ForeignKey(
        Instance, null=True, blank=True, on_delete=models.PROTECT, related_name="arrivals"
    )
    run = models.ForeignKey(
        InferenceRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="arrivals"
    )
    answering = models.CharField(max_length=8, choices=Answering.choices, default="", blank=True)
    answer_to = models.ForeignKey(
        Peer, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    pictures = models.BooleanField(default=False)
    seen_at = models.DateTimeField(null=True, blank=True)

    patient_path = "instance__case__patient_id"
    view_permission = "case.upload"

    class Meta(OfTeam.Meta):
        verbose_name = _("arrival")
        verbose_name_plural = _("arrivals")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["sha256", "peer"], name="one_arrival_each")]
        indexes = [
            models.Index(fields=["state", "urgency", "created_at"], name="arrival_queue"),
            models.Index(fields=["answering", "created_at"], name="arrival_answer"),
            models.Index(fields=["team", "-created_at"], name="arrival_of_team"),
            models.Index(fields=["outcome", "-created_at"], name="arrival_outcome"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID | None:
        """The patient, for the audit; None before the film is filed."""
        film: Any = self.instance
        return film.case.patient_id if film is not None else None


class Delivery(Identified, Job, OfTeam):
    """A result on its way to a peer: of a reading, or of a signed report."""

    peer = models.ForeignKey(Peer, on_delete=models.PROTECT, related_name="deliveries")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="deliveries")
    reading = models.ForeignKey(
        Reading, null=True, blank=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    report = models.ForeignKey(
        Report, null=True, blank=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    pictures = models.BooleanField(default=False)
    software = models.CharField(max_length=40)
    objects_sent = models.JSONField(default=list, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    patient_path = "instance__case__patient_id"
    view_permission = "case.view"

    class Meta(OfTeam.Meta):
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["reading", "peer"], condition=Q(report=None), name="one_delivery_each"
            ),
            models.UniqueConstraint(fields=["report", "peer"], name="one_report_delivery_each"),
        ]
        indexes = [
            models.Index(fields=["state", "urgency", "created_at"], name="delivery_queue"),
            models.Index(fields=["team", "-created_at"], name="delivery_of_team"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def audited_patient_id(self) -> UUID:
        """The patient, for the audit."""
        row: Any = self
        return row.instance.case.patient_id
