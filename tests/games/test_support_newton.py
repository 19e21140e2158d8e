"""Polishing: exact from a near guess, and right again from a support that is one action off."""

import numpy as np
import pytest

from cogorch_dagster.games.derivatives import derivatives
from cogorch_dagster.games.support_newton import indifferent, polish
from tests.games import named


def test_jordan_from_far_away() -> None:
    kernel = derivatives(named.jordan())
    x, gap = polish(kernel, np.array([0.8, 0.2, 0.3, 0.7, 0.6, 0.4]), np.ones(6, dtype=np.bool_))
    np.testing.assert_allclose(x, 0.5, atol=1e-12)
    assert gap < 1e-12


def test_the_volunteers_mix() -> None:
    kernel = derivatives(named.volunteers_dilemma(4, 2.0, 1.0))
    x, gap = polish(kernel, np.tile([0.3, 0.7], 4), np.ones(8, dtype=np.bool_))
    np.testing.assert_allclose(x[1::2], 0.5 ** (1 / 3), atol=1e-12)
    assert gap < 1e-12


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_support_that_is_one_action_off_is_repaired(wrong: int) -> None:
    # Jordan's game with a third action for player 1 that is never best
    payoffs = named.jordan().payoffs
    worse = np.stack([np.full((2, 2), -1.0), np.zeros((2, 2)), np.zeros((2, 2))])[:, None]
    kernel = derivatives(named.named_game(np.concatenate([payoffs, worse], axis=1)))
    support = np.array([True, True, False, True, True, True, True])
    support[wrong] = not support[wrong]
    x, gap = polish(kernel, np.array([0.4, 0.5, 0.1, 0.5, 0.5, 0.5, 0.5]), support)
    np.testing.assert_allclose(x, [0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5], atol=1e-12)
    assert gap < 1e-12


def test_never_worse_than_the_guess() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        kernel = derivatives(named.random_game(rng, 3, 4, 3))
        x = np.concatenate(kernel.profile(rng.random(kernel.total)))
        before = kernel.gap(x)
        found, gap = polish(kernel, x, np.ones(kernel.total, dtype=np.bool_))
        assert gap <= before
        assert gap == pytest.approx(kernel.gap(found), abs=1e-12)


def test_a_whole_edge_of_solutions_is_no_obstacle() -> None:
    kernel = derivatives(named.named_game(np.zeros((3, 2, 2, 2))))
    x, values = indifferent(kernel, kernel.uniform(), np.ones(6, dtype=np.bool_))
    np.testing.assert_allclose(x, 0.5)
    np.testing.assert_array_equal(values, 0)


def test_no_step_after_the_deadline() -> None:
    kernel = derivatives(named.volunteers_dilemma())
    guess, everything = np.tile([0.3, 0.7], 4), np.ones(8, dtype=np.bool_)
    late = indifferent(kernel, guess, everything, deadline=0.0)[0]
    exact = indifferent(kernel, guess, everything)[0]
    assert 1e-6 < np.abs(late - exact).max() < 1  # one step of Newton's method only
