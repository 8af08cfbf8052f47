"""The core app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from lucidray_clinic.core.navigation import add_entry


class CoreConfig(AppConfig):
    """The core app."""

    name = "lucidray_clinic.core"
    label = "core"
    verbose_name = _("Core")

    def ready(self) -> None:
        """Add the entry of the top bar, and what a machine may ask after."""
        from lucidray_clinic.core import health

        add_entry(10, _("Home"), "home")
        health.add_probe("database", health.database)
        health.add_probe("storage", health.storage)
