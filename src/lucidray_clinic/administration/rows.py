"""Rows of all models as lines of JSON, and back, on SQLite or PostgreSQL alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model

from lucidray_clinic.administration import schema
from lucidray_clinic.errors import SiteError

#: Rows that are in memory at once.
BATCH = 500


class ExactTimes(DjangoJSONEncoder):
    """Django's JSON, with the microseconds that it leaves out and that seals are made of."""

    def default(self, value: Any) -> Any:
        """Return a value as JSON can hold it."""
        return value.isoformat() if isinstance(value, datetime) else super().default(value)


@contextmanager
def one_moment() -> Iterator[None]:
    """See the database as it is now, whatever others write, without keeping them from it."""
    here: Any = connection  # only SQLite's has a mode
    outermost, mode = not connection.in_atomic_block, getattr(connection, "transaction_mode", None)
    if connection.vendor == "sqlite":
        here.transaction_mode = "DEFERRED"
    try:
        with transaction.atomic():
            if outermost and connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    finally:
        here.transaction_mode = mode


def write(model: type[Model], file: IO[str]) -> int:
    """Write all rows of a model.

    Args:
        model: The model.
        file: A line each.

    Returns:
        How many.
    """
    rows = model._base_manager.order_by("pk")
    serializers.serialize("jsonl", rows.iterator(BATCH), stream=file, cls=ExactTimes)
    return rows.count()


def load(folder: Path, counts: dict[str, int], kept: list[type[Model]]) -> None:
    """Load the rows of every model, in the place of those that are there.

    Args:
        folder: With a file ``label.jsonl`` of each model, as `write` wrote it.
        counts: How many rows of each there must be.
        kept: The models, in their order.

    Raises:
        SiteError: Not all of them came back.
    """
    for model in kept:
        model._base_manager.all().delete()  # what the migrations of a fresh installation made
    for model in kept:
        path = folder / f"{model._meta.label_lower}.jsonl"
        if path.exists():
            with path.open(encoding="utf-8") as file:
                _insert(model, file)
    _reset_sequences(kept)
    if count(kept) != counts:
        raise SiteError("Not all rows came back. Nothing was restored.", "rows")


def _insert(model: type[Model], lines: Iterable[str]) -> None:
    rows = (_row(model, json.loads(line)) for line in lines if line.strip())
    while batch := list(islice(rows, BATCH)):
        model._base_manager.bulk_create(batch)


def _row(model: type[Model], told: dict[str, Any]) -> Model:
    """Build a row from what Django's serializer wrote of it."""
    values = {"pk": model._meta.pk.to_python(told["pk"])}
    for name, value in told["fields"].items():
        field: Any = model._meta.get_field(name)
        if field.many_to_many:
            continue  # rows of their own
        source = field.target_field if field.is_relation else field
        values[field.attname] = None if value is None else source.to_python(value)
    return model(**values)


def _reset_sequences(models: list[type[Model]]) -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


def count(models: list[type[Model]] | None = None) -> dict[str, int]:
    """Return how many rows of each model there are.

    Args:
        models: The models; None: all that a backup holds.
    """
    kept = schema.models_at(schema.applied()) if models is None else models
    return {model._meta.label_lower: model._base_manager.count() for model in kept}
