"""Which state of the schema the database has, and the models as they were in that state.

A backup is written and read by the models of its own state, so that a newer version restores it.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

#: Tables that a fresh installation fills itself, or that are worth nothing elsewhere.
LEFT_OUT = frozenset({"contenttypes", "sessions", "axes", "admin", "auth"})

#: By app, the names of its migrations that are applied.
State = dict[str, list[str]]


def applied() -> State:
    """Return the migrations that are applied to the database."""
    found: State = {}
    for app, name in sorted(MigrationExecutor(connection).loader.applied_migrations):
        found.setdefault(app, []).append(name)
    return found


def unknown(state: State) -> list[str]:
    """Return the migrations of a state that this version does not know.

    Args:
        state: As of `applied`.
    """
    known = MigrationExecutor(connection).loader.disk_migrations
    return [
        f"{app}.{name}"
        for app, names in state.items()
        for name in names
        if (app, name) not in known
    ]


def models_at(state: State) -> list[type[Model]]:
    """Return the models whose rows are in a backup, as they were in a state.

    Args:
        state: As of `applied`.
    """
    loader = MigrationExecutor(connection).loader
    every = loader.project_state(_ends(state)).apps.get_models(include_auto_created=True)
    return [model for model in every if model._meta.app_label not in LEFT_OUT]


def go_to(state: State) -> None:
    """Bring an empty database to a state.

    Args:
        state: As of `applied`; all of it is known.
    """
    now = applied()
    for app, name in _ends(state):
        if now.get(app) != state[app]:
            call_command("migrate", app, name, verbosity=0)


def go_forward() -> None:
    """Bring the database to the state of this version."""
    call_command("migrate", verbosity=0)


def _ends(state: State) -> list[Any]:
    """Return the last migration of each app."""
    graph = MigrationExecutor(connection).loader.graph
    ends = []
    for app, names in state.items():
        nodes = [(app, name) for name in names if (app, name) in graph.nodes]
        inner = {parent.key for node in nodes for parent in graph.node_map[node].parents}
        ends += [node for node in nodes if node not in inner]
    return ends
