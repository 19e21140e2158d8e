"""Iterated polymatrix approximation: exact in one round where the game is one, and often where it is not."""

import numpy as np
import pytest

from cogorch_dagster.games.derivatives import derivatives
from cogorch_dagster.games.payoffs import named_game
from cogorch_dagster.games.polymatrix import approximate, iterate
from tests.games import families, named

FOREVER = float("inf")


@pytest.mark.parametrize("seed", range(10))
def test_a_polymatrix_game_is_solved_by_its_own_approximation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = derivatives(named_game(families.pairwise(rng, 4, 3, 5, 3)))
    # wherever it is approximated, and along every ray
    x = np.concatenate(kernel.profile(rng.random(kernel.total)))
    found = approximate(kernel, x, 1 + rng.random(kernel.total + kernel.players), deadline=FOREVER)
    assert found is not None
    assert kernel.gap(found) < 1e-8


def test_the_approximation_touches_at_the_point() -> None:
    """An equilibrium in pure strategies of the game is one of its approximation there: the pivots may find it."""
    kernel = derivatives(named.minimum_effort(3, 2))
    x = np.tile([0.0, 1.0], 3)
    found = approximate(kernel, x, np.arange(1.0, 10.0), deadline=FOREVER)
    assert found is not None
    assert kernel.gap(found) < 1e-9


def test_random_games_from_several_starts() -> None:
    rng = np.random.default_rng(4)
    solved = 0
    for _ in range(15):
        kernel = derivatives(families.mixed_only("normal", rng, 3, 3, 3))
        solved += any(
            iterate(kernel, np.concatenate(kernel.profile(rng.random(9))), rng, rounds=8, deadline=FOREVER)[1] < 1e-9
            for _ in range(4)
        )
    assert solved >= 14


def test_the_deadline_leaves_the_start() -> None:
    kernel = derivatives(named.jordan())
    start = np.array([0.9, 0.1, 0.2, 0.8, 0.5, 0.5])
    x, gap = iterate(kernel, start, np.random.default_rng(0), rounds=50, deadline=0.0)
    np.testing.assert_array_equal(x, start)
    assert gap == np.inf
