"""Values and slopes of all actions: equal to the plain contraction, and to differences."""

import numpy as np
import pytest

from cogorch_dagster.games.derivatives import derivatives
from cogorch_dagster.games.payoffs import action_values, nash_conv
from tests.games import named

SHAPES = [(2, 3), (3, 2, 4), (2, 5, 3, 2), (1, 3, 2), (2, 2, 2, 3, 2), (2, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gap_are_those_of_the_payoffs(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    game = named.random_game(rng, *shape)
    kernel = derivatives(game)
    profile = kernel.profile(rng.random(kernel.total))
    x = np.concatenate(profile)
    np.testing.assert_allclose(kernel.at(x)[0], np.concatenate(action_values(game, profile)), atol=1e-13)
    assert kernel.gap(x) == pytest.approx(nash_conv(game, profile), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_slopes_are_the_differences_of_values(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    kernel = derivatives(named.random_game(rng, *shape))
    x = rng.random(kernel.total)  # values are linear in each player's mix: a difference is exact, on the simplex or not
    slopes = kernel.at(x)[1]
    for column in range(kernel.total):
        ahead = x.copy()
        ahead[column] += 1.0
        np.testing.assert_allclose(slopes[:, column], kernel.at(ahead)[0] - kernel.at(x)[0], atol=1e-12)
        np.testing.assert_array_equal(slopes[kernel.owner == kernel.owner[column], column], 0.0)


def test_what_is_cut_off_leaves_distributions() -> None:
    kernel = derivatives(named.jordan())
    first, second, third = kernel.profile(np.array([0.5, -0.1, 0.0, 0.0, np.inf, 1.0]))
    np.testing.assert_array_equal(first, [1, 0])
    np.testing.assert_array_equal(second, [0.5, 0.5])
    np.testing.assert_array_equal(third, [0.5, 0.5])
    np.testing.assert_array_equal(kernel.uniform(), 0.5)
