"""Which files make up an hour of a dataset: the table `lake_hours`.

Every function works inside its caller's transaction, so that a commit of many files, and whatever else belongs to the
same step (the deletion of inbox rows, say), is one atomic act.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import lake_hours

Dataset = Literal["observations", "feedback", "rewards", "rollups"]


@dataclass(frozen=True)
class HourEntry:
    """One hour of one dataset as it is committed.

    `input_digest` says what a derived hour was computed from; it is None for what was recorded, not derived.
    """

    dataset: Dataset
    hour: datetime
    files: tuple[str, ...]
    rows: int
    input_digest: str | None
    committed_at: datetime

    @cached_property
    def digest(self) -> str:
        """sha256 over the names of the files; as they are immutable, it changes exactly when the hour does."""
        return hashlib.sha256("\n".join(sorted(self.files)).encode()).hexdigest()


@dataclass(frozen=True)
class HourWrite:
    """What `replace_hours` sets for one hour."""

    hour: datetime
    files: tuple[str, ...]
    rows: int
    input_digest: str | None


def entries(
    connection: sa.Connection, dataset: Dataset, since: datetime | None = None, until: datetime | None = None
) -> list[HourEntry]:
    """The hours of a dataset in order of time.

    Args:
        since: only hours from the one that holds this moment.
        until: only hours that begin before this moment.
    """
    query = sa.select(lake_hours).where(lake_hours.c.dataset == dataset).order_by(lake_hours.c.hour)
    if since is not None:
        query = query.where(lake_hours.c.hour >= floor_hour(since))
    if until is not None:
        query = query.where(lake_hours.c.hour < until)
    return [_entry(row) for row in connection.execute(query)]


def entries_of(connection: sa.Connection, dataset: Dataset, hours: Iterable[datetime]) -> list[HourEntry]:
    """The entries of the named hours, in order of time; an hour without one is left out."""
    query = (
        sa.select(lake_hours)
        .where(lake_hours.c.dataset == dataset, lake_hours.c.hour == sa.func.any(_timestamps(hours)))
        .order_by(lake_hours.c.hour)
    )
    return [_entry(row) for row in connection.execute(query)]


def entry(connection: sa.Connection, dataset: Dataset, hour: datetime) -> HourEntry | None:
    """The entry of one hour, None when the dataset has nothing in it."""
    found = entries_of(connection, dataset, [hour])
    return found[0] if found else None


def last_written(connection: sa.Connection, dataset: Dataset) -> datetime | None:
    """When an hour of the dataset was last written, UTC; None where it has none."""
    query = sa.select(sa.func.max(lake_hours.c.committed_at)).where(lake_hours.c.dataset == dataset)
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def append_files(connection: sa.Connection, dataset: Dataset, hour: datetime, files: Sequence[str], rows: int) -> None:
    """Add files to an hour, creating the hour when it is new.

    Two appends to the same hour wait for each other at the row; callers that touch several hours go in their order.
    """
    statement = insert(lake_hours).values(dataset=dataset, hour=floor_hour(hour), files=list(files), rows=rows)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["dataset", "hour"],
            set_={
                "files": lake_hours.c.files + statement.excluded.files,
                "rows": lake_hours.c.rows + statement.excluded["rows"],
                "committed_at": sa.func.clock_timestamp(),
            },
        )
    )


def replace_hour(
    connection: sa.Connection,
    dataset: Dataset,
    hour: datetime,
    files: Sequence[str],
    rows: int,
    input_digest: str | None,
) -> None:
    """Make exactly these files the hour; those before are no longer referenced."""
    replace_hours(connection, dataset, [HourWrite(hour, tuple(files), rows, input_digest)])


def replace_hours(connection: sa.Connection, dataset: Dataset, writes: Iterable[HourWrite]) -> None:
    """`replace_hour` for many hours in one statement, in order of time."""
    ordered = sorted(writes, key=lambda write: write.hour)
    if not ordered:
        return
    statement = insert(lake_hours).values(
        [
            {
                "dataset": dataset,
                "hour": floor_hour(write.hour),
                "files": list(write.files),
                "rows": write.rows,
                "input_digest": write.input_digest,
            }
            for write in ordered
        ]
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["dataset", "hour"],
            set_={
                "files": statement.excluded.files,
                "rows": statement.excluded["rows"],
                "input_digest": statement.excluded.input_digest,
                "committed_at": sa.func.clock_timestamp(),
            },
        )
    )


def drop_hours(connection: sa.Connection, dataset: Dataset, before: datetime) -> int:
    """Forget the hours that end at or before a moment; returns how many. Their files go with the next clean-up."""
    result = connection.execute(
        sa.delete(lake_hours).where(lake_hours.c.dataset == dataset, lake_hours.c.hour < floor_hour(before))
    )
    return result.rowcount


def lock_hour(connection: sa.Connection, dataset: Dataset, hour: datetime) -> None:
    """Hold the hour until the transaction ends; who locks several goes in order of time, or two may deadlock."""
    database.lock(connection, "lake", dataset, floor_hour(hour).isoformat())


def referenced_files(connection: sa.Connection) -> set[str]:
    """Every relative path that some hour of some dataset names."""
    return set(connection.execute(sa.text("SELECT jsonb_array_elements_text(files) FROM lake_hours")).scalars())


def _timestamps(hours: Iterable[datetime]) -> sa.BindParameter[Any]:
    return sa.bindparam(
        None, [floor_hour(hour) for hour in hours], type_=sa.ARRAY(sa.DateTime(timezone=True)), unique=True
    )


def _entry(row: sa.Row[Any]) -> HourEntry:
    return HourEntry(
        dataset=row.dataset,
        hour=floor_hour(row.hour),
        files=tuple(row.files),
        rows=row.rows,
        input_digest=row.input_digest,
        committed_at=row.committed_at,
    )
