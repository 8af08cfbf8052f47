"""``lucidray-clinic retention``: what is old enough to go."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lucidray_clinic.accounts.models import User
from lucidray_clinic.administration import retention
from lucidray_clinic.errors import SiteError


class Command(BaseCommand):
    """Tell what is old enough to go, or let two administrators carry it out."""

    help = "Tell what is old enough to go; with --apply FIRST SECOND, carry it out."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the rules."""
        parser.add_argument("--case-years", type=int, help="hide cases older than this")
        parser.add_argument("--deleted-days", type=int, help="destroy what was hidden before")
        parser.add_argument(
            "--apply",
            nargs=2,
            metavar=("FIRST", "SECOND"),
            help="user names of two administrators who stand for it",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Tell, or do."""
        found = retention.due(options["case_years"], options["deleted_days"])
        self.stdout.write(f"{len(found.to_delete)} cases are old enough to be hidden")
        self.stdout.write(f"{len(found.to_destroy)} records were hidden long enough to destroy")
        if not options["apply"]:
            self.stdout.write("Nothing was changed: this was a dry run.")
            return
        try:
            people = [User.objects.get(username=name) for name in options["apply"]]
        except User.DoesNotExist as error:
            raise CommandError("There is nobody of such a user name.") from error
        try:
            rows = retention.carry_out(found, *people)
        except SiteError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{rows} rows were destroyed")
