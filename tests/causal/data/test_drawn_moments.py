"""Moments of draws are those of EM run to its end, but for a small part of what draws differ by."""

import numpy as np
import pytest

from cogorch_dagster.causal.data import drawn_moments
from cogorch_dagster.causal.data.drawn_moments import DrawnMoments
from cogorch_dagster.causal.data.missing import Moments, em_moments

DRAWS = 40


def draws(rng: np.random.Generator, rows: int) -> list[np.ndarray]:
    return [np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(float) for _ in range(DRAWS)]


def entries(found: list[Moments], whole: Moments) -> np.ndarray:
    """(draws, q + q q) means and covariances in standard units."""
    scale = np.sqrt(np.diag(whole.covariance))
    return np.array(
        [
            np.concatenate([(m.mean - whole.mean) / scale, (m.covariance / np.outer(scale, scale)).ravel()])
            for m in found
        ]
    )


@pytest.mark.parametrize("pattern", ["random", "stretches"])
def test_draws_spread_as_those_of_em_do(pattern: str) -> None:
    rng = np.random.default_rng(0)
    values = 1e6 + rng.standard_normal((500, 6)) @ (np.eye(6) + 0.4 * rng.standard_normal((6, 6))) * 100
    if pattern == "random":
        values[rng.random(values.shape) < 0.3] = np.nan
    else:
        values[:150, :2] = values[300:420, 4] = np.nan
    whole = em_moments(values)
    weights = draws(rng, len(values))
    held = DrawnMoments(values, whole)
    near = entries([held.of(each) for each in weights], whole)
    exact = entries([em_moments(values, whole, each) for each in weights], whole)
    spread = exact.std(axis=0)
    assert np.sqrt((((near - exact) / spread) ** 2).mean()) < 0.08
    np.testing.assert_allclose(near.std(axis=0) / spread, 1.0, atol=0.08)


def test_complete_rows_have_plain_moments_and_rows_not_drawn_do_not_count() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((80, 3)) * [1.0, 50.0, 1e-4] + 1e3
    weights = draws(rng, 80)[0]
    found = DrawnMoments(values, em_moments(values)).of(weights)
    drawn = np.repeat(values, weights.astype(int), axis=0)
    np.testing.assert_allclose(found.mean, drawn.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(drawn.T, ddof=0), rtol=1e-6, atol=1e-12)
    values[rng.random(values.shape) < 0.2] = np.nan
    whole = em_moments(values)
    other = values.copy()
    other[weights == 0] = 1e3
    other[weights == 0, 0] = np.nan
    one, two = (DrawnMoments(each, whole).of(weights) for each in (values, other))
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-9, atol=1e-15)


def test_what_is_kept_between_draws_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4))
    values[rng.random(values.shape) < 0.2] = np.nan
    whole, weights = em_moments(values), draws(rng, 200)[0]
    kept = DrawnMoments(values, whole).of(weights)
    monkeypatch.setattr(drawn_moments, "_MOST_KEPT", 0)
    anew = DrawnMoments(values, whole).of(weights)
    np.testing.assert_allclose(anew.covariance, kept.covariance, rtol=1e-9, atol=1e-12)


def test_dependent_and_hardly_known_columns_leave_a_covariance() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((120, 3))
    values = np.column_stack([values, values.sum(axis=1), values[:, 0]])
    values[rng.random(values.shape) < 0.3] = np.nan
    values[12:, 2] = np.nan
    held = DrawnMoments(values, em_moments(values))
    without = np.where(np.arange(120) < 12, 0.0, 120 / 108)
    assert not np.isnan(held.of(without).covariance).any()
    for weights in draws(rng, 120):
        covariance = held.of(weights).covariance
        scale = np.sqrt(np.diag(covariance))
        assert np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] > -1e-8
