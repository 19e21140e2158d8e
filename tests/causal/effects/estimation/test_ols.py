"""Least squares agrees with a textbook computation, and its errors hold for unequal variances, clusters and series."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.errors import InvalidInput


def confounded(seed: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, 3))
    t = z @ [1.0, -0.5, 0.2] + rng.normal(size=rows)
    return 2.0 * t + z @ [1.0, 1.0, 0.0] + rng.normal(size=rows) * (1 + np.abs(t)), t, z


@pytest.mark.parametrize(("correction", "power"), [("HC2", 1.0), ("HC3", 2.0)])
def test_slope_and_robust_error_are_those_of_the_matrix_formula(correction: str, power: float) -> None:
    y, t, z = confounded(0)
    x = np.column_stack([t, np.ones(len(t)), z])
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    error = (y - x @ beta) ** 2 / (1 - np.einsum("ij,jk,ik->i", x, inverse, x)) ** power
    sandwich = inverse @ (x.T * error) @ x @ inverse
    found = ols(y, t, z, correction=correction).estimate  # type: ignore[arg-type]
    assert found.value == pytest.approx(beta[0], rel=1e-10)
    assert found.se == pytest.approx(sandwich[0, 0] ** 0.5, rel=1e-8)
    assert found.interval[0] < 2.0 < found.interval[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_scale_the_effect_and_controls_may_be_mixed(seed: int, scale: float, shift: float) -> None:
    y, t, z = confounded(seed, 60)
    mix = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, 2.0], [0.5, 0.0, 1.0]])
    one, other = ols(y, t, z).estimate, ols(y * scale + shift, t / scale, z @ mix + shift).estimate
    assert other.value == pytest.approx(one.value * scale**2, rel=1e-6)
    assert other.se == pytest.approx(one.se * scale**2, rel=1e-6)
    assert other.p == pytest.approx(one.p, rel=1e-4, abs=1e-12)


def test_collinear_controls_are_left_out_with_a_note() -> None:
    y, t, z = confounded(1)
    wide = np.column_stack([z, z[:, 0] - 2 * z[:, 2], np.full(len(t), 7.0)])
    found = ols(y, t, wide).estimate
    assert found.value == pytest.approx(ols(y, t, z).estimate.value, rel=1e-8)
    assert found.notes == ("2 controls are combinations of others and were left out",)


def autoregressive(rng: np.random.Generator, rows: int, rho: float) -> np.ndarray:
    noise = rng.normal(size=rows)
    found = np.empty(rows)
    found[0] = noise[0] / (1 - rho**2) ** 0.5
    for k in range(1, rows):
        found[k] = rho * found[k - 1] + noise[k]
    return found


def test_in_a_series_the_interval_is_wide_enough_where_independent_rows_would_mislead() -> None:
    covered = naive = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        z = autoregressive(rng, 500, 0.9)
        t, y = z + autoregressive(rng, 500, 0.9), z + autoregressive(rng, 500, 0.9)
        found = ols(y, t, z, groups=np.zeros(500, dtype=np.int64)).estimate
        plain = ols(y, t, z).estimate
        covered += not found.excludes_zero
        naive += not plain.excludes_zero
        assert found.errors.startswith("series") and found.effective_rows < 300
    assert covered >= 87
    assert naive <= 70


def test_many_groups_are_clusters() -> None:
    covered = 0
    groups = np.repeat(np.arange(50), 8)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        t = rng.normal(size=50)[groups] + rng.normal(size=400)
        y = 2 * rng.normal(size=50)[groups] + rng.normal(size=400)
        found = ols(y, t, groups=groups).estimate
        covered += not found.excludes_zero
    assert found.errors == "clusters (50)" and found.degrees == 49
    assert covered >= 88


def test_independent_rows_of_one_group_keep_the_plain_error() -> None:
    plain = 0
    for seed in range(60):
        y, t, z = confounded(seed)
        plain += ols(y, t, z, groups=np.zeros(len(y), dtype=np.int64)).estimate.errors == "independent"
    # The test for correlation errs in one case of twenty.
    assert plain >= 52


def test_bad_input_names_what_is_wrong() -> None:
    y, t, z = confounded(2, 40)
    with pytest.raises(InvalidInput, match="determine the treatment"):
        ols(y, z[:, 0], z)
    with pytest.raises(InvalidInput, match="same in all rows"):
        ols(y, np.ones(40), z)
    with pytest.raises(InvalidInput, match="missing or infinite"):
        ols(np.where(np.arange(40) == 3, np.nan, y), t, z)
    with pytest.raises(InvalidInput, match="too few"):
        ols(y[:12], t[:12], z[:12])
    with pytest.raises(InvalidInput, match="one row each"):
        ols(y, t[:-1], z)
