"""``lucidray-clinic work``: do the jobs that wait, until stopped."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from lucidray_clinic.core.work import Worker


class Command(BaseCommand):
    """Do jobs, the most urgent first; several may work side by side."""

    help = "Read films, file what the DICOM node took and send results, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--once", action="store_true", help="Stop when nothing waits.")
        parser.add_argument("--pause", type=float, default=2.0, help="Seconds between looks.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Work."""
        worker = Worker()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run(pause=options["pause"], once=options["once"])
        self.stdout.write(f"{worker.done} jobs done or tried.")
