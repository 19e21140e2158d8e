"""EM finds the maximum of the likelihood: against closed forms, against the likelihood itself, and in known cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.data.missing import Moments, em_moments, information, pairs_known
from cogorch_dagster.errors import InvalidInput

LAW = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def rows(rng: np.random.Generator, n: int, q: int) -> np.ndarray:
    return rng.standard_normal((n, q)) @ rng.standard_normal((q, q)) * rng.uniform(
        0.1, 100, q
    ) + 10 * rng.standard_normal(q)


def loglikelihood(values: np.ndarray, moments: Moments) -> float:
    """Of the observed values, row by row."""
    total = 0.0
    for row in values:
        known = ~np.isnan(row)
        covariance = moments.covariance[np.ix_(known, known)]
        away = row[known] - moments.mean[known]
        total -= 0.5 * (np.linalg.slogdet(covariance)[1] + away @ np.linalg.solve(covariance, away))
    return total


@LAW
@given(SEEDS, st.integers(1, 5))
def test_complete_rows_give_plain_moments(seed: int, q: int) -> None:
    values = rows(np.random.default_rng(seed), 50, q)
    found = em_moments(values)
    np.testing.assert_allclose(found.covariance, np.cov(values.T, ddof=0).reshape(q, q), rtol=1e-9)
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    assert found.iterations == 0


@LAW
@given(SEEDS, st.floats(0.1, 0.6))
def test_a_monotone_pattern_has_anderson_closed_form(seed: int, share: float) -> None:
    """Anderson (1957): with y missing for some rows, mean and variance of y follow from the regression on x."""
    rng = np.random.default_rng(seed)
    values = rows(rng, 200, 2)
    values[: int(share * 200), 1] = np.nan
    x, known = values[:, 0], ~np.isnan(values[:, 1])
    slope, constant = np.polyfit(x[known], values[known, 1], 1)
    residual = np.mean((values[known, 1] - constant - slope * x[known]) ** 2)
    found = em_moments(values)
    scale = np.sqrt(found.covariance[1, 1])
    assert found.mean[1] == pytest.approx(constant + slope * x.mean(), abs=2e-4 * scale)
    assert found.covariance[0, 1] == pytest.approx(slope * x.var(), abs=2e-4 * scale * x.std())
    assert found.covariance[1, 1] == pytest.approx(residual + slope**2 * x.var(), rel=1e-3)


@LAW
@given(SEEDS)
def test_no_nearby_moments_are_more_likely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rows(rng, 120, 4)
    values[rng.random(values.shape) < 0.25] = np.nan
    values = values[~np.isnan(values).all(axis=1)]
    found = em_moments(values)
    best = loglikelihood(values, found)
    scale = np.sqrt(np.diag(found.covariance))
    for _ in range(10):
        turn = 0.02 * rng.standard_normal((4, 4))
        other = (np.eye(4) + turn) @ (found.covariance / np.outer(scale, scale)) @ (np.eye(4) + turn).T
        moved = Moments(found.mean + 0.02 * scale * rng.standard_normal(4), other * np.outer(scale, scale), 0)
        assert loglikelihood(values, moved) < best + 1e-3


@LAW
@given(SEEDS)
def test_weights_are_repetitions_and_a_start_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rows(rng, 80, 3)
    values[rng.random(values.shape) < 0.2] = np.nan
    weights = rng.integers(0, 3, 80)
    repeated = em_moments(np.repeat(values, weights, axis=0))
    weighted = em_moments(values, start=em_moments(values), weights=weights.astype(float))
    scale = np.sqrt(np.diag(repeated.covariance))
    assert (np.abs(weighted.covariance - repeated.covariance) / np.outer(scale, scale)).max() < 2e-4
    assert (np.abs(weighted.mean - repeated.mean) / scale).max() < 2e-4


def test_missing_values_that_depend_on_what_is_known_do_not_bias() -> None:
    """y is missing where x is large: complete rows are biased, EM is not."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20_000)
    y = 0.8 * x + 0.6 * rng.standard_normal(20_000)
    values = np.column_stack([x, np.where(x > 0.5, np.nan, y)])
    complete = values[~np.isnan(values[:, 1])]
    assert np.corrcoef(complete.T)[0, 1] < 0.7 and complete[:, 1].mean() < -0.2
    found = em_moments(values)
    assert found.covariance[0, 1] / np.sqrt(found.covariance[0, 0] * found.covariance[1, 1]) == pytest.approx(
        0.8, abs=0.01
    )
    assert found.mean[1] == pytest.approx(0.0, abs=0.02)


def test_dependent_columns_do_not_break_it() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((300, 3))
    values = np.column_stack([values, values.sum(axis=1)])
    values[rng.random(values.shape) < 0.2] = np.nan
    found = em_moments(values).covariance
    scale = np.sqrt(np.diag(found))
    assert np.linalg.eigvalsh(found / np.outer(scale, scale))[0] < 1e-3
    assert found[3, 3] == pytest.approx(found[:3, :3].sum(), rel=0.02)


def test_what_the_rows_are_worth() -> None:
    known = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=bool)
    assert pairs_known(known).tolist() == [[4, 3, 3], [3, 3, 2], [3, 2, 3]]
    assert information(known) == pytest.approx((3 + 3 + 2) / 12)
    assert information(np.ones((5, 3), dtype=bool)) == 1.0


def test_without_values_there_are_no_moments() -> None:
    with pytest.raises(InvalidInput, match="too few"):
        em_moments(np.zeros((1, 2)))
    with pytest.raises(InvalidInput, match="column 1 has no value"):
        em_moments(np.array([[1.0, np.nan], [2.0, np.nan]]))
