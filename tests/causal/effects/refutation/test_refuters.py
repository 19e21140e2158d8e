"""Refuters pass sound estimates at the rate they say, agree with a plain loop, and catch what is wrong."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.causal.effects.refutation.placebo import placebo
from cogorch_dagster.causal.effects.refutation.random_common_cause import random_common_cause
from cogorch_dagster.causal.effects.refutation.subset import subset
from cogorch_dagster.errors import InvalidInput


def drawn(seed: int, rows: int = 400, slope: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 3))
    t = z[:, 0] + rng.normal(size=rows)
    return slope * t + z.sum(axis=1) + rng.normal(size=rows), t, z


def test_sound_estimates_pass_and_chance_alone_gives_uniform_permutation_p() -> None:
    from scipy.stats import kstest

    fits = [ols(*drawn(seed, slope=0.0)) for seed in range(100)]
    placebos = [placebo(fit, simulations=60, seed=1) for fit in fits]
    assert kstest([each.p for each in placebos], "uniform").pvalue > 0.01
    for found in (
        placebos,
        [random_common_cause(fit, simulations=40) for fit in fits],
        [subset(fit, simulations=40) for fit in fits],
    ):
        assert sum(each.passed for each in found) >= 93


def test_random_common_cause_is_the_regression_with_one_more_column() -> None:
    y, t, z = drawn(0)
    fit = ols(y, t, z)
    found = random_common_cause(fit, simulations=50, seed=7)
    noise = np.random.default_rng(7).standard_normal((50, 400), dtype=np.float32)
    again = [ols(y, t, np.column_stack([z, w])).estimate.value for w in noise.astype(np.float64)]
    assert found.mean == pytest.approx(np.mean(again), rel=1e-9)
    assert found.spread == pytest.approx(np.std(again, ddof=1), rel=1e-6)


def test_subset_is_the_regression_on_those_rows() -> None:
    y, t, z = drawn(1)
    found = subset(ols(y, t, z), simulations=50, seed=7)
    kept = np.random.default_rng(7).random((50, 400), dtype=np.float32) < 0.8
    again = [ols(y[rows], t[rows], z[rows]).estimate.value for rows in kept]
    assert found.mean == pytest.approx(np.mean(again), rel=1e-9)
    assert found.spread == pytest.approx(np.std(again, ddof=1), rel=1e-6)


def test_placebo_catches_two_trends_that_have_nothing_to_do_with_each_other() -> None:
    caught = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, t = np.cumsum(rng.normal(size=500)), np.cumsum(rng.normal(size=500))
        caught += not placebo(ols(y, t, groups=np.zeros(500, dtype=np.int64))).passed
    # Sound estimates fail in one or two of a hundred.
    assert caught >= 8


def test_subset_catches_an_effect_that_a_few_rows_or_one_period_make() -> None:
    y, t, z = drawn(2, slope=0.0)
    y[:4], t[:4] = 60.0, 30.0
    found = subset(ols(y, t, z))
    assert ols(y, t, z).estimate.value > 0.5
    assert not found.passed or found.spread > 0.05
    rng = np.random.default_rng(3)
    trend = np.cumsum(rng.normal(size=600)) * 0.2
    drift = np.where(np.arange(600) < 300, 3.0, -1.0) * trend
    assert not subset(ols(drift + rng.normal(size=600), trend, groups=np.zeros(600, dtype=np.int64))).passed


def test_the_same_seed_gives_the_same_answer_and_few_simulations_are_refused() -> None:
    fit = ols(*drawn(4))
    for refuter in (placebo, random_common_cause, subset):
        assert refuter(fit, seed=5) == refuter(fit, seed=5) != refuter(fit, seed=6)
        with pytest.raises(InvalidInput, match="at least 20"):
            refuter(fit, simulations=5)
