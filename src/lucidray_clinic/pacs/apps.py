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
        """Add the queues of what comes and goes."""
        from lucidray_clinic.core.work import Queue, add_queue, later
        from lucidray_clinic.pacs.models import Arrival, Delivery

        here = "lucidray_clinic.pacs"
        add_queue(Queue(10, "arrivals", later(f"{here}.taking.take_once"), Arrival))
        add_queue(Queue(30, "answers", later(f"{here}.answering.answer_once")))
        add_queue(Queue(40, "deliveries", later(f"{here}.sending.send_once"), Delivery))
        add_queue(Queue(90, "spool", later(f"{here}.receiving.sweep"), every_s=600))
