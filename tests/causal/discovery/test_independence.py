"""The tests are those of the textbook, uniform under independence, and refuse what names no variable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.independence import critical_values, p_value
from cogorch_dagster.errors import InvalidInput
from tests.causal.discovery.linear_systems import Floats, correlation, exact, random_dag, rows_of, sampled

SEEDS = st.integers(0, 2**32 - 1)


def residuals(values: Floats, given: Floats) -> Floats:
    design = np.column_stack([np.ones(len(values)), given])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def blocks(*parts: Floats) -> SufficientStatistics:
    """Each part is the columns of one variable."""
    owner = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    matrix = np.corrcoef(np.column_stack(parts).T)
    return SufficientStatistics(tuple("xyzuv")[: len(parts)], owner, matrix, len(parts[0]), float(len(parts[0])))


def indicators(codes: np.ndarray, levels: int) -> Floats:
    return (codes[:, None] == np.arange(1, levels)).astype(float)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 4))
def test_single_columns_are_fishers_z_of_the_residuals(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    values = rows_of(rng, correlation(rng, random_dag(rng, 6, 0.5)), 80)
    given = [2, 3, 4, 5][:size]
    r = np.corrcoef(residuals(values[:, :2], values[:, given]).T)[0, 1]
    expected = 2 * stats.norm.sf(np.sqrt(80 - size - 3) * abs(np.arctanh(r)))
    found = p_value(sampled(values), 0, 1, given)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-300)
    assert p_value(sampled(values), 1, 0, given[::-1]) == pytest.approx(found, rel=1e-6, abs=1e-300)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_blocks_are_wilks_lambda_of_the_residuals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, z = rng.normal(size=(3, 90, 3))
    z = z[:, :2]
    y = y[:, :2] + 0.2 * x[:, :2] + z
    full = np.linalg.det(np.cov(residuals(y, np.column_stack([x, z])).T))
    ratio = full / np.linalg.det(np.cov(residuals(y, z).T))
    expected = stats.chi2.sf(-(90 - 2 - (3 + 2 + 3) / 2) * np.log(ratio), 6)
    assert p_value(blocks(x, y, z), 0, 1, [2]) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_mixed_variables_give_uniform_p_values_when_independent() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        z = rng.normal(size=(200, 1))
        x = z + rng.normal(size=(200, 1))
        codes = np.digitize(z[:, 0] + rng.logistic(size=200), [-1.0, 1.0])
        # X and Y depend on each other, but only by Z, which a linear model of the levels captures well enough here.
        found.append(p_value(blocks(x, indicators(codes, 3), z), 0, 1, [2]))
        assert p_value(blocks(x, indicators(codes, 3), z), 0, 1) < 0.05
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_weak_dependence_between_discrete_variables_is_found() -> None:
    rng = np.random.default_rng(4)
    first = rng.integers(0, 3, size=3000)
    second = np.where(rng.random(3000) < 0.15, first, rng.integers(0, 3, size=3000))
    third = rng.integers(0, 4, size=3000)
    found = blocks(indicators(first, 3), indicators(second, 3), indicators(third, 4))
    assert p_value(found, 0, 1, [2]) < 1e-6
    assert p_value(found, 0, 2, [1]) > 0.01


def test_a_set_too_large_for_the_rows_never_separates() -> None:
    few = exact(np.eye(6), rows=6)
    assert p_value(few, 0, 1, [2, 3]) == 1.0
    assert p_value(few, 0, 1, [2, 3, 4]) == 0.0


def test_critical_values_are_those_of_the_tests() -> None:
    bounds = critical_values(blocks(*np.random.default_rng(0).normal(size=(2, 50, 2))), 0.05)
    assert bounds[1:] == pytest.approx(stats.chi2.isf(0.05, [1, 2, 3, 4]))


def test_bad_arguments_are_refused() -> None:
    found = exact(np.eye(3))
    with pytest.raises(InvalidInput, match="no variable at 3"):
        p_value(found, 0, 3)
    with pytest.raises(InvalidInput, match="twice"):
        p_value(found, 0, 1, [1])
    with pytest.raises(InvalidInput, match=r"alpha 1\.5"):
        critical_values(found, 1.5)
