"""The app that takes care of models."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.core.panels import Panel, add_panel


class CareConfig(AppConfig):
    """The app that takes care of models."""

    name = "lucidray_clinic.care"
    label = "care"
    verbose_name = _("Care of models")

    def ready(self) -> None:
        """Add the queue of shadows, the daily watch, and the alert of the home page."""
        from lucidray_clinic.care import panels, shadowing, watching
        from lucidray_clinic.care.models import ShadowReading
        from lucidray_clinic.core.metrics import add_gauges
        from lucidray_clinic.core.work import Queue, add_queue

        add_panel(Panel(2, "drift", "care/panel_alerts.html", panels.alerts, 12))
        add_queue(Queue(80, "shadows", shadowing.work_once, ShadowReading))
        add_queue(Queue(90, "drift", watching.work_once, every_s=600))
        add_gauges("drift", watching.count_alerts)
