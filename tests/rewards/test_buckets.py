import math

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.rewards.buckets import bucket_sql, value_of


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-3, 1e11), min_size=1, max_size=50))
def test_the_value_of_a_bucket_is_within_one_percent(durations: list[float]) -> None:
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT d, {bucket_sql('d')} FROM (SELECT unnest(?::DOUBLE[]) AS d)", [durations]
        ).fetchall()
    for duration, bucket in rows:
        assert abs(value_of(bucket) - duration) <= 0.01 * duration


def test_buckets_keep_the_order_of_their_values() -> None:
    durations = np.geomspace(1e-3, 1e11, 2000).tolist()
    with duckdb.connect() as connection:
        buckets = [connection.execute(f"SELECT {bucket_sql(f'{d!r}::DOUBLE')}").fetchone()[0] for d in durations[::50]]
    assert buckets == sorted(buckets)
    assert math.isclose(value_of(0), 2 / 2.02)


@pytest.mark.parametrize("duration", ["0.0", "1e-9"])
def test_a_duration_without_a_logarithm_counts_as_a_microsecond(duration: str) -> None:
    with duckdb.connect() as connection:
        bucket = connection.execute(f"SELECT {bucket_sql(f'{duration}::DOUBLE')}").fetchone()[0]
        assert connection.execute(f"SELECT {bucket_sql('NULL::DOUBLE')}").fetchone() == (None,)
    assert value_of(bucket) == pytest.approx(1e-3, rel=0.01)
