"""The confirmation: paired differences on fresh seeds, their interval, and what a study's result says."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.confirmation import Confirmation, compared, confirm, difference, fresh_seeds, returns
from cogorch_dagster.tuning.objective import Interrupted
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.seeds import training_seed
from tests.tuning.tiny import PPO, begun, bowl, plan

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


def test_fresh_seeds_are_none_of_the_search() -> None:
    searched = {training_seed(0, number) for number in range(1000)}
    assert len(set(fresh_seeds(plan(), 1000))) == 1000
    assert not searched & set(fresh_seeds(plan(), 1000))
    # Nor those on which what is in force now was confirmed, if the seed is the same.
    assert not set(fresh_seeds(plan(), 1000)) & set(fresh_seeds(plan(version="1.0.0"), 1000))
    for few in (2, 1001):
        with pytest.raises(InvalidInput, match="3 to 1000 seeds"):
            fresh_seeds(plan(), few)
    with pytest.raises(InvalidInput, match="3 or more seeds of both"):
        difference([1, 2, 3], [1, 2])


def test_the_same_hyperparameters_do_not_differ_and_others_do() -> None:
    values = returns(plan(), [PPO, PPO, {**PPO, "learningRate": 1e-2}], seeds=3)
    assert values.shape == (3, 3) and (values[0] == values[1]).all() and (values[0] != values[2]).any()
    assert len(set(values[0])) == 3
    assert (returns(plan(), [PPO], seeds=3) == values[:1]).all()
    found = compared(plan(), PPO, PPO, seeds=3)
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, "not shown")


def test_what_is_in_force_is_not_trained_against_itself(settings: Settings) -> None:
    study = begun(settings)
    assert run(settings, study, 1, objective=bowl).best is not None
    # A training would ask `stop`, and be interrupted.
    assert confirm(settings, study, stop=lambda: True) is None
    with transaction(settings) as connection:
        assert studies.get(connection, "tiny").result is None


def test_a_winner_is_confirmed_and_kept_as_the_studys_result(settings: Settings) -> None:
    study, told = begun(settings, version="1.0.0"), []
    with pytest.raises(Refused, match="no trial of study tiny is complete") as refused:
        confirm(settings, study)
    assert refused.value.reason == "no_winner"
    best = run(settings, study, 4, objective=bowl).best
    found = confirm(settings, study, seeds=3, progress=lambda *given: told.append(given))
    assert best is not None and found is not None and (found.trial, found.params) == (best.number, best.params)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert found.found == compared(study.plan, best.params, PPO, seeds=3)
    with transaction(settings) as connection:
        kept = studies.get(connection, "tiny")
    result: dict[str, Any] = kept.result or {}
    assert kept.ended_at is not None and result["verdict"] == found.found.verdict
    assert Confirmation.from_document(result) == found
    assert confirm(settings, study, seeds=3, progress=lambda *given: told.append(given)) == found and len(told) == 3
    with pytest.raises(Interrupted):
        confirm(settings, study, stop=lambda: True)
