"""Computes the rewards and rollups of hours, and says which hours need it.

Each chunk of hours is written as files first and then named in one transaction of the catalogue. A process that dies
in between leaves the hours as they were, still stale; two processes at once do the work twice and end the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.catalogue import Dataset, HourWrite
from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards import hourly, staleness
from cogorch_dagster.rewards.configuration import RewardConfigs, active_configurations
from cogorch_dagster.rewards.staleness import Hour
from cogorch_dagster.settings import Settings

# A pass takes this many hours at most: each is a file, and a row in the transaction that ends the pass.
MOST_HOURS = 400
# As many passes run at once at most: each holds up to `hourly.SMALL_ROWS` rewards in memory.
MOST_PASSES = 4


@dataclass(frozen=True)
class Materialised:
    """What a call has done: the hours it computed, the rows they now have, and the hours that it left alone.

    `current` were computed from the same inputs before; `skipped` have no observations, or, for rollups, no rewards.
    """

    hours: tuple[datetime, ...]
    rows: int
    current: tuple[datetime, ...]
    skipped: tuple[datetime, ...]


def stale_hours(settings: Settings, since: datetime | None = None) -> list[datetime]:
    """The hours whose rewards or rollup differ from what their present inputs would give, in order of time.

    An hour whose observations retention has dropped is never stale: what was derived from them stays.
    """
    hours, configs = _present(settings, since=since)
    return [
        hour.hour
        for hour in hours
        if not (staleness.rewards_are_current(hour, configs) and staleness.rollup_is_current(hour))
    ]


def materialise_rewards(settings: Settings, hours: Iterable[datetime], *, force: bool = False) -> Materialised:
    """Score the observations of these hours under the active reward configurations.

    Args:
        force: compute hours that are current, too.
    """
    asked = sorted({floor_hour(hour) for hour in hours})
    present, configs = _present(settings, among=asked)
    stale = [hour for hour in present if force or not staleness.rewards_are_current(hour, configs)]
    with query.connected(settings) as duckdb, _pool(settings) as pool:
        duckdb.execute("SET preserve_insertion_order = false")  # Keeping it would hold back what runs ahead.
        passes = pool.map(
            lambda chunk: hourly.score(settings, duckdb.cursor(), chunk, configs), _chunks(stale, hourly.SMALL_ROWS)
        )
        rows = sum(_commit(settings, "rewards", writes, force=force) for writes in passes)
    return _report(asked, present, stale, rows)


def materialise_rollups(settings: Settings, hours: Iterable[datetime], *, force: bool = False) -> Materialised:
    """Roll up these hours from their rewards and observations.

    An hour without rewards is skipped, as is one whose observations retention has dropped: its rollup stays.

    Args:
        force: compute hours that are current, too.
    """
    asked = sorted({floor_hour(hour) for hour in hours})
    present, _ = _present(settings, among=asked)
    ready = [hour for hour in present if hour.rewards is not None]
    stale = [hour for hour in ready if force or not staleness.rollup_is_current(hour)]
    rows = 0
    with query.connected(settings) as duckdb:
        for chunk in _chunks(stale, hourly.ROLLUP_ROWS):
            writes = hourly.roll_up(settings, duckdb, chunk)
            rows += _commit(settings, "rollups", writes, force=force)
    return _report(asked, ready, stale, rows)


@contextmanager
def _pool(settings: Settings) -> Iterator[ThreadPoolExecutor]:
    """Threads for passes that are too short to fill DuckDB's own; an error stops those that wait."""
    with ThreadPoolExecutor(min(settings.duckdb_threads, MOST_PASSES)) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _present(
    settings: Settings, *, since: datetime | None = None, among: Sequence[datetime] | None = None
) -> tuple[list[Hour], RewardConfigs]:
    """The hours that have observations, and the active configurations, as of one moment."""
    datasets: tuple[Dataset, ...] = ("observations", "feedback", "rewards", "rollups")
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        configs = active_configurations(connection)
        found = {
            dataset: {
                entry.hour: entry
                for entry in (
                    catalogue.entries(connection, dataset, since)
                    if among is None
                    else catalogue.entries_of(connection, dataset, among)
                )
            }
            for dataset in datasets
        }
    hours = [
        Hour(entry, found["feedback"].get(hour), found["rewards"].get(hour), found["rollups"].get(hour))
        for hour, entry in found["observations"].items()
    ]
    return hours, configs


def _chunks(hours: Iterable[Hour], most_rows: int) -> Iterator[list[Hour]]:
    """Consecutive hours of at most so many rows together; an hour with more is a chunk of its own."""
    chunk: list[Hour] = []
    rows = 0
    for hour in hours:
        if chunk and (rows + hour.observations.rows > most_rows or len(chunk) == MOST_HOURS):
            yield chunk
            chunk, rows = [], 0
        chunk.append(hour)
        rows += hour.observations.rows
    if chunk:
        yield chunk


def _commit(settings: Settings, dataset: Dataset, writes: list[HourWrite], *, force: bool) -> int:
    """Name the files of a chunk; returns the rows of its hours. What another process has committed alike stays."""
    with transaction(settings) as connection:
        present = {
            entry.hour: entry.input_digest
            for entry in catalogue.entries_of(connection, dataset, [write.hour for write in writes])
        }
        new = [write for write in writes if force or present.get(write.hour) != write.input_digest]
        catalogue.replace_hours(connection, dataset, new)
    return sum(write.rows for write in writes)


def _report(asked: Sequence[datetime], ready: Iterable[Hour], computed: Iterable[Hour], rows: int) -> Materialised:
    done = {hour.hour for hour in computed}
    could = {hour.hour for hour in ready}
    return Materialised(
        hours=tuple(hour for hour in asked if hour in done),
        rows=rows,
        current=tuple(hour for hour in asked if hour in could - done),
        skipped=tuple(hour for hour in asked if hour not in could),
    )
