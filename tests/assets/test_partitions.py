"""Hours and partition keys, and how scattered hours become ranges."""

import itertools
from datetime import UTC, datetime, timedelta

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import FIRST_HOUR, HOURLY, contiguous, hour_of, key_of
from cogorch_dagster.lake.hours import HOUR, floor_hour

HOURS = st.integers(0, 70_000).map(lambda number: FIRST_HOUR + number * HOUR)


@given(HOURS)
def test_a_key_names_its_hour(hour: datetime) -> None:
    assert hour_of(key_of(hour)) == hour


def test_the_present_hour_is_a_partition() -> None:
    now = datetime(2026, 11, 20, 12, 34, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.partition_loading_context(effective_dt=now, dynamic_partitions_store=instance)
        with context:
            assert HOURLY.get_last_partition_key() == key_of(floor_hour(now))
            assert HOURLY.get_first_partition_key() == key_of(FIRST_HOUR)


def test_partitions_stay_within_what_dagster_bears() -> None:
    assert (datetime(2030, 1, 1, tzinfo=UTC) - FIRST_HOUR) / HOUR < 100_000


@given(st.sets(HOURS, max_size=40), st.integers(0, 30), st.integers(1, 800))
def test_ranges_cover_every_hour_once_and_respect_their_bounds(hours: set[datetime], gap: int, longest: int) -> None:
    ranges = contiguous(hours, gap=gap, longest=longest)
    assert all(any(first <= hour <= last for first, last in ranges) for hour in hours)
    assert all(first in hours and last in hours for first, last in ranges)
    assert all((last - first) / HOUR + 1 <= longest for first, last in ranges)
    for (_, last), (first, _) in itertools.pairwise(ranges):
        assert last < first
    for first, last in ranges:
        inside = sorted(hour for hour in hours if first <= hour <= last)
        assert all(b - a <= (gap + 1) * HOUR for a, b in itertools.pairwise(inside))


def test_hours_next_to_each_other_are_one_range() -> None:
    hours = [FIRST_HOUR + timedelta(hours=n) for n in (0, 1, 2, 9, 10)]
    assert contiguous(hours, gap=0, longest=744) == [(hours[0], hours[2]), (hours[3], hours[4])]
