"""Bounds on hidden confounders, against published numbers and against confounders that are really left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.causal.effects.refutation.sensitivity import (
    Known,
    bias,
    contour,
    e_value,
    e_value_of_ratio,
    robustness_value,
    sensitivity,
)
from cogorch_dagster.errors import InvalidInput


def test_published_e_value_and_robustness_values() -> None:
    # VanderWeele and Ding (2017): a risk ratio of 3.9 (1.8 at the bound) has E-values of 7.26 and 3.0.
    assert e_value_of_ratio(3.9) == pytest.approx(7.26, abs=0.01)
    assert e_value_of_ratio(1 / 1.8) == pytest.approx(3.0, abs=0.01)
    # Cinelli and Hazlett (2020), table 1: estimate .097, standard error .023, 783 degrees: 13.9 %, at the bound 7.6 %.
    scale = 0.023 * 783**0.5
    assert robustness_value(0.097, scale) == pytest.approx(0.139, abs=0.002)
    assert robustness_value(0.097 - 1.963 * 0.023, scale) == pytest.approx(0.076, abs=0.002)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 100), st.floats(0.01, 100))
def test_a_confounder_of_the_robustness_value_moves_the_estimate_to_zero(effect: float, scale: float) -> None:
    value = robustness_value(effect, scale)
    assert 0 < value < 1
    if value < 0.999:
        assert bias(value, value, scale) == pytest.approx(effect, rel=1e-4)


def test_the_bias_is_that_of_the_confounder_that_was_left_out() -> None:
    rng = np.random.default_rng(0)
    u, z = rng.normal(size=2000), rng.normal(size=(2000, 2))
    t = u + z[:, 0] + rng.normal(size=2000)
    y = t + u + z.sum(axis=1) + rng.normal(size=2000)
    without, full = ols(y, t, z), ols(y, t, np.column_stack([z, u]))
    one = np.column_stack([np.ones(2000), z])

    def left(column: np.ndarray, given: np.ndarray) -> np.ndarray:
        return column - given @ np.linalg.lstsq(given, column, rcond=None)[0]

    with_treatment = np.corrcoef(left(u, one), left(t, one))[0, 1] ** 2
    both = np.column_stack([one, t])
    with_outcome = np.corrcoef(left(u, both), left(y, both))[0, 1] ** 2
    error = without.outcome - without.estimate.value * without.treatment
    scale = (error @ error / (without.treatment @ without.treatment)) ** 0.5
    moved = without.estimate.value - full.estimate.value
    assert bias(with_treatment, with_outcome, scale) == pytest.approx(moved, rel=1e-6)


def test_benchmarks_are_those_of_the_control_itself_when_it_is_left_out() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(5000, 2))
    t = 0.5 * z.sum(axis=1) + rng.normal(size=5000)
    y = t + 0.5 * z.sum(axis=1) + rng.normal(size=5000)
    # Two controls of equal strength: a confounder as strong as one is what the other was.
    fit = ols(y, t, z[:, :1])
    found = sensitivity(fit, known=Known(y, t, z[:, :1], ("load",)), times=(1.0, 2.0))
    first = found.benchmarks[0]
    assert (first.control, first.times, first.overturns) == ("load", 1.0, False)
    assert first.adjusted == pytest.approx(ols(y, t, z).estimate.value, abs=0.06)
    assert found.benchmarks[1].adjusted < first.adjusted
    assert found.passed and "load" in found.sentence


def test_an_interval_with_zero_needs_no_confounder() -> None:
    rng = np.random.default_rng(2)
    found = sensitivity(ols(rng.normal(size=200), rng.normal(size=200)))
    assert (found.e_value_of_bound, found.robustness_of_bound, found.passed) == (1.0, 0.0, False)
    assert e_value(0.0) == 1.0


def test_contour_falls_with_the_strength_and_bad_input_is_named() -> None:
    rng = np.random.default_rng(3)
    t = rng.normal(size=500)
    fit = ols(-t + rng.normal(size=500), t)
    found = contour(fit, (0.0, 0.1, 0.3))
    assert found[0] == pytest.approx(fit.estimate.value)
    assert (np.diff(found[1:, 1:], axis=1) > 0).all()
    with pytest.raises(InvalidInput, match="below 1"):
        contour(fit, (1.0,))
    with pytest.raises(InvalidInput, match="one name each"):
        Known(t, t, t[:, None], ())
