# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""The passes over a chunk of hours that turn observations into rewards and rewards into rollups, as new files.

Nothing here touches the catalogue: a pass returns what its caller may commit.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from cogorch_dagster.lake import files, query
from cogorch_dagster.lake.catalogue import Dataset, HourWrite
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA
from cogorch_dagster.rewards import staleness
from cogorch_dagster.rewards.configuration import RewardConfigs
from cogorch_dagster.rewards.rollups import rollups_query
from cogorch_dagster.rewards.schema import KEYS, REWARD_SCHEMA, ROLLUP_SCHEMA
from cogorch_dagster.rewards.scoring import MICROSECONDS_PER_HOUR, hour_number, rewards_query
from cogorch_dagster.rewards.staleness import Hour
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Hours with up to this many rows share one pass whose result is held in memory; a larger hour streams by itself.
SMALL_ROWS = 200_000
# A rollup is small whatever it is made of, so that many more rows share its pass.
ROLLUP_ROWS = 5_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def score(
    settings: Settings, duckdb: "duckdb.DuckDBPyConnection", chunk: Sequence[Hour], configs: RewardConfigs
) -> list[HourWrite]:
    """Write the rewards of a chunk: several hours of at most `SMALL_ROWS` observations together, or one of any size."""
    observations = query.scan(settings, [hour.observations for hour in chunk], OBSERVATION_SCHEMA)
    judged = [hour.feedback for hour in chunk if hour.feedback is not None]
    feedback = query.scan(settings, judged, FEEDBACK_SCHEMA) if judged else None
    components = _components(duckdb, observations)
    resolved = {pair: configs.resolve(*pair) for found in components.values() for pair in found}
    written: Mapping[datetime, tuple[str, int]] = {}
    if resolved:
        sql = rewards_query(observations, feedback, resolved)
        if sum(hour.observations.rows for hour in chunk) > SMALL_ROWS:
            written = _stream(settings, duckdb, sql, chunk[0].hour)
        else:
            table = query.table(duckdb, sql).cast(REWARD_SCHEMA)
            written = _write_by_hour(settings, "rewards", table, ["occurred_at"])
    writes = []
    for hour in chunk:
        inputs = staleness.rewards_inputs(hour, components.get(hour.hour, ()), configs)
        writes.append(_write_of(hour.hour, written, inputs))
    return writes


def roll_up(settings: Settings, duckdb: "duckdb.DuckDBPyConnection", chunk: Sequence[Hour]) -> list[HourWrite]:
    """Write the rollups of a chunk of hours, each of which has rewards."""
    rewards = query.scan(settings, [hour.rewards for hour in chunk if hour.rewards is not None], REWARD_SCHEMA)
    observations = query.scan(settings, [hour.observations for hour in chunk], OBSERVATION_SCHEMA)
    table = query.table(duckdb, rollups_query(rewards, observations)).cast(ROLLUP_SCHEMA)
    written = _write_by_hour(settings, "rollups", table, ["hour", *KEYS])
    return [_write_of(hour.hour, written, staleness.rollup_inputs(hour)) for hour in chunk]


def _components(duckdb: "duckdb.DuckDBPyConnection", observations: str) -> dict[datetime, list[tuple[str, str]]]:
    """The (component, component_kind) pairs of each hour."""
    found: dict[datetime, list[tuple[str, str]]] = {}
    rows = duckdb.execute(
        f"SELECT DISTINCT {hour_number('occurred_at')}, component, component_kind FROM {observations}"
    ).fetchall()
    for number, component, kind in rows:
        found.setdefault(_EPOCH + timedelta(hours=number), []).append((component, kind))
    return found


def _stream(
    settings: Settings, duckdb: "duckdb.DuckDBPyConnection", sql: str, hour: datetime
) -> dict[datetime, tuple[str, int]]:
    """Run a rewards query from file to file; the result of one hour is never held in memory."""
    path = files.reserve(settings, "rewards", hour)
    target = query.quote(files.urls(settings, [path])[0])
    counted = duckdb.execute(f"COPY ({sql}) TO {target} (FORMAT parquet, COMPRESSION {files.COMPRESSION})").fetchone()
    files.settle(settings, path)
    return {hour: (path, int(counted[0]) if counted else 0)}


def _write_by_hour(
    settings: Settings, dataset: Dataset, table: "pa.Table", order: Sequence[str]
) -> dict[datetime, tuple[str, int]]:
    """Write one file for each hour that occurs in the first column of `order`, its rows in that order."""
    import numpy as np
    import pyarrow as pa

    table = table.sort_by([(name, "ascending") for name in order])
    numbers = table.column(order[0]).cast(pa.int64()).to_numpy() // MICROSECONDS_PER_HOUR
    ends = np.flatnonzero(np.diff(numbers, append=-1)) + 1
    written = {}
    for start, end in pairwise([0, *ends.tolist()]):
        hour = _EPOCH + timedelta(hours=int(numbers[start]))
        written[hour] = (files.write(settings, dataset, hour, table.slice(start, end - start)), end - start)
    return written


def _write_of(hour: datetime, written: Mapping[datetime, tuple[str, int]], inputs: str) -> HourWrite:
    if hour not in written:
        return HourWrite(hour, (), 0, inputs)
    path, rows = written[hour]
    return HourWrite(hour, (path,), rows, inputs)
