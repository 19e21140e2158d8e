"""Paired differences of returns on the same seeds: their interval, and what is said of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.difference import difference

FINITE = st.floats(-2, 1, allow_nan=False)


def test_a_difference_has_students_interval() -> None:
    found = difference([0.5, 0.6, 0.7, 0.8], [0.4, 0.4, 0.4, 0.4])
    # Gains .1 to .4; t of 97.5 % with 3 degrees of freedom is 3.182446.
    half = 3.182446 * math.sqrt(np.var([0.1, 0.2, 0.3, 0.4], ddof=1) / 4)
    assert found.mean == pytest.approx(0.25)
    assert (found.low, found.high) == (pytest.approx(0.25 - half), pytest.approx(0.25 + half))
    assert found.differences == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert (found.candidate, found.baseline) == (pytest.approx(0.65), pytest.approx(0.4))
    assert found.low < found.bootstrap[0] < 0.25 < found.bootstrap[1] < found.high


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [([0.1, 0.11, 0.12], "better"), ([-0.1, -0.11, -0.12], "worse"), ([0.3, -0.1, 0.1], "not shown")],
)
def test_verdicts(gains: list[float], verdict: str) -> None:
    assert difference(gains, [0.0] * 3).verdict == verdict


@given(st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=12))
def test_exchanging_the_two_mirrors_everything(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    one, other = difference(first, second), difference(second, first)
    assert one.low <= one.mean <= one.high
    assert (one.mean, one.low) == (pytest.approx(-other.mean), pytest.approx(-other.high))
    assert {one.verdict, other.verdict} in ({"not shown"}, {"better", "worse"})


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.02, 0.05, (2000, 10))
    covers = [found.low <= 0.02 <= found.high for found in (difference(row, np.zeros(10)) for row in drawn[:400])]
    assert 0.92 <= np.mean(covers) <= 0.98


def test_too_few_seeds_or_not_the_same() -> None:
    for few in ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0]):
        with pytest.raises(InvalidInput, match="3 or more seeds of both"):
            difference(few, few[:2])
