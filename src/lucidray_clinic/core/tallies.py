"""Counts that the database keeps by itself, in the transaction of what is counted.

On PostgreSQL each statement that changes the counted table adds the difference to a table of
tallies: rows are only added, so that no two writers wait for each other, and the sum of a
group is its count at any moment. Whoever reads many makes one row of each group again. The table
is the database's own: no model, no part of a backup. SQLite, which is for a few people, counts the
rows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, migrations

#: Rows of a tally above which whoever reads it folds it.
PARTS = 2000

_TABLE = """
CREATE TABLE "{tally}" AS
SELECT {columns}, count(*)::integer AS number FROM "{table}" WHERE {condition} GROUP BY {columns};
CREATE INDEX "{tally}_by_team" ON "{tally}"({columns})
"""
_FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM "{tally}";
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO "{tally}"({columns}, number)
    SELECT {columns}, count(*) FROM fresh WHERE {condition} GROUP BY {columns};
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO "{tally}"({columns}, number)
    SELECT {columns}, -count(*) FROM gone WHERE {condition} GROUP BY {columns};
  ELSE
    INSERT INTO "{tally}"({columns}, number)
    SELECT {columns}, sum(n) FROM (
      SELECT {columns}, 1 AS n FROM fresh WHERE {condition}
      UNION ALL SELECT {columns}, -1 FROM gone WHERE {condition}) AS change
    GROUP BY {columns} HAVING sum(n) <> 0;
  END IF;
  RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER {name}_{event} AFTER {event} ON "{table}" {rows}
FOR EACH STATEMENT EXECUTE FUNCTION {name}()
"""
_ROWS = {
    "INSERT": "REFERENCING NEW TABLE AS fresh",
    "DELETE": "REFERENCING OLD TABLE AS gone",
    "UPDATE": "REFERENCING NEW TABLE AS fresh OLD TABLE AS gone",
    "TRUNCATE": "",
}
_SUMS = """
SELECT {kinds}, sum(number), count(*) FROM "{tally}" WHERE team_id = ANY(%s) GROUP BY {kinds}
"""
_FOLD = """
WITH gone AS (DELETE FROM "{tally}" RETURNING {columns}, number)
INSERT INTO "{tally}"({columns}, number)
SELECT {columns}, sum(number) FROM gone GROUP BY {columns} HAVING sum(number) <> 0
"""


@dataclass(frozen=True)
class Tally:
    """Counts of the rows of a table by team and kind.

    Args:
        table: What is counted; it has a column ``team_id``.
        kinds: Columns that rows of a team are grouped by.
        condition: SQL that tells which rows count.
    """

    table: str
    kinds: tuple[str, ...]
    condition: str

    def keep(self) -> migrations.RunPython:
        """Return the operation of a migration after which PostgreSQL keeps this tally."""

        def start(_: Any, editor: Any) -> None:
            if editor.connection.vendor == "postgresql":
                editor.execute(_TABLE.format(**self._names()), params=None)
                editor.execute(_FUNCTION.format(**self._names()), params=None)
                for event, rows in _ROWS.items():
                    trigger = _TRIGGER.format(event=event, rows=rows, **self._names())
                    editor.execute(trigger, params=None)

        def stop(_: Any, editor: Any) -> None:
            if editor.connection.vendor == "postgresql":
                editor.execute(f"DROP FUNCTION {self.table}_tally() CASCADE", params=None)
                editor.execute(f'DROP TABLE "{self.table}_tallies"', params=None)

        return migrations.RunPython(start, stop)

    def counted(self, teams: Sequence[UUID], most: int = PARTS) -> dict[tuple[Any, ...], int]:
        """Return how many rows of each kind there are at this moment.

        Args:
            teams: Whose rows count.
            most: Rows of the tally above which they are folded: made one of each group, in one
                statement, so that no sum ever differs.

        Returns:
            By the values of `kinds`.
        """
        with connection.cursor() as cursor:
            cursor.execute(_SUMS.format(**self._names()), [list(teams)])
            rows = cursor.fetchall()
            if sum(row[-1] for row in rows) > most:
                cursor.execute(_FOLD.format(**self._names()))
        return {tuple(row[:-2]): int(row[-2]) for row in rows}

    def _names(self) -> dict[str, str]:
        return {
            "name": f"{self.table}_tally",
            "table": self.table,
            "tally": f"{self.table}_tallies",
            "kinds": ", ".join(self.kinds),
            "columns": ", ".join(("team_id", *self.kinds)),
            "condition": self.condition,
        }


def is_kept() -> bool:
    """Tell whether the database in use keeps tallies."""
    return connection.vendor == "postgresql"
