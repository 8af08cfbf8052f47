"""The pacs app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PacsConfig(AppConfig):
    """The pacs app."""

    name = "lucidray_clinic.pacs"
    label = "pacs"
    verbose_name = _("PACS")

    def ready(self) -> None:
        """Add the queues of what comes and goes, and what other pages tell of it."""
        from lucidray_clinic.cases.sections import Section, add_section
        from lucidray_clinic.core.navigation import add_entry
        from lucidray_clinic.core.panels import Panel, add_panel
        from lucidray_clinic.core.work import Queue, add_queue, later
        from lucidray_clinic.pacs import panels
        from lucidray_clinic.pacs.models import Arrival, Delivery, StudyImport

        here = "lucidray_clinic.pacs"
        add_queue(Queue(5, "imports", later(f"{here}.fetching.fetch_once"), StudyImport))
        add_queue(Queue(10, "arrivals", later(f"{here}.taking.take_once"), Arrival))
        add_queue(Queue(30, "answers", later(f"{here}.answering.answer_once")))
        add_queue(Queue(40, "deliveries", later(f"{here}.sending.send_once"), Delivery))
        add_queue(Queue(90, "spool", later(f"{here}.receiving.sweep"), every_s=600))
        add_entry(85, _("PACS"), "pacs", "case.upload")
        add_panel(Panel(2, "PACS", "pacs/panel_alerts.html", panels.alerts, 12))
        add_section(Section(40, "pacs", "pacs/section.html", panels.of_case))
        add_section(
            Section(40, "pacs report", "pacs/report_section.html", panels.of_report, "report")
        )
