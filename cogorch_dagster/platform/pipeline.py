"""Several statements by one round trip, in their order: the pipeline mode of libpq, which SQLAlchemy does not offer.

For where locks are held and somebody waits. Each statement sees what those before it wrote and, after a lock, what
its last holder committed, just as if each had been sent by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.rows import dict_row

_SAVEPOINT = sa.text("SAVEPOINT cogorch_pipeline")
_UNDO = sa.text("ROLLBACK TO SAVEPOINT cogorch_pipeline")

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """A statement and its parameters.

    Attributes:
        statement: made once for the process, as it is compiled once; what differs is bound.
        values: of its `bindparam`s, as psycopg takes them.
    """

    statement: sa.Executable
    values: Mapping[str, Any] = field(default_factory=dict)


def run(connection: sa.Connection, steps: Sequence[Step]) -> list[Rows]:
    """Execute the steps; the rows of each by the names of their columns, none where a statement returns none.

    Raises:
        sqlalchemy.exc.DBAPIError: a statement failed, and no later one was executed.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(f"pipelines need psycopg, not {type(raw).__name__}")
    texts = [_text(each.statement, connection.dialect) for each in steps]
    try:
        with raw.pipeline():
            cursors = [
                raw.cursor(row_factory=dict_row).execute(text, {**constants, **step.values})
                for (text, constants), step in zip(texts, steps, strict=True)
            ]
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]
    except psycopg.Error as error:
        lost = raw.closed
        if lost:
            connection.invalidate(error)
        # As SQLAlchemy itself would raise it: whoever catches its errors need not know how a statement was sent.
        raise sa.exc.DBAPIError.instance(
            None, None, error, psycopg.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error


def atomically(connection: sa.Connection, steps: Sequence[Step]) -> list[Rows]:
    """`run`, but where a statement fails nothing is written, and the caller's transaction can go on."""
    try:
        return run(connection, [Step(_SAVEPOINT), *steps])[1:]
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            connection.execute(_UNDO)
        raise


@lru_cache(maxsize=256)
def _text(statement: sa.Executable, dialect: sa.Dialect) -> tuple[str, dict[str, Any]]:
    """A statement for psycopg, and the parameters that it brings with it."""
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    return str(compiled), {name: value for name, value in compiled.params.items() if value is not None}
