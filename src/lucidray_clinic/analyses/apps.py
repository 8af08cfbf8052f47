"""The analyses app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.core.navigation import add_entry


class AnalysesConfig(AppConfig):
    """The analyses app."""

    name = "lucidray_clinic.analyses"
    label = "analyses"
    verbose_name = _("Analyses")

    def ready(self) -> None:
        """Add entries of the top bar, what cases tell of their readings, and the queue of runs."""
        from lucidray_clinic.analyses import operating, runs, telling
        from lucidray_clinic.analyses.models import InferenceRun
        from lucidray_clinic.cases.parts import add_case_part
        from lucidray_clinic.cases.sections import Section, add_section
        from lucidray_clinic.core.work import Queue, add_queue

        add_entry(50, _("Quick look"), "quick_look", "case.view")
        add_entry(80, _("Models"), "models", "case.view")
        add_case_part("revealed", telling.revealed_part)
        add_case_part("readings", telling.readings_part)
        add_case_part("findings", telling.findings_part)
        operating.add_all()
        add_queue(Queue(20, "readings", runs.work_once, InferenceRun))
        add_section(Section(10, "readings", "analyses/section.html", telling.section))
