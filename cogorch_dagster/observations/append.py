"""Observations straight into the lake, for importers and for the sources that read other systems.

Live traffic goes through `inbox` instead: it acknowledges after a commit and leaves writing files to the drain.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA, Observation, to_table
from cogorch_dagster.observations.storing import MAX_HOURS, Stored, store_observations
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings

MAX_ROWS = 250_000


@dataclass(frozen=True)
class Appended:
    """What became of the observations; the counts sum to what was given.

    `hours` are those that gained rows, `expired` counts rows of hours that retention has dropped, and `by_outcome`
    the added ones.
    """

    added: int = 0
    duplicates: int = 0
    sampled_out: int = 0
    expired: int = 0
    hours: list[datetime] = field(default_factory=list)
    by_outcome: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Appended | Stored") -> "Appended":
        return Appended(
            added=self.added + other.added,
            duplicates=self.duplicates + other.duplicates,
            sampled_out=self.sampled_out + other.sampled_out,
            expired=self.expired + other.expired,
            hours=sorted({*self.hours, *other.hours}),
            by_outcome=dict(Counter(self.by_outcome) + Counter(other.by_outcome)),
        )


def append(settings: Settings, observations: pa.Table | Sequence[Observation]) -> Appended:
    """Store what is new, each row in the hour of its `occurred_at`; safe to repeat and to interrupt.

    Up to 250,000 rows over 1,000 hours are one transaction: all of them are stored or none. More are stored in several
    such steps in order of time; after an interruption the same call stores the rest.

    A row is a duplicate when its hour (or this call) already holds its (source, source_id).
    """
    table = observations if isinstance(observations, pa.Table) else to_table(observations)
    table = table.cast(OBSERVATION_SCHEMA)
    total = Appended()
    for part in _steps(table):
        with database.transaction(settings) as connection:
            total += store_observations(connection, settings, _ingested_now(part))
    return total


def _steps(table: pa.Table) -> Iterator[pa.Table]:
    """Slices in order of time that are small enough for one transaction."""
    if table.num_rows == 0:
        return
    order = pc.sort_indices(table, sort_keys=[("occurred_at", "ascending")])
    hours = pc.floor_temporal(table["occurred_at"].take(order), unit="hour").dictionary_encode().combine_chunks()
    numbers = hours.indices.to_numpy()
    start = 0
    while start < table.num_rows:
        end = min(start + MAX_ROWS, int(numbers.searchsorted(numbers[start] + MAX_HOURS)))
        yield table.take(order.slice(start, end - start))
        start = end


def _ingested_now(table: pa.Table) -> pa.Table:
    column = table.schema.get_field_index("ingested_at")
    now = pa.repeat(pa.scalar(datetime.now(UTC), type=pa.timestamp("us", tz="UTC")), table.num_rows)
    return table.set_column(column, table.schema.field(column), now)
