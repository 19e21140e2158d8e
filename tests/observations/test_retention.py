"""Raw hours go when they are old and their rollup is current; a dropped hour stays closed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cogorch_dagster.lake import catalogue
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.retention import drop_expired
from cogorch_dagster.observations.schema import Feedback, Observation
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings
from tests.observations.conftest import START

Observe = Callable[..., list[Observation]]
Stored = Callable[..., list[dict[str, Any]]]
HOUR = timedelta(hours=1)


def roll_up(settings: Settings, hours: list[datetime]) -> None:
    """Enter a rollup and rewards into the catalogue, as their materialisation would."""
    with database.transaction(settings) as connection:
        for hour in hours:
            catalogue.replace_hour(connection, "rewards", hour, [f"rewards/{hour:%H}"], 1, "inputs")
            catalogue.replace_hour(connection, "rollups", hour, [f"rollups/{hour:%H}"], 1, "inputs")


def hours_of(settings: Settings, dataset: catalogue.Dataset) -> list[datetime]:
    with database.transaction(settings) as connection:
        return [entry.hour for entry in catalogue.entries(connection, dataset)]


def now(settings: Settings, hours_past_limit: int) -> datetime:
    return START + timedelta(days=settings.retention_days, hours=hours_past_limit)


def test_only_old_hours_with_a_current_rollup_go(settings: Settings, observe: Observe) -> None:
    append(settings, observe(5 * 60))
    roll_up(settings, [START, START + HOUR, START + 3 * HOUR])
    stale = START + HOUR
    dropped = drop_expired(settings, lambda _: [stale], now(settings, 3))
    assert dropped.hours == (START,)
    assert dropped.waiting == (START + HOUR, START + 2 * HOUR)
    assert hours_of(settings, "observations") == [START + hours * HOUR for hours in (1, 2, 3, 4)]
    assert hours_of(settings, "rewards") == [START + HOUR, START + 3 * HOUR]
    assert START in hours_of(settings, "rollups")
    assert drop_expired(settings, lambda _: [stale], now(settings, 3)).hours == ()


def test_a_dropped_hour_takes_nothing_more(settings: Settings, observe: Observe, stored: Stored) -> None:
    rows = observe(120)
    append(settings, rows)
    roll_up(settings, [START])
    drop_expired(settings, lambda _: [], now(settings, 1))
    again = append(settings, rows)
    assert (again.added, again.duplicates, again.expired) == (0, 60, 60)
    judged = Feedback(observation_id=rows[0].observation_id, metric="quality", value=1, occurred_at=rows[0].occurred_at)
    with database.transaction(settings) as connection:
        inbox.enqueue(connection, rows)
        inbox.enqueue_feedback(connection, [judged])
    drained = inbox.drain(settings)
    assert (drained.observations, drained.duplicates, drained.expired, drained.taken) == (0, 60, 61, 121)
    assert len(stored()) == 60


def test_an_hour_that_changes_meanwhile_is_kept(settings: Settings, observe: Observe) -> None:
    append(settings, observe(60))
    roll_up(settings, [START])

    def a_late_row_arrives(_: Settings) -> list[datetime]:
        append(settings, observe(1, source="late"))
        return []

    dropped = drop_expired(settings, a_late_row_arrives, now(settings, 1))
    assert (dropped.hours, dropped.waiting) == ((), (START,))
    assert hours_of(settings, "observations") == [START]


def test_old_feedback_without_an_observation_goes(settings: Settings, observe: Observe) -> None:
    (unknown,) = observe(1)
    with database.transaction(settings) as connection:
        inbox.enqueue_feedback(
            connection,
            [Feedback(observation_id=unknown.observation_id, metric="quality", value=1, occurred_at=START)],
        )
    inbox.drain(settings)
    assert hours_of(settings, "feedback") == [START]
    drop_expired(settings, lambda _: [], now(settings, 1))
    assert hours_of(settings, "feedback") == []
