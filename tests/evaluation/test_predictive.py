"""Predictions judged: figures whose truth is known, intervals that cover it, and what is too little to say anything."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.predictive import GROUPS, bins, quality, saved


def simulated(seed: int, n: int = 2000) -> tuple[np.ndarray, ...]:
    """Reward = mean of the arm + what is predictable (s.d. .2) + noise (s.d. .1) that neighbours share in part."""
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < 0.5, 0.3, 0.6)
    known = 0.2 * rng.standard_normal(n)
    shared = np.repeat(rng.standard_normal(n // 10), 10)
    noise = 0.1 * (0.6 * shared + 0.8 * rng.standard_normal(n))
    return arm + known + noise, arm + known, arm, np.ones(n)


def test_figures_are_those_of_the_simulation() -> None:
    found = quality(*simulated(1, 40_000))
    variance = 0.15**2 + 0.2**2 + 0.1**2
    assert found.rmse.value == pytest.approx(0.1, rel=0.03)
    assert found.rmse_by_arm.value == pytest.approx(np.sqrt(0.05), rel=0.03)
    assert found.r2.value == pytest.approx(1 - 0.01 / variance, abs=0.01)
    assert found.r2_by_arm.value == pytest.approx(0.15**2 / variance, abs=0.01)
    assert found.saved.value == pytest.approx(0.8, abs=0.01)
    assert found.slope.low < 1 < found.slope.high and found.bias.low < 0 < found.bias.high
    metrics = found.metrics("newest_")
    assert metrics["newest_decisions"] == 40_000 and metrics["newest_r2_low"] == found.r2.low
    assert len(metrics) == 1 + 3 * 7


def test_intervals_cover_although_neighbours_are_alike() -> None:
    """Of 300 simulations; the noise of independent decisions would make the bias's interval too short by a third."""
    hits = np.zeros(3)
    for seed in range(300):
        found = quality(*simulated(seed, 1000))
        for place, (figure, truth) in enumerate(((found.bias, 0.0), (found.slope, 1.0), (found.saved, 0.8))):
            hits[place] += figure.low <= truth <= figure.high
    assert (hits >= 0.92 * 300).all() and (hits < 300).all()


def test_weights_and_wrong_predictions_count() -> None:
    observed, predicted, arm, weight = simulated(3)
    twice = [np.concatenate([each, each]) for each in (observed, predicted, arm)]
    doubled = quality(observed, predicted, arm, 2 * weight)
    assert doubled.r2.value == pytest.approx(quality(*twice, np.ones(4000)).r2.value, rel=1e-9)
    tilted = quality(observed, 0.45 + 2 * (predicted - 0.45) + 0.1, arm, weight)
    assert tilted.slope.high < 0.55 and tilted.bias.high < -0.08 and tilted.saved.high < 0.2
    assert saved(observed, predicted, predicted, weight).value == 0
    assert saved(observed, predicted, arm, weight) == quality(observed, predicted, arm, weight).saved
    flat = quality(observed, np.full(2000, 0.45), np.full(2000, 0.45), weight)
    assert (flat.slope.value, flat.slope.low) == (1, 1) and flat.r2.value == pytest.approx(0, abs=1e-3)
    same = quality(np.full(200, 0.5), np.full(200, 0.5), np.full(200, 0.5), np.ones(200))
    assert all(np.isfinite(list(same.metrics().values())))


def test_bins_are_tenths_and_equal_predictions_stay_together() -> None:
    observed, predicted, _, weight = simulated(4)
    found = bins(observed, predicted, weight)
    assert len(found) == 10 and {each.decisions for each in found} == {200}
    assert all(abs(each.observed - each.predicted) < 4 * each.se for each in found)
    constant = bins(observed, np.full(2000, 0.45), weight)
    assert [each.decisions for each in constant] == [2000]


def test_too_few_decisions_say_nothing() -> None:
    with pytest.raises(InvalidInput, match=rf"99 decisions; predictions are judged by at least {5 * GROUPS}"):
        quality(*(each[:99] for each in simulated(5)))
