"""The audit: one row for each thing that somebody saw or did, each sealed with the one before."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEvent(models.Model):
    """One thing that happened.

    Rows are only ever added, by `core.audit.record`; `seal` binds a row to all before it.
    """

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(_("when"), db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("who"),
    )
    action = models.CharField(_("what"), max_length=40)
    object_type = models.CharField(_("kind"), max_length=40, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    patient_id = models.CharField(max_length=40, blank=True)
    team_id = models.CharField(max_length=40, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    seal = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["actor", "action", "object_type", "-number"], name="audit_actor"),
            models.Index(fields=["actor", "-number"], name="audit_person"),
            models.Index(fields=["object_type", "object_id", "-number"], name="audit_object"),
            models.Index(fields=["patient_id", "-number"], name="audit_patient"),
            models.Index(fields=["team_id", "-number"], name="audit_team"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


class AuditHead(models.Model):
    """How far the audit has come: one row, which whoever adds an event locks."""

    number = models.BigIntegerField(default=0)
    seal = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("end of the audit")
        verbose_name_plural = _("end of the audit")

    def __str__(self) -> str:
        return str(self.number)
