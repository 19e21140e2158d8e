from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.lake.hours import HOUR, floor_hour, hours_between, label

moments = st.timedeltas(timedelta(0), timedelta(days=5000)).map(lambda delta: datetime(2020, 1, 1, tzinfo=UTC) + delta)


def test_an_hour_is_an_hour_of_utc() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    assert floor_hour(datetime(2026, 3, 1, 0, 10, tzinfo=india)) == datetime(2026, 2, 28, 18, tzinfo=UTC)
    assert label(datetime(2026, 3, 1, 9, 59, tzinfo=UTC)) == "2026-03-01T09"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        floor_hour(datetime(2026, 3, 1))  # noqa: DTZ001


@given(moments, st.timedeltas(timedelta(hours=-3), timedelta(days=3)))
def test_hours_between_are_those_that_overlap(since: datetime, length: timedelta) -> None:
    until = since + length
    hours = hours_between(since, until)
    candidates = [floor_hour(since) + step * HOUR for step in range(-4, 80)]
    assert hours == [hour for hour in candidates if since < until and hour < until and hour + HOUR > since]
