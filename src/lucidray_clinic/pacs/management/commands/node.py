"""``lucidray-clinic node``: the DICOM node, until stopped."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lucidray.errors import LucidRayError
from lucidray_clinic.pacs.node import Room


class Command(BaseCommand):
    """Take films by C-STORE from the peers of the PACS page; `work` files and reads them."""

    help = "Take films by C-STORE from the peers of the PACS page, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Listen."""
        room = Room()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: room.stop())
        try:
            room.run()
        except LucidRayError as error:
            raise CommandError(str(error)) from error
