import numpy as np
import pytest

from cogorch_dagster.rewards.weighted import Sums


def sums(y: np.ndarray, w: np.ndarray) -> Sums:
    return Sums(len(y), *(float(each.sum()) for each in (w, w * y, w * w, w * w * y, w * w * y * y)))


def test_with_equal_weights_it_is_the_usual_standard_error() -> None:
    y = np.random.default_rng(1).normal(5, 2, 200)
    found = sums(y, np.full(200, 7.0))
    assert found.mean == pytest.approx(y.mean())
    assert found.standard_error == pytest.approx(y.std(ddof=1) / np.sqrt(200))


def test_too_few_rows_have_no_statistic() -> None:
    assert sums(np.array([]), np.array([])).mean is None
    one = sums(np.array([3.0]), np.array([2.0]))
    assert (one.mean, one.standard_error) == (3.0, None)


def test_equal_values_have_no_error_and_no_rounding_below_zero() -> None:
    found = sums(np.full(1000, 0.78), np.tile([1.0, 3.0], 500))
    assert found.standard_error == pytest.approx(0, abs=1e-7)


def test_the_error_is_the_spread_over_repeated_samples() -> None:
    """Traffic is drawn anew each time; successes are kept at 1 in 5 with weight 5, failures always with weight 1."""
    generator = np.random.default_rng(20260301)
    means, errors = [], []
    for _ in range(2000):
        failed = generator.random(600) < 0.15
        y = np.where(failed, generator.uniform(0, 0.2, 600), generator.normal(0.7, 0.1, 600))
        kept = failed | (generator.random(600) < 0.2)
        found = sums(y[kept], np.where(failed, 1.0, 5.0)[kept])
        means.append(found.mean)
        errors.append(found.standard_error)
    truth = 0.15 * 0.1 + 0.85 * 0.7
    spread = np.std(means)
    assert np.mean(means) == pytest.approx(truth, abs=4 * spread / np.sqrt(2000))
    assert np.mean(errors) == pytest.approx(spread, rel=0.06)
    covered = np.mean(np.abs(np.array(means) - truth) < 1.96 * np.array(errors))
    assert 0.93 < covered < 0.97
