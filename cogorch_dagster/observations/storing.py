"""The one way into the lake for observations and feedback, inside a transaction of the caller.

Lock the hours in order, leave out what is already there, write the files, name them in the catalogue. A process that
is killed in between leaves only files that nothing names; the next run does the same work again.

An hour that has a rollup but no observations was dropped by `retention`. Such an hour is closed: what still arrives
for it is counted as expired, because a rollup made of latecomers alone would overwrite the true one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from cogorch_dagster.lake import catalogue, files, query
from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations import identity, sampling
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA
from cogorch_dagster.settings import Settings

# PostgreSQL holds a lock for each hour until the commit; its table of locks has room for some 6,000.
MAX_HOURS = 1000
# A drain every few seconds would leave hundreds of files an hour: at so many they are merged, unless they are large.
MAX_FILES = 24
MERGED_ROWS = 1_000_000

_KEYS = {"observations": ("source", "source_id"), "feedback": ("observation_id", "metric", "occurred_at")}


@dataclass(frozen=True)
class Stored:
    """What one call did with its rows; the counts sum to the rows that it was given."""

    added: int
    duplicates: int
    sampled_out: int
    expired: int
    hours: tuple[datetime, ...]
    by_outcome: dict[str, int]


def store_observations(connection: sa.Connection, settings: Settings, table: pa.Table) -> Stored:
    """Store new observations, each in its own hour.

    Args:
        table: `OBSERVATION_SCHEMA` with `ingested_at` filled in, over at most `MAX_HOURS` hours.
    """
    hours = pc.floor_temporal(table["occurred_at"], unit="hour")
    return _store(connection, settings, "observations", table.cast(OBSERVATION_SCHEMA), hours)


def store_feedback(connection: sa.Connection, settings: Settings, table: pa.Table) -> Stored:
    """Store new feedback, each record in the hour of the observation that it judges.

    Args:
        table: `FEEDBACK_SCHEMA` with `ingested_at` filled in, over at most `MAX_HOURS` hours.
    """
    moments = [identity.hour_of(observation_id) for observation_id in table["observation_id"].to_pylist()]
    hours = pa.chunked_array([pa.array(moments, type=pa.timestamp("us", tz="UTC"))])
    return _store(connection, settings, "feedback", table.cast(FEEDBACK_SCHEMA), hours)


def _store(
    connection: sa.Connection,
    settings: Settings,
    dataset: Literal["observations", "feedback"],
    table: pa.Table,
    hours: pa.ChunkedArray,
) -> Stored:
    touched = _distinct(hours)
    if len(touched) > MAX_HOURS:
        raise ValueError(f"{len(touched)} hours in one transaction; the bound is {MAX_HOURS}")
    for hour in touched:
        catalogue.lock_hour(connection, dataset, hour)
    present = catalogue.entries_of(connection, dataset, touched)
    closed = _closed_hours(connection, touched)
    table = table.append_column("hour", hours)
    rows = table.num_rows
    if closed:
        is_closed = pc.is_in(table["hour"], value_set=pa.array(sorted(closed), type=table["hour"].type))
        table = table.filter(pc.invert(is_closed))
    expired = rows - table.num_rows
    fresh = _without_duplicates(settings, table, _KEYS[dataset], present)
    duplicates = table.num_rows - fresh.num_rows
    kept = sampling.sample(fresh, settings.success_sample_rate) if dataset == "observations" else fresh
    written = _write(connection, settings, dataset, kept, present)
    return Stored(
        added=kept.num_rows,
        duplicates=duplicates,
        sampled_out=fresh.num_rows - kept.num_rows,
        expired=expired,
        hours=tuple(written),
        by_outcome=_counts(kept["outcome"]) if dataset == "observations" else {},
    )


def _without_duplicates(
    settings: Settings, table: pa.Table, key: Sequence[str], present: Sequence[catalogue.HourEntry]
) -> pa.Table:
    """The first row of each key that the present files do not hold."""
    batch = table.select(list(key)).append_column("row", pa.array(range(table.num_rows), type=pa.int64()))
    columns = ", ".join(key)
    known = query.scan(settings, present, batch.schema)
    with query.connected(settings) as duck:
        duck.register("batch", batch)
        fresh = duck.sql(
            f"SELECT min(row) AS row FROM batch ANTI JOIN (SELECT {columns} FROM {known}) USING ({columns})"  # noqa: S608
            f" GROUP BY {columns} ORDER BY 1"
        ).to_arrow_table()
    return table.take(fresh["row"])


def _write(
    connection: sa.Connection,
    settings: Settings,
    dataset: Literal["observations", "feedback"],
    table: pa.Table,
    present: Sequence[catalogue.HourEntry],
) -> list[datetime]:
    """Write one file per hour, then name them all in the catalogue."""
    table = table.sort_by([("hour", "ascending"), ("occurred_at", "ascending")]).combine_chunks()
    counts = _counts(table["hour"])
    crowded = {entry.hour: entry for entry in present if len(entry.files) >= MAX_FILES and entry.rows <= MERGED_ROWS}
    written = []
    start = 0
    for moment in sorted(counts):
        hour = floor_hour(moment)
        part = table.slice(start, counts[moment]).drop_columns("hour")
        start += counts[moment]
        if hour in crowded:
            part = _merged(settings, crowded[hour], part)
        written.append((hour, files.write(settings, dataset, hour, part), part.num_rows))
    for hour, file, rows in written:
        if hour in crowded:
            catalogue.replace_hour(connection, dataset, hour, [file], rows, None)
        else:
            catalogue.append_files(connection, dataset, hour, [file], rows)
    return [hour for hour, _, _ in written]


def _merged(settings: Settings, entry: catalogue.HourEntry, part: pa.Table) -> pa.Table:
    """What the hour holds and what is new, in order of time."""
    with query.connected(settings) as duck:
        before = duck.sql(f"FROM {query.scan(settings, [entry])}").to_arrow_table().cast(part.schema)
    return pa.concat_tables([before, part]).sort_by("occurred_at")


def _closed_hours(connection: sa.Connection, hours: Sequence[datetime]) -> set[datetime]:
    rolled_up = {entry.hour for entry in catalogue.entries_of(connection, "rollups", hours)}
    return rolled_up - {entry.hour for entry in catalogue.entries_of(connection, "observations", hours)}


def _distinct(hours: pa.ChunkedArray) -> list[datetime]:
    return sorted(floor_hour(hour) for hour in hours.unique().to_pylist())


def _counts(column: pa.ChunkedArray) -> dict[Any, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(column).to_pylist()}
