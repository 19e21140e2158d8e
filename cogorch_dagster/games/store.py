"""Where coordinated steps are kept: the table `coordinations`, whose rows never change."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.games.coordination_result import CoordinationResult
from cogorch_dagster.platform.tables import coordinations as table


@dataclass(frozen=True)
class StoredCoordination:
    """A coordinated step as it is kept.

    Attributes:
        digest: `sha256:` and the hash of the document.
        created_at: when it was saved, UTC.
        run_id: of the run that saved it, if one did.
        result: as `CoordinationResult.document` gave it.
    """

    digest: str
    created_at: datetime
    run_id: str | None
    result: dict[str, Any]


def save(connection: sa.Connection, results: Iterable[CoordinationResult], run_id: str | None = None) -> int:
    """Keep coordinated steps; returns how many were not there yet."""
    rows = [{"digest": each.digest, "run_id": run_id, "result": each.document()} for each in results]
    if not rows:
        return 0
    saved = connection.execute(insert(table).values(rows).on_conflict_do_nothing().returning(table.c.digest))
    return len(saved.all())


def get(connection: sa.Connection, digest: str) -> StoredCoordination:
    """The coordinated step with this digest; raises Refused(`unknown_coordination`) when there is none."""
    row = connection.execute(sa.select(table).where(table.c.digest == digest)).one_or_none()
    if row is None:
        raise Refused("unknown_coordination", f"there is no coordination {digest}; the listing shows those there are")
    return _stored(row)


def listing(connection: sa.Connection, *, run_id: str | None = None, limit: int = 100) -> list[StoredCoordination]:
    """Coordinated steps, those saved last first; of all runs or of one.

    Raises:
        InvalidInput: `limit` is less than 1.
    """
    if limit < 1:
        raise InvalidInput(f"limit is {limit}; it must be 1 or more")
    query = sa.select(table).order_by(table.c.created_at.desc(), table.c.digest).limit(limit)
    if run_id is not None:
        query = query.where(table.c.run_id == run_id)
    return [_stored(row) for row in connection.execute(query)]


def _stored(row: sa.Row[Any]) -> StoredCoordination:
    return StoredCoordination(row.digest, row.created_at.astimezone(UTC), row.run_id, row.result)
