"""Ranks of trials: of one objective by value, of several by the fronts; and weights that follow from ranks alone."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.tuning.ranking import Floats, bad_weights, good_weights, ranking, split


def test_equal_scores_share_rank_and_weight() -> None:
    order, ranks = ranking(np.ones((5, 1)))
    assert (order.tolist(), ranks.tolist()) == ([0, 1, 2, 3, 4], [0] * 5)
    assert good_weights(ranks) == pytest.approx(np.ones(5))


def test_the_best_and_the_worst_weigh_more_by_rank_alone() -> None:
    weights = good_weights(np.arange(4))
    raw = np.log(5 / np.arange(1, 5))
    assert weights == pytest.approx(raw / raw.mean())
    tied = good_weights(np.array([0, 0, 1, 1]))
    assert tied == pytest.approx(np.repeat([raw[:2].mean(), raw[2:].mean()], 2) / raw.mean())
    assert bad_weights(np.arange(3)) == pytest.approx([1 / 3, 2 / 3, 1])
    assert bad_weights(np.array([4, 4, 5, 5])) == pytest.approx([0.375, 0.375, 0.875, 0.875])
    assert len(bad_weights(np.arange(0))) == 0
    assert [split(np.arange(n)) for n in (0, 1, 2)] == [0, 1, 1]
    sizes = [split(np.arange(n)) for n in (4, 16, 64, 256)]
    assert all(before < after <= before * 2 for before, after in pairwise(sizes))


def dominated(values: Floats) -> Any:
    found = [any((other >= own).all() and (other > own).any() for other in values) for own in values]
    return np.array(found, dtype=np.bool_)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(2, 3), st.integers(0, 2**32))
def test_of_several_objectives_the_front_is_good(count: int, objectives: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 6, (count, objectives)).astype(float)
    order, ranks = ranking(values)
    assert sorted(order) == list(range(count))
    assert (np.diff(ranks[order]) >= 0).all()
    assert ((ranks == 0) == ~dominated(values)).all()
    rest = values[ranks > 0]
    assert ((ranks[ranks > 0] == 1) == ~dominated(rest)).all()
    if (ranks == 0).sum() <= count // 2:
        assert split(ranks[order]) >= (ranks == 0).sum()


def test_of_a_front_the_ends_come_first() -> None:
    along = np.array([0.0, 0.1, 0.15, 0.5, 1.0])
    order, _ = ranking(np.column_stack([along, 1 - along]))
    assert set(order[:2]) == {0, 4} and order[2] == 3 and order[-1] == 1
