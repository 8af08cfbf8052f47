"""Opening the reading room on one machine: database, first person, server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucidray_clinic.accounts.models import User


@dataclass(frozen=True)
class Opened:
    """A reading room that is ready to be served.

    Args:
        address: Where a browser finds it.
        sign_in: Address that signs in once; empty where people sign in by name.
        run: Serves until the process is stopped.
    """

    address: str
    sign_in: str
    run: Callable[[], None]


def open_room(
    home: Path, host: str, port: int, *, demo: bool, link: bool, node: bool = False
) -> Opened:
    """Prepare a reading room in a data folder, made if it is not there.

    Args:
        home: The data folder.
        host: Address to listen on.
        port: Port to listen on.
        demo: Fill an empty room with invented patients.
        link: Make a one-time sign-in even where people have passwords.
        node: Listen for films by DICOM, too.

    Returns:
        What to print, and how to serve.
    """
    _set_up(home, host, demo=demo)
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("sweep", verbosity=0)
    user = _first_person(demo=demo)
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host  # noqa: S104
    address = f"http://{shown}:{port}/"
    fresh = demo or link or not user.has_usable_password()
    serve = _server(settings, host, port)
    return Opened(address, address + _link(user) if fresh else "", _with_workers(serve, node))


def _with_workers(serve: Callable[[], None], node: bool) -> Callable[[], None]:
    """Return what serves, and beside it does the jobs and listens, in threads of this process."""

    def run() -> None:
        from django.conf import settings

        from lucidray_clinic.core.work import Worker
        from lucidray_clinic.pacs.node import Room

        if settings.NODE.embedded:
            Worker().run_aside()
        if node:
            Room().run_aside()
        serve()

    return run


def _set_up(home: Path, host: str, *, demo: bool) -> None:
    os.environ["LUCIDRAY_HOME"] = str(home)
    os.environ["LUCIDRAY_DEMO"] = "1" if demo else os.environ.get("LUCIDRAY_DEMO", "0")
    if host not in ("127.0.0.1", "localhost") and "LUCIDRAY_HOSTS" not in os.environ:
        os.environ["LUCIDRAY_HOSTS"] = f"localhost,127.0.0.1,[::1],{host}"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lucidray_clinic.settings")
    import django

    django.setup()


def _first_person(*, demo: bool) -> User:
    from lucidray_clinic.accounts.models import User
    from lucidray_clinic.accounts.services import make_first_administrator
    from lucidray_clinic.demo import make_demo

    if demo:
        return make_demo()
    return User.objects.order_by("date_joined").first() or make_first_administrator()


def _link(user: User) -> str:
    from lucidray_clinic.accounts.services import make_one_time_link

    return f"sign-in/{make_one_time_link(user)}/"


def _server(settings: Any, host: str, port: int) -> Callable[[], None]:
    from waitress.server import create_server

    from lucidray_clinic.wsgi import application

    server = create_server(
        application,
        host=host,
        port=port,
        threads=8,
        max_request_body_size=settings.MAX_FILE_BYTES + 2**20,
        ident="",
        clear_untrusted_proxy_headers=not settings.PROXIES,
    )
    run: Callable[[], None] = server.run
    return run
