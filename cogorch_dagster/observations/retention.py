"""Raw hours are kept for `retention_days`; after that their rollups stay and the rows go.

Dropping forgets the hour in the catalogue; the clean-up of unreferenced files then removes the Parquet files.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from cogorch_dagster.lake import catalogue
from cogorch_dagster.lake.catalogue import Dataset
from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations.quarantine import delete_quarantine
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import lake_hours
from cogorch_dagster.settings import Settings

HOURS_AT_ONCE = 400
_RAW: tuple[Dataset, ...] = ("observations", "feedback")
_State = dict[tuple[str, datetime], str]


@dataclass(frozen=True)
class Dropped:
    """The hours whose raw rows were dropped, and those past the limit that wait until their rollup is current."""

    hours: tuple[datetime, ...]
    waiting: tuple[datetime, ...]
    quarantine_files: int


def drop_expired(
    settings: Settings, stale_hours: Callable[[Settings], Collection[datetime]], now: datetime | None = None
) -> Dropped:
    """Drop the observations, feedback and rewards of hours past `settings.retention_days` whose rollup is current.

    An hour that changes while this runs is left for the next time. Quarantine files of that age go as well.

    Args:
        stale_hours: says which hours' rewards or rollups are out of date: `rewards.materialise.stale_hours`.
        now: the moment to count back from; the present unless given.
    """
    limit = floor_hour((now or datetime.now(UTC)) - timedelta(days=settings.retention_days))
    # First the state, then what is stale in it: a change in between shows as a changed state below.
    with database.transaction(settings) as connection:
        seen = _state(connection, limit)
        rolled_up = {entry.hour for entry in catalogue.entries(connection, "rollups", until=limit)}
    past = sorted(hour for dataset, hour in seen if dataset == "observations")
    stale = set(stale_hours(settings))
    ready = [hour for hour in past if hour in rolled_up and hour not in stale]
    dropped: list[datetime] = []
    for start in range(0, len(ready), HOURS_AT_ONCE):
        with database.transaction(settings) as connection:
            dropped += _drop(connection, ready[start : start + HOURS_AT_ONCE], seen, limit)
    with database.transaction(settings) as connection:
        _drop_left_over(connection, limit)
    gone = set(dropped)
    return Dropped(
        hours=tuple(dropped),
        waiting=tuple(hour for hour in past if hour not in gone),
        quarantine_files=delete_quarantine(settings, limit),
    )


def _drop(connection: sa.Connection, hours: Sequence[datetime], seen: _State, limit: datetime) -> list[datetime]:
    """Drop those hours whose raw files are still the ones that were seen."""
    for dataset in _RAW:
        for hour in hours:
            catalogue.lock_hour(connection, dataset, hour)
    present = _state(connection, limit)
    unchanged = [
        hour for hour in hours if all(present.get((dataset, hour)) == seen.get((dataset, hour)) for dataset in _RAW)
    ]
    _forget(connection, (*_RAW, "rewards"), lake_hours.c.hour.in_(unchanged))
    return unchanged


def _drop_left_over(connection: sa.Connection, limit: datetime) -> None:
    """Feedback for observations that never came, and rewards that were committed while their hour was dropped."""
    observed = lake_hours.alias()
    exists = sa.exists().where(observed.c.dataset == "observations", observed.c.hour == lake_hours.c.hour)
    _forget(connection, ("feedback", "rewards"), sa.and_(lake_hours.c.hour < limit, ~exists))


def _forget(connection: sa.Connection, datasets: Iterable[Dataset], chosen: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.delete(lake_hours).where(lake_hours.c.dataset.in_(list(datasets)), chosen))


def _state(connection: sa.Connection, limit: datetime) -> _State:
    return {
        (dataset, entry.hour): entry.digest
        for dataset in _RAW
        for entry in catalogue.entries(connection, dataset, until=limit)
    }
