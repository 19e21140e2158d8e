"""Doubly robust estimates are right where lines are wrong, and on two public data sets with a known answer."""

from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.doubly_robust import doubly_robust
from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.errors import InvalidInput
from tests.causal.effects.real import BENCHMARK, BENCHMARK_ERROR, ihdp, lalonde


def curved(seed: int, rows: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The effect is 1 + x1, larger for the treated."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    e = 1 / (1 + np.exp(-(np.sin(1.5 * x[:, 0]) + 0.8 * x[:, 1])))
    t = (rng.random(rows) < e).astype(float)
    return (1 + x[:, 1]) * t + 2 * np.sin(1.5 * x[:, 0]) + x[:, 2] ** 2 + rng.normal(size=rows), t, x


def test_average_effect_and_that_on_the_treated_differ_and_both_are_found() -> None:
    y, t, x = curved(0)
    everyone = doubly_robust(y, t, x).fit.estimate
    treated = doubly_robust(y, t, x, target="ATT").fit.estimate
    truth = float((1 + x[t == 1, 1]).mean())
    assert abs(everyone.value - 1.0) < 3 * everyone.se < 0.4
    assert abs(treated.value - truth) < 3 * treated.se < 0.5
    assert truth > 1.25
    assert abs(ols(y, t, x).estimate.value - 1.0) > 0.15


def test_the_same_seed_gives_the_same_bytes_and_row_scores_average_to_the_effect() -> None:
    y, t, x = curved(1, 2500)
    one, other = doubly_robust(y, t, x, seed=3), doubly_robust(y, t, x, seed=3)
    assert one.fit.estimate == other.fit.estimate
    assert one.scores.tobytes() == other.scores.tobytes()
    assert one.scores.mean() == pytest.approx(one.fit.estimate.value, rel=1e-9)
    assert one.propensity is not None and 0 < one.propensity.min() < one.propensity.max() < 1


def test_a_continuous_treatment_has_the_slope_of_the_partially_linear_model() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1500, 3))
    curve = np.sin(1.5 * x[:, 0]) + x[:, 1] * x[:, 2]
    t = curve + rng.normal(size=1500)
    y = 0.7 * t + 2 * curve + rng.normal(size=1500)
    found = doubly_robust(y, t, x).fit.estimate
    assert found.target == "slope"
    assert abs(found.value - 0.7) < 3 * found.se < 0.15
    assert ols(y, t, x).estimate.value > 1.1


def test_rows_without_counterparts_are_trimmed_and_told() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(800, 1))
    t = (rng.random(800) < 1 / (1 + np.exp(-3 * x[:, 0]))).astype(float)
    found = doubly_robust(t + x[:, 0] + rng.normal(size=800), t, x)
    assert found.fit.estimate.rows == found.fit.kept.sum() < 800
    assert "were trimmed" in found.fit.estimate.notes[0]
    assert abs(found.fit.estimate.value - 1) < 3 * found.fit.estimate.se


def test_lalonde_within_one_standard_error_of_the_experiment(realdata: Path) -> None:
    y, t, x = lalonde(realdata / "causal")
    found = doubly_robust(y, t, x, target="ATT").fit.estimate
    assert abs(found.value - BENCHMARK) <= BENCHMARK_ERROR
    assert y[t == 1].mean() - y[t == 0].mean() < -8000


def test_ihdp_average_effects(realdata: Path) -> None:
    errors = []
    for number in range(1, 6):
        y, t, x, truth = ihdp(realdata / "causal", number)
        errors.append(abs(doubly_robust(y, t, x).fit.estimate.value - truth))
    assert np.mean(errors) <= 0.12


def test_bad_input() -> None:
    y, t, x = curved(4, 200)
    with pytest.raises(InvalidInput, match="20 of each"):
        doubly_robust(y, (np.arange(200) < 5).astype(float), x)
    with pytest.raises(InvalidInput, match="trim"):
        doubly_robust(y, t, x, trim=0.5)
    with pytest.raises(InvalidInput, match="determine the treatment"):
        doubly_robust(y, x[:, 0], x)
