"""Scores depend on ranks alone, and only columns that need them get them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import norm

from cogorch_dagster.causal.data.normal_scores import moments, normal_scores, scored

LAW = settings(max_examples=40, deadline=None)
COLUMN = st.lists(st.integers(-50, 50), min_size=2, max_size=40)


@LAW
@given(COLUMN, st.data())
def test_scores_are_quantiles_of_ranks(column: list[int], data: st.DataObject) -> None:
    values = np.array(column, dtype=float)
    holes = np.array(data.draw(st.lists(st.booleans(), min_size=len(column), max_size=len(column))))
    holes[0] = False
    values[holes] = np.nan
    found = normal_scores(values[:, None])[:, 0]
    known = values[~holes]
    # The mean rank of a value: how many are smaller, and the middle of its equals.
    ranks = np.array([(known < x).sum() + ((known == x).sum() + 1) / 2 for x in known])
    np.testing.assert_allclose(found[~holes], norm.ppf(ranks / (len(known) + 1)), atol=1e-12)
    assert np.isnan(found[holes]).all()
    np.testing.assert_allclose(normal_scores(np.exp(values / 10)[:, None])[:, 0], found)
    np.testing.assert_allclose(normal_scores(-values[:, None])[:, 0], -found, atol=1e-12)


def test_moments_are_those_of_scipy() -> None:
    from scipy.stats import kurtosis, skew

    values = np.random.default_rng(0).gamma(2.0, size=(500, 3))
    values[::7, 1] = np.nan
    skewness, excess = moments(values)
    np.testing.assert_allclose(skewness, skew(values, nan_policy="omit"))
    np.testing.assert_allclose(excess, kurtosis(values, nan_policy="omit"))
    assert moments(np.ones((5, 1)))[1].tolist() == [0.0]


@pytest.mark.parametrize("n", [200, 2000])
def test_gaussian_columns_stay_and_tails_do_not(n: int) -> None:
    rng = np.random.default_rng(n)
    normal = rng.standard_normal((n, 20))
    wandering = lfilter([1.0], [1.0, -0.99], rng.standard_normal((n, 20)), axis=0)
    groups = np.zeros(n, dtype=np.int64)
    assert not scored(normal, groups).any() and not scored(wandering, groups).any()
    tailed = np.column_stack(
        [np.exp(normal[:, 0]), normal[:, 1] ** 3, rng.exponential(size=n), np.exp(wandering[:, 0] / 4)]
    )
    assert scored(tailed, groups).all() and scored(tailed[:, :3], np.arange(n)).all()
    few = np.where(rng.random((n, 1)) < 0.02, 1.0, 0.0)
    assert not scored(few, groups).any() and not scored(few, groups, "always").any()
    assert scored(normal, groups, "always").all() and not scored(tailed, groups, "never").any()


def test_correlations_of_transformed_gaussians_are_recovered() -> None:
    rng = np.random.default_rng(5)
    z = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 4000)
    transformed = np.column_stack([np.exp(2 * z[:, 0]), z[:, 1] ** 3])
    assert np.corrcoef(transformed.T)[0, 1] < 0.45
    assert np.corrcoef(normal_scores(transformed).T)[0, 1] == pytest.approx(0.7, abs=0.03)
