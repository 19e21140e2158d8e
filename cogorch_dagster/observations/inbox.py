"""The inbox of live observations and feedback: rows wait in PostgreSQL until a drain moves them to the lake.

A commit of the inbox is the acknowledgement; a drain reads, writes files, names them and deletes the rows in one
transaction, so that each row is in the inbox or in the lake, never in both or in neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
import sqlalchemy as sa

from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations import identity
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA, Feedback, Observation
from cogorch_dagster.observations.storing import MAX_HOURS, Stored, store_feedback, store_observations
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings

MAX_BATCH_BYTES = 256 * 1024 * 1024

# One JSON document instead of arrays: psycopg escapes an array of JSON texts character by character, six times slower.
_ENQUEUE = sa.text("""
    INSERT INTO inbox_observations (source, source_id, occurred_at, payload)
    SELECT r ->> 'source', r ->> 'source_id', CAST(r ->> 'occurred_at' AS timestamptz), r
    FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS r
    ON CONFLICT DO NOTHING
""")
_ENQUEUE_FEEDBACK = sa.text("""
    INSERT INTO inbox_feedback (observation_id, metric, value, occurred_at)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:metrics AS text[]),
                         CAST(:values AS double precision[]), CAST(:times AS timestamptz[]))
    ON CONFLICT DO NOTHING
""")
_WAITING = sa.text("""
    SELECT seq, CAST(payload AS text), CAST(extract(epoch FROM received_at) * 1000000 AS bigint)
    FROM inbox_observations ORDER BY seq LIMIT :limit
""")
_WAITING_FEEDBACK = sa.text("""
    SELECT seq, CAST(observation_id AS text), metric, value, occurred_at, received_at
    FROM inbox_feedback ORDER BY seq LIMIT :limit
""")
# The first 48 bits of a UUIDv7 are its milliseconds; servers before 18 have no function for them.
_PENDING_HOURS = sa.text("""
    SELECT DISTINCT date_trunc('hour', occurred_at, 'UTC') FROM inbox_observations
    UNION
    SELECT DISTINCT date_trunc('hour', to_timestamp(CAST(CAST('x' || hex AS bit(48)) AS bigint) / 1000.0), 'UTC')
    FROM (SELECT left(replace(CAST(observation_id AS text), '-', ''), 12) AS hex FROM inbox_feedback) AS ids
    ORDER BY 1
""")


@dataclass(frozen=True)
class Enqueued:
    """How many rows the inbox took, and how many it already held."""

    added: int
    duplicates: int


@dataclass(frozen=True)
class Drained:
    """What one drain moved to the lake: rows of both kinds, and the hours whose rewards are now stale.

    `duplicates`, `sampled_out` and `expired` count rows that left the inbox and are not stored.
    """

    observations: int
    feedback: int
    hours: list[datetime]
    duplicates: int = 0
    sampled_out: int = 0
    expired: int = 0

    @property
    def taken(self) -> int:
        """Rows that left the inbox; 0 when it was empty."""
        return self.observations + self.feedback + self.duplicates + self.sampled_out + self.expired


def enqueue(connection: sa.Connection, observations: Sequence[Observation]) -> Enqueued:
    """Put observations into the inbox in one statement; they are accepted once the caller's transaction commits.

    A row whose (source, source_id) waits already is a duplicate. One that a drain has moved on since is found by the
    next drain.
    """
    if not observations:
        return Enqueued(0, 0)
    # In order of the key, so that two batches which share rows wait for each other instead of deadlocking.
    ordered = sorted(observations, key=lambda row: (row.source, row.source_id))
    result = connection.execute(_ENQUEUE, {"rows": orjson.dumps([_payload(row) for row in ordered]).decode()})
    return Enqueued(result.rowcount, len(ordered) - result.rowcount)


def enqueue_feedback(connection: sa.Connection, rows: Sequence[Feedback]) -> Enqueued:
    """Put feedback into the inbox in one statement; its observation may arrive later or be long stored."""
    if not rows:
        return Enqueued(0, 0)
    ordered = sorted(rows, key=lambda row: (row.observation_id, row.metric, row.occurred_at))
    result = connection.execute(
        _ENQUEUE_FEEDBACK,
        {
            "ids": [row.observation_id for row in ordered],
            "metrics": [row.metric for row in ordered],
            "values": [row.value for row in ordered],
            "times": [row.occurred_at for row in ordered],
        },
    )
    return Enqueued(result.rowcount, len(ordered) - result.rowcount)


def drain(settings: Settings, max_rows: int = 200_000) -> Drained:
    """Move the oldest rows of the inbox to the lake, each exactly once.

    Drains wait for each other. One that is killed before its commit leaves the inbox as it was.

    Args:
        max_rows: at most so many observations and so many feedback records; also bounded to 256 MiB and 1,000 hours.
    """
    with database.transaction(settings) as connection:
        database.lock(connection, "inbox", "drain")
        observations = _drain_observations(connection, settings, max_rows)
        feedback = _drain_feedback(connection, settings, max_rows)
    return Drained(
        observations=observations.added,
        feedback=feedback.added,
        hours=sorted({*observations.hours, *feedback.hours}),
        duplicates=observations.duplicates + feedback.duplicates,
        sampled_out=observations.sampled_out,
        expired=observations.expired + feedback.expired,
    )


def pending_hours(connection: sa.Connection) -> list[datetime]:
    """The hours, in order, that the rows of the inbox belong to."""
    return [floor_hour(hour) for hour in connection.execute(_PENDING_HOURS).scalars()]


def depth(connection: sa.Connection) -> int:
    """How many rows of both kinds wait."""
    query = "SELECT (SELECT count(*) FROM inbox_observations) + (SELECT count(*) FROM inbox_feedback)"
    return int(connection.execute(sa.text(query)).scalar_one())


def parsed(payloads: Sequence[str], received: Sequence[int]) -> pa.Table:
    """Rows of the inbox in the columns of the lake; `received` are the times of receipt, microseconds since 1970."""
    if not payloads:
        return OBSERVATION_SCHEMA.empty_table()
    table = pa_json.read_json(
        pa.BufferReader("\n".join(payloads).encode()),
        read_options=pa_json.ReadOptions(block_size=16 * 1024 * 1024, use_threads=False),
        parse_options=pa_json.ParseOptions(explicit_schema=OBSERVATION_SCHEMA, unexpected_field_behavior="error"),
    )
    column = table.schema.get_field_index("ingested_at")
    times = pa.array(received, type=pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(column, OBSERVATION_SCHEMA.field("ingested_at"), times)


def _payload(row: Observation) -> dict[str, Any]:
    return {name: value for name, value in row.__dict__.items() if value is not None}


def _drain_observations(connection: sa.Connection, settings: Settings, max_rows: int) -> Stored:
    seqs, payloads, received = _take_waiting(connection, max_rows)
    if not seqs:
        return _NOTHING
    table = parsed(payloads, received)
    kept = _first_hours(pc.floor_temporal(table["occurred_at"], unit="hour").to_pylist())
    stored = store_observations(connection, settings, table.take(pa.array(kept)))
    _delete(connection, "inbox_observations", [seqs[row] for row in kept])
    return stored


def _take_waiting(connection: sa.Connection, max_rows: int) -> tuple[list[int], list[str], list[int]]:
    """Sequence numbers, payloads and times of receipt of the oldest rows, up to `MAX_BATCH_BYTES`."""
    seqs: list[int] = []
    payloads: list[str] = []
    received: list[int] = []
    size = 0
    rows = connection.execute(_WAITING.execution_options(stream_results=True, yield_per=5000), {"limit": max_rows})
    for seq, payload, moment in rows:
        seqs.append(seq)
        payloads.append(payload)
        received.append(moment)
        size += len(payload)
        if size >= MAX_BATCH_BYTES:
            break
    rows.close()
    return seqs, payloads, received


def _drain_feedback(connection: sa.Connection, settings: Settings, max_rows: int) -> Stored:
    rows: list[Any] = list(connection.execute(_WAITING_FEEDBACK, {"limit": max_rows}))
    kept = [rows[row] for row in _first_hours([identity.hour_of(row[1]) for row in rows])]
    if not kept:
        return _NOTHING
    columns = list(zip(*kept, strict=True))[1:]
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, FEEDBACK_SCHEMA, strict=True)]
    stored = store_feedback(connection, settings, pa.Table.from_arrays(arrays, schema=FEEDBACK_SCHEMA))
    _delete(connection, "inbox_feedback", [row[0] for row in kept])
    return stored


def _first_hours(hours: Sequence[datetime]) -> list[int]:
    """The positions of the rows whose hours are among the first `MAX_HOURS` to appear."""
    chosen: set[datetime] = set()
    positions = []
    for position, hour in enumerate(hours):
        if hour in chosen or len(chosen) < MAX_HOURS:
            chosen.add(hour)
            positions.append(position)
    return positions


def _delete(connection: sa.Connection, table: str, seqs: list[int]) -> None:
    connection.execute(
        sa.text(f"DELETE FROM {table} WHERE seq = ANY(CAST(:seqs AS bigint[]))"),  # noqa: S608
        {"seqs": seqs},
    )


_NOTHING = Stored(added=0, duplicates=0, sampled_out=0, expired=0, hours=(), by_outcome={})
