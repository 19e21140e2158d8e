"""Lemke's pivots: solutions complement each other, degenerate problems end, and rays are said to be rays."""

import numpy as np
import pytest

from cogorch_dagster.games.complementary_pivot import solve_complementarity

FOREVER = float("inf")


@pytest.mark.parametrize("seed", range(20))
def test_positive_definite_problems(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(8, 8))
    matrix, right = root @ root.T + 0.1 * np.eye(8), rng.normal(size=8)
    z = solve_complementarity(matrix, right, np.ones(8), most_pivots=500, deadline=FOREVER)
    assert z is not None
    w = matrix @ z + right
    assert z.min() >= -1e-9
    assert w.min() >= -1e-8
    assert abs(z @ w) < 1e-7


@pytest.mark.parametrize("seed", range(20))
def test_degenerate_problems_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.integers(-1, 2, size=(10, 4)).astype(float)  # rank 4: positive semidefinite, full of ties
    matrix = root @ root.T
    right = matrix @ rng.integers(0, 2, size=10) * -1.0
    z = solve_complementarity(matrix, right, np.ones(10), most_pivots=500, deadline=FOREVER)
    assert z is not None
    w = matrix @ z + right
    assert min(z.min(), w.min()) >= -1e-8
    assert abs(z @ w) < 1e-7


def test_nothing_to_do() -> None:
    z = solve_complementarity(np.eye(2), np.array([0.0, 1.0]), np.ones(2), most_pivots=1, deadline=FOREVER)
    np.testing.assert_array_equal(z, [0, 0])


def test_an_infeasible_problem_ends_in_a_ray() -> None:
    assert solve_complementarity(-np.eye(2), -np.ones(2), np.ones(2), most_pivots=50, deadline=FOREVER) is None


def test_pivots_and_time_are_bounded() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8))
    matrix, right = root @ root.T, -rng.random(8)
    assert solve_complementarity(matrix, right, np.ones(8), most_pivots=1, deadline=FOREVER) is None
    assert solve_complementarity(matrix, right, np.ones(8), most_pivots=500, deadline=0.0) is None
