"""``lucidray-clinic sign_in_link [NAME]``: a link that signs somebody in once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lucidray_clinic.accounts.models import User
from lucidray_clinic.accounts.services import (
    forget_second_factor,
    make_first_administrator,
    make_one_time_link,
)


class Command(BaseCommand):
    """Print the path of a link that signs somebody in once, within half an hour."""

    help = "Print a path that signs somebody in once, within half an hour."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name."""
        parser.add_argument(
            "username", nargs="?", help="left out: of the administrator whom an empty room is given"
        )

        parser.add_argument(
            "--forget-second-factor",
            action="store_true",
            help="where it was lost: sign in without it, and set up another",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Print."""
        name = options["username"]
        if name is None and not User.objects.exists():
            user: User | None = make_first_administrator()
        else:
            user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise CommandError("nobody active has this user name" if name else "give a user name")
        if options["forget_second_factor"]:
            forget_second_factor(user, None)
        self.stdout.write(f"/sign-in/{make_one_time_link(user)}/")
