"""Penalised regressions and how their penalty is chosen."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.features import expand
from cogorch_dagster.causal.effects.estimation.ridge import logistic, ridge, tuned_logistic, tuned_ridge


def test_leave_one_out_error_is_that_of_leaving_one_out() -> None:
    rng = np.random.default_rng(0)
    x = expand(rng.normal(size=(40, 3))).columns[:, :3]
    y = x @ [1.0, 0.5, 0.0] + rng.normal(size=40)
    penalty, error = tuned_ridge(x, y)
    left = []
    for k in range(40):
        rows = np.arange(40) != k
        # The penalty per row is for 40 rows.
        left.append(y[k] - ridge(x[rows], y[rows], penalty * 40 / 39).predict(x[k : k + 1])[0])
    assert np.mean(np.square(left)) == pytest.approx(error, rel=1e-8)


def test_logistic_ridge_solves_its_equations_and_noise_is_shrunk() -> None:
    rng = np.random.default_rng(1)
    x = expand(rng.normal(size=(500, 4))).columns[:, :4]
    labels = (rng.random(500) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    fit = logistic(x, labels, 0.01)
    left = labels - fit.predict(x)
    assert left.sum() == pytest.approx(0.0, abs=1e-3)
    assert x.T @ left == pytest.approx(0.01 * 500 * fit.slopes, abs=1e-3)
    coin = (rng.random(500) < 0.5).astype(float)
    assert tuned_logistic(x, coin)[0] >= 0.1 > tuned_logistic(x, labels)[0]


def test_features_are_standard_mark_spikes_and_are_linear_in_the_tails() -> None:
    rng = np.random.default_rng(2)
    earnings = np.where(rng.random(400) < 0.3, 0.0, rng.gamma(2.0, 1.0, 400))
    found = expand(np.column_stack([earnings, rng.normal(size=400), np.ones(400)]))
    assert found.linear == 3
    assert found.columns.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert found.columns.std(axis=0) == pytest.approx(1.0)
    grid = np.concatenate([rng.normal(size=400), [20.0, 21.0, 22.0]])
    columns = expand(grid[:, None]).columns
    tail = columns[-3:]
    assert tail[2] - tail[1] == pytest.approx(tail[1] - tail[0], rel=1e-6)
