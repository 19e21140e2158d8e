"""Reduction: nothing is lost that an equilibrium needs, everything is lost that none can use."""

import numpy as np
import pytest

from cogorch_dagster.games.payoffs import named_game, nash_conv
from cogorch_dagster.games.pure import pure_equilibria
from cogorch_dagster.games.reduction import reduced, scaled
from tests.games import families, named


def test_dominance_solves_the_dilemma_and_public_goods() -> None:
    for game in (named.prisoners_dilemma(), named.public_goods()):
        reduction = reduced(game)
        assert reduction.game is None
        assert nash_conv(game, reduction.restored(())) == 0


def test_elimination_is_iterated() -> None:
    # only after the column player drops its third action does the row player's second become dominated
    first = [[3, 2, 0], [2, 1, 9], [0, 0, 1]]
    second = [[1, 2, 0], [2, 1, 0], [1, 1, 0]]
    assert reduced(named_game([first, second])).kept == ((0,), (1,))


@pytest.mark.parametrize("seed", range(10))
def test_every_pure_equilibrium_survives(seed: int) -> None:
    game = named.random_game(np.random.default_rng(seed), 4, 3, 3, integers=4)
    reduction = reduced(game)
    if not reduction.deciding:  # equal actions of the last player who decided are represented by the first
        assert nash_conv(game, reduction.restored(())) == 0
        return
    for joint in pure_equilibria(game, tolerance=0.0):
        assert all(action in own for action, own in zip(joint, reduction.kept, strict=True))


def test_a_weakly_dominated_action_stays() -> None:
    assert reduced(named_game([[[1, 1], [1, 0]], [[1, 0], [0, 1]]])).kept == ((0, 1), (0, 1))


def test_the_way_back() -> None:
    rng = np.random.default_rng(8)
    inner = families.mixed_only("normal", rng, 3, 3)
    payoffs = np.full((3, 4, 2, 3), -100.0)  # player 2 has one good action, player 1 a bad one in front
    payoffs[[0, 2], 1:, 1] = inner.payoffs
    payoffs[1, :, 1] = 1.0
    reduction = reduced(named_game(payoffs))
    assert reduction.deciding == (0, 2)
    assert reduction.kept == ((1, 2, 3), (1,), (0, 1, 2))
    mixes = reduction.restored((np.array([0.5, 0.25, 0.25]), np.array([0.0, 1.0, 0.0])))
    np.testing.assert_array_equal(mixes[0], [0, 0.5, 0.25, 0.25])
    np.testing.assert_array_equal(mixes[1], [0, 1])
    np.testing.assert_array_equal(mixes[2], [0, 1, 0])


def test_scaling_forgets_what_changes_no_equilibrium() -> None:
    rng = np.random.default_rng(9)
    payoffs = rng.normal(size=(3, 3, 2, 4))
    moved = payoffs.copy()
    moved[1] = 1e3 * moved[1] + rng.normal(size=(3, 1, 4))  # constant in player 1's own action
    np.testing.assert_allclose(scaled(moved), scaled(payoffs), atol=1e-12)
    assert np.ptp(scaled(payoffs)[0], axis=0).max() == pytest.approx(1)
    np.testing.assert_array_equal(scaled(np.ones((2, 3, 2))), 0)
