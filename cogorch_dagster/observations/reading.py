"""Looking at stored observations: the newest ones, or one with all that is known about it."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.catalogue import Dataset
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.identity import hour_of
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import lake_hours
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

# So many hours are read at once on the way back in time.
STEP_HOURS = 24
OUTCOMES = ("success", "failure", "timeout", "cancelled", "pending")


def latest(
    settings: Settings,
    *,
    component: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """The newest stored observations that match, newest first.

    Raises:
        InvalidInput: no such outcome.
    """
    if outcome is not None and outcome not in OUTCOMES:
        raise InvalidInput(f"outcome {outcome!r} is none of {', '.join(OUTCOMES)}")
    wanted = {"component = ?": component, "outcome = ?": outcome, "occurred_at >= ?": since}
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = " AND ".join(["true", *given])
    with transaction(settings) as connection:
        entries = catalogue.entries(connection, "observations", since)[::-1]
    rows: list[dict[str, Any]] = []
    with query.connected(settings) as duckdb:
        for start in range(0, len(entries), STEP_HOURS):
            relation = query.scan(settings, entries[start : start + STEP_HOURS])
            text = f"SELECT * FROM {relation} WHERE {where} ORDER BY occurred_at DESC, observation_id LIMIT ?"  # noqa: S608
            rows += _rows(duckdb, text, [*given.values(), limit - len(rows)])
            if len(rows) == limit:
                break
    return rows


def one(settings: Settings, observation_id: str) -> dict[str, Any]:
    """An observation with its feedback and its reward (None when it is not scored).

    Raises:
        InvalidInput: the id is not one of an observation, or nothing is stored under it.
    """
    try:
        hour = hour_of(uuid.UUID(observation_id))
    except ValueError as error:
        raise InvalidInput(f"{observation_id!r} is not the id of an observation: {error}") from error
    found: dict[Dataset, list[dict[str, Any]]] = {}
    with transaction(settings) as connection, query.connected(settings) as duckdb:
        datasets: tuple[Dataset, ...] = ("observations", "feedback", "rewards")
        for dataset in datasets:
            entry = catalogue.entry(connection, dataset, hour)
            if entry is None:
                found[dataset] = []
                continue
            text = f"SELECT * FROM {query.scan(settings, [entry])} WHERE observation_id = ?"  # noqa: S608
            found[dataset] = _rows(duckdb, text, [observation_id.lower()])
    if not found["observations"]:
        raise InvalidInput(
            f"no observation {observation_id} is stored in the hour {hour:%Y-%m-%dT%H} that its id names"
        )
    return {
        "observation": found["observations"][0],
        "feedback": found["feedback"],
        "reward": next(iter(found["rewards"]), None),
    }


def count(connection: sa.Connection) -> tuple[int, int]:
    """How many observations are stored, and how many rows still wait in the inbox."""
    total = sa.select(sa.func.coalesce(sa.func.sum(lake_hours.c.rows), 0)).where(lake_hours.c.dataset == "observations")
    return int(connection.execute(total).scalar_one()), inbox.depth(connection)


def _rows(connection: "duckdb.DuckDBPyConnection", text: str, values: list[object]) -> list[dict[str, Any]]:
    result = connection.execute(text, values)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
