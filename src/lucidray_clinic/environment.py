"""What an installation of the reading room sets from outside: ``LUCIDRAY_…`` variables.

Everything has a default that suits one machine: a data folder with SQLite and local files.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lucidray_clinic.errors import SetupError

#: The roles that `accounts.roles` tells more of; named here because settings come first.
ROLES = ("administrator", "clinician", "reader", "researcher")

_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class Environment:
    """The variables of one installation.

    Args:
        home: Folder of the database, the films, the keys and the logs.
        database_url: ``postgresql://user:password@host:port/name``; empty: SQLite in `home`.
        hosts: Host names that requests may name.
        origins: Origins such as ``https://room.example`` that forms may be sent from.
        https: Whether browsers reach the site by HTTPS; then cookies are secure and HTTP redirects.
        proxies: How many reverse proxies stand in front; 0: their headers are ignored.
        debug: Developers only.
        sign_up: Whether people may ask for an account; an administrator approves it.
        demo: Whether the page says that patients are invented.
        database_password: Where it does not stand in `database_url`.
        second_factor: Roles whose members must have a second factor.
        metrics_token: What whoever asks for ``/metrics`` must know; empty: there are none.
        scanner: A command that scans the file that is added to it as its last word; empty: none.
        json_logs: Whether a line of the log is one JSON object, with a line for every request.
    """

    home: Path
    database_url: str
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    https: bool
    proxies: int
    debug: bool
    sign_up: bool
    demo: bool
    database_password: str = ""
    second_factor: tuple[str, ...] = ()
    metrics_token: str = ""
    json_logs: bool = False
    scanner: tuple[str, ...] = ()

    def database(self) -> dict[str, Any]:
        """Return Django's description of the database."""
        if not self.database_url:
            return sqlite(self.home)
        described = postgresql(self.database_url)
        return described | {"PASSWORD": described["PASSWORD"] or self.database_password}

    def folder(self, name: str) -> Path:
        """Return a folder of the data folder, made if it is not there.

        Args:
            name: Its name.
        """
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def key(self, name: str) -> str:
        """Return a secret of this installation, made when it is first needed.

        Args:
            name: What it is for; the variable ``LUCIDRAY_<NAME>_KEY``, or a file that
                ``LUCIDRAY_<NAME>_KEY_FILE`` names, goes before the file in the data folder.
        """
        told = _secret(os.environ, f"LUCIDRAY_{name.upper()}_KEY")
        return told or key_file(self.home / "keys", name)


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the variables of this installation.

    Args:
        variables: The process's own, unless a test brings others.

    Raises:
        SetupError: A variable says something that is not understood.
    """
    home = variables.get("LUCIDRAY_HOME") or "~/.local/share/lucidray"
    return Environment(
        home=Path(home).expanduser().resolve(),
        database_url=variables.get("LUCIDRAY_DATABASE", ""),
        database_password=_secret(variables, "LUCIDRAY_DATABASE_PASSWORD"),
        hosts=_words(variables.get("LUCIDRAY_HOSTS", "localhost,127.0.0.1,[::1]")),
        origins=_words(variables.get("LUCIDRAY_ORIGINS", "")),
        https=_flag(variables, "LUCIDRAY_HTTPS"),
        proxies=_count(variables, "LUCIDRAY_PROXIES"),
        debug=_flag(variables, "LUCIDRAY_DEBUG"),
        sign_up=_flag(variables, "LUCIDRAY_SIGN_UP"),
        demo=_flag(variables, "LUCIDRAY_DEMO"),
        second_factor=_roles(variables),
        metrics_token=_secret(variables, "LUCIDRAY_METRICS_TOKEN"),
        json_logs=_choice(variables, "LUCIDRAY_LOGS", ("line", "json")) == "json",
        scanner=_command(variables, "LUCIDRAY_SCANNER"),
    )


def sqlite(home: Path) -> dict[str, Any]:
    """Describe the embedded database: readers never wait, a writer waits for its turn.

    Args:
        home: The data folder.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": home / "lucidray.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def postgresql(url: str) -> dict[str, Any]:
    """Describe a PostgreSQL database.

    Args:
        url: ``postgresql://user:password@host:port/name``.

    Raises:
        SetupError: It is not such an address.

    >>> postgresql("postgresql://reader@db.example/room")["HOST"]
    'db.example'
    """
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in ("postgres", "postgresql") or not name:
        raise SetupError(
            "LUCIDRAY_DATABASE is not understood; expected postgresql://user:password@host:port/"
            "name, or nothing for SQLite in the data folder."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def key_file(folder: Path, name: str) -> str:
    """Return the secret in a file that only its owner reads, made if it is not there.

    Args:
        folder: Where keys lie.
        name: The file's name.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="ascii")


def _secret(variables: Mapping[str, str], name: str) -> str:
    """Return a secret, or what stands in the file that ``<name>_FILE`` names, as containers do."""
    path = variables.get(f"{name}_FILE", "")
    if variables.get(name) or not path:
        return variables.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SetupError(f"{name}_FILE names a file that cannot be read.") from error


def _roles(variables: Mapping[str, str]) -> tuple[str, ...]:
    roles = _words(variables.get("LUCIDRAY_SECOND_FACTOR", ""))
    for role in roles:
        if role not in ROLES:
            raise SetupError(
                f"LUCIDRAY_SECOND_FACTOR names {role!r}; expected roles out of {', '.join(ROLES)}."
            )
    return roles


def _command(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Split a command as a shell would; no shell ever sees it."""
    try:
        return tuple(shlex.split(variables.get(name, "")))
    except ValueError as error:
        raise SetupError(f"{name} is not understood: a quotation mark is not closed.") from error


def _choice(variables: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = variables.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise SetupError(f"{name} is {text!r}; expected {' or '.join(choices)}.")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _flag(variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name, "").strip().lower()
    if text not in _YES | _NO:
        raise SetupError(f"{name} is {text!r}; expected 1 or 0.")
    return text in _YES


def _count(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "0").strip()
    if not text.isdigit() or int(text) > 9:
        raise SetupError(f"{name} is {text!r}; expected how many proxies stand in front, 0 to 9.")
    return int(text)
