"""The identity of an observation follows from the row alone and names its hour."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations import identity

moments = st.integers(0, 100 * 365 * 86_400_000_000).map(
    lambda microseconds: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(st.text(max_size=20), st.text(max_size=20), moments)
def test_it_is_a_uuid7_of_the_time_and_its_hour(source: str, source_id: str, moment: datetime) -> None:
    found = identity.observation_id(source, source_id, moment)
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found == identity.observation_id(source, source_id, moment)
    assert identity.milliseconds(found) == identity.to_milliseconds(moment)
    assert identity.hour_of(found) == floor_hour(moment)
    assert str(found) == identity.derive(source, source_id, moment) == identity.canonical(str(found).upper())


@given(st.tuples(st.text(max_size=4), st.text(max_size=4)), st.tuples(st.text(max_size=4), st.text(max_size=4)))
def test_different_keys_have_different_ids(first: tuple[str, str], second: tuple[str, str]) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    same = identity.observation_id(*first, moment) == identity.observation_id(*second, moment)
    assert same == (first == second)


def test_the_offset_of_a_time_does_not_matter() -> None:
    utc = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    assert identity.observation_id("a", "b", utc) == identity.observation_id(
        "a", "b", utc.astimezone(timezone(timedelta(hours=5, minutes=30)))
    )


@pytest.mark.parametrize("text", ["", "no", "9f1c2d3e-4b5a-4c6d-8e7f-0123456789ab", str(uuid.UUID(int=0))])
def test_only_version_7_is_an_observation_id(text: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        identity.canonical(text)
