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
    assert found.columns[:, : found.linear].std(axis=0) == pytest.approx(1.0)
    assert found.columns[:, found.smooth :].std(axis=0) == pytest.approx(1.0)
    grid = np.concatenate([rng.normal(size=400), [20.0, 21.0, 22.0]])
    columns = expand(grid[:, None]).columns
    tail = columns[-3:]
    assert tail[2] - tail[1] == pytest.approx(tail[1] - tail[0], rel=1e-6)


def test_wavier_splines_are_smaller_so_that_one_penalty_bears_on_them_more() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.normal(size=1500))
    found = expand(x[:, None])
    waves = found.columns[:, found.linear : found.smooth]
    assert waves.shape[1] == 7
    turns = [int(np.sum(np.diff(np.sign(np.diff(wave))) != 0)) for wave in waves.T]
    deviations = waves.std(axis=0)
    assert deviations[0] == pytest.approx(1.0) and (np.diff(deviations) < 0).all() and deviations[-1] > 0.1
    assert turns[-1] > turns[0] and np.corrcoef(turns, deviations)[0, 1] < -0.8
    products = waves.T @ waves
    assert np.abs(products - np.diag(np.diag(products))).max() < 1e-6 * np.diag(products).max()


@pytest.mark.parametrize("levels", [2, 3, 5, 12])
def test_few_values_get_as_many_curves_as_they_can_bend(levels: int) -> None:
    # The outer knot, at .98, falls between the values of rows 980 and 981 and is neither.
    column = np.concatenate([np.zeros(980), 1.0 + np.arange(20) % (levels - 1)])
    for values in (column, np.arange(1000) % levels):
        found = expand(values.astype(float)[:, None])
        curves = found.columns[:, found.linear : found.smooth]
        assert np.isfinite(found.columns).all()
        assert curves.shape[1] <= levels - 2
        assert np.linalg.matrix_rank(curves) == curves.shape[1] or not curves.size
