"""Quantiles and corrections against scipy, and against what they promise."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, t

from cogorch_dagster.evaluation.intervals import benjamini_hochberg, holm, quantile, two_sided_p


@pytest.mark.parametrize("degrees", [3, 5, 10, 29, 1000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_quantile_is_students(degrees: int, level: float) -> None:
    exact = t.ppf((1 + level) / 2, degrees)
    assert quantile(degrees + 1, level) == pytest.approx(exact, rel=0.02 if degrees < 5 else 0.003)
    if level == 0.95:
        assert quantile(degrees + 1) == pytest.approx(exact, abs=0.004)


def test_it_is_normal_in_the_limit_and_finite_for_nothing() -> None:
    assert quantile(np.inf) == pytest.approx(1.959964, abs=1e-6)
    assert np.isfinite(quantile(0.0))
    np.testing.assert_allclose(quantile([10, 100]), [quantile(10), quantile(100)])


def test_p_values() -> None:
    found = two_sided_p(np.array([2.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0]), np.array([31.0, 31.0, 31.0]))
    np.testing.assert_allclose(found, [2 * t.sf(2, 30), 1, 1])


def test_benjamini_hochberg_rejects_what_scipy_does() -> None:
    rng = np.random.default_rng(1)
    some = 0
    for _ in range(200):
        p = np.where(rng.random(12) < 0.4, rng.random(12) * 0.02, rng.random(12))
        rejected = benjamini_hochberg(p)
        np.testing.assert_array_equal(rejected, false_discovery_control(p) <= 0.05)
        some += rejected.any()
    assert some > 100
    assert not benjamini_hochberg(np.array([])).any()


def test_holm_steps_down() -> None:
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])
    p = np.random.default_rng(2).random((4000, 8))
    wrong = np.mean([(holm(row) <= 0.05).any() for row in p])
    assert wrong == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / 4000))
