"""``lucidray-clinic watch``: look for drift now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from lucidray_clinic.care import pictures, watching


class Command(BaseCommand):
    """Look for drift."""

    help = "Compare what models say, and how films look, with the reference window."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Look, and tell what has moved."""
        for check in watching.look():
            states = [one["state"] for one in check.measures]
            name = pictures.name_of(check.bundle)
            self.stdout.write(
                f"{name}: {states.count('moved')} moved, {states.count('ok')} in order, "
                f"{states.count('few')} with too few patients to tell"
            )
