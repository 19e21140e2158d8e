"""Effective rows follow Bayley and Hammersley, innovations are what the past leaves, and groups are kept apart."""

import numpy as np
import pytest
from scipy.signal import lfilter

from cogorch_dagster.causal.data import autocorrelation as module
from cogorch_dagster.causal.data.autocorrelation import autocorrelations, history, innovations, order, positions, worth

ONE = np.zeros(4000, dtype=np.int64)


def autoregressive(rng: np.random.Generator, phi: float, q: int, n: int = 4000) -> np.ndarray:
    return lfilter([1.0], [1.0, -phi], rng.standard_normal((n + 200, q)), axis=0)[200:]


def test_positions_and_history_respect_groups() -> None:
    groups = np.array([3, 3, 3, 1, 1, 7])
    assert positions(groups).tolist() == [0, 1, 2, 0, 1, 0]
    found = history(np.arange(12.0).reshape(6, 2), groups, 1)
    assert found.rows.tolist() == [1, 2, 4]
    assert found.values.tolist() == [[0, 1], [2, 3], [6, 7]]
    two = history(np.arange(12.0).reshape(6, 2), groups, 2)
    assert two.rows.tolist() == [2] and two.values.tolist() == [[2, 3, 0, 1]]
    assert positions(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_rows_are_worth_what_theory_says(phi: float) -> None:
    """For two AR(1) series: (1 - phi²) / (1 + phi²)."""
    rng = np.random.default_rng(3)
    found = np.mean([worth(autoregressive(rng, phi, 2), ONE) for _ in range(10)])
    assert found == pytest.approx((1 - phi**2) / (1 + phi**2), abs=0.05)
    # The error of a correlation shows the same.
    chance = np.std([np.corrcoef(autoregressive(rng, phi, 2).T)[0, 1] for _ in range(300)])
    assert chance == pytest.approx(1 / np.sqrt(4000 * found), rel=0.15)


def test_one_series_with_a_past_among_independent_ones_costs_nothing() -> None:
    rng = np.random.default_rng(4)
    values = np.column_stack([autoregressive(rng, 0.95, 1), rng.standard_normal((4000, 3))])
    assert worth(values, ONE) > 0.97
    assert worth(values[:, :1], ONE) == pytest.approx(0.05, abs=0.02)


def test_rows_of_different_groups_do_not_follow_each_other() -> None:
    rng = np.random.default_rng(5)
    level = np.repeat(rng.standard_normal(800), 5)[:, None] + 0.01 * rng.standard_normal((4000, 2))
    assert worth(level, ONE) < 0.35
    assert worth(level, np.arange(4000)) == 1.0
    assert autocorrelations(level, np.arange(4000)).shape == (2, 0)


def test_autocorrelations_with_missing_values_and_without_variance() -> None:
    rng = np.random.default_rng(6)
    values = np.column_stack([autoregressive(rng, 0.8, 1), np.ones(4000)])
    values[rng.random(4000) < 0.3, 0] = np.nan
    found = autocorrelations(values, ONE)
    np.testing.assert_allclose(found[0, :3], [0.8, 0.64, 0.512], atol=0.06)
    assert (found[1] == 0).all()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("lags", [1, 2, 3])
def test_the_order_is_found(lags: int, missing: bool) -> None:
    rng = np.random.default_rng(lags)
    noise = rng.standard_normal((4000, 3))
    values = noise.copy()
    matrix = (0.5 * np.eye(3) + 0.1 * rng.standard_normal((3, 3))) / lags
    for row in range(lags, 4000):
        values[row] += values[row - lags : row].sum(axis=0) @ matrix
    if missing:
        values[rng.random(values.shape) < 0.1] = np.nan
    assert order(values, ONE) == lags
    assert order(values[:12], ONE[:12]) == 0


def test_innovations_are_the_noise_that_the_rows_were_made_of() -> None:
    rng = np.random.default_rng(7)
    mixing = np.array([[1.0, 0.0], [0.8, 1.0]])
    noise = rng.standard_normal((4000, 2)) @ mixing.T
    values = noise.copy()
    for row in range(1, 4000):
        values[row] += 0.9 * values[row - 1]
    past = history(values, ONE, 1)
    found = innovations(values, past)
    assert np.corrcoef(found[:, 0], noise[1:, 0])[0, 1] > 0.999
    np.testing.assert_allclose(np.cov(found.T), mixing @ mixing.T, atol=0.1)
    assert np.abs(found.mean(axis=0)).max() < 1e-10
    assert np.abs(past.values.T @ found).max() < 1e-6


def test_levels_that_add_up_over_time_do_not_hide_the_innovations() -> None:
    """Each of five variables sums up the one before: their levels are all but collinear."""
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((4000, 5))
    values = np.zeros((4000, 5))
    for row in range(1, 4000):
        for place in range(5):
            before = values[row, place - 1] if place else 0.0
            values[row, place] = 0.97 * values[row - 1, place] + before + noise[row, place]
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    assert order(values, ONE) == 1
    found = innovations(values, history(values, ONE, 1))
    truth = noise[1:] @ np.triu(np.ones((5, 5)))
    for place in range(5):
        assert np.corrcoef(found[:, place], truth[:, place])[0, 1] > 0.99
    assert module.longest(ONE) == 4000
