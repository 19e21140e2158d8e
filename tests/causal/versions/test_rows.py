"""A row is found by the moment that its bucket holds, or by its number."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cogorch_dagster.causal.versions import rows
from cogorch_dagster.errors import InvalidInput
from tests.causal.samples import START, autoscaled


def test_a_moment_lies_in_one_bucket() -> None:
    data = autoscaled(60)
    assert rows.span_of(data) == timedelta(minutes=1)
    assert rows.place_of(data, START + timedelta(minutes=3, seconds=59)) == 3
    assert rows.place_of(data, 4) == 3
    row = rows.values_of(data, 3, ("load", "reward"))
    assert row == {"load": data.column("load")[3], "reward": data.column("reward")[3]}


def test_what_lies_outside_is_named() -> None:
    data = autoscaled(60)
    for at, message in ((0, "no row 0"), (61, "numbered 1 to 60"), (START - timedelta(days=1), "no row holds")):
        with pytest.raises(InvalidInput, match=message):
            rows.place_of(data, at)
    with pytest.raises(InvalidInput, match="found by their numbers"):
        rows.place_of(replace(data, since=None, until=None), START)
