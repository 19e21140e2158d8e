"""All pure equilibria, and the choice among them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.games.payoffs import Game, named_game, nash_conv, pure_profile
from cogorch_dagster.games.pure import best_pure, pure_equilibria
from tests.games import named

LAW = settings(max_examples=40, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_they_are_the_joint_actions_without_nash_conv(shape: list[int], seed: int) -> None:
    game = named.random_game(np.random.default_rng(seed), *shape, integers=3)
    proven = [joint for joint in product(*map(range, game.shape)) if nash_conv(game, pure_profile(game, joint)) == 0]
    assert pure_equilibria(game, tolerance=0.0) == proven
    best = best_pure(game)
    assert (best is None) == (not proven)
    if best is not None:
        assert best.nash_conv == 0
        assert best.welfare == max(float(game.payoffs[(slice(None), *joint)].sum()) for joint in proven)


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_renaming_actions_and_rescaling_payoffs_leave_them(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, *shape, integers=3)
    orders = [rng.permutation(size) for size in game.shape]
    payoffs = game.payoffs[np.ix_(range(game.n_players), *orders)]
    scale = rng.integers(1, 9, size=game.n_players).reshape(-1, *([1] * len(shape)))
    other = named_game(payoffs * scale - 3)
    back = {tuple(int(order[a]) for order, a in zip(orders, joint, strict=True)) for joint in pure_equilibria(other)}
    assert back == set(pure_equilibria(game))


@pytest.mark.parametrize(
    ("game", "equilibria"),
    [
        (named.prisoners_dilemma(), [(1, 1)]),
        (named.battle_of_the_sexes(), [(0, 0), (1, 1)]),
        (named.matching_pennies(), []),
        (named.jordan(), []),
        (named.mckelvey_mclennan(), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]),
        (named.volunteers_dilemma(3), [(0, 1, 1), (1, 0, 1), (1, 1, 0)]),
        (named.minimum_effort(), [(0,) * 4, (1,) * 4, (2,) * 4]),
        (named.public_goods(), [(0,) * 4]),
        (named_game([[1.0, 3.0, 3.0]]), [(1,), (2,)]),
    ],
)
def test_known_games(game: Game, equilibria: list[tuple[int, ...]]) -> None:
    assert pure_equilibria(game) == equilibria


def test_of_several_the_dominant_one_is_played_then_the_first() -> None:
    best = best_pure(named.minimum_effort())
    assert best is not None
    assert [int(mix.argmax()) for mix in best.profile] == [2, 2, 2, 2]
    tied = best_pure(named.battle_of_the_sexes())
    assert tied is not None
    assert [int(mix.argmax()) for mix in tied.profile] == [0, 0]
    # Welfare 5 and 9, neither dominates.
    apart = best_pure(named.bimatrix([[4, 0], [0, 1]], [[1, 0], [0, 8]]))
    assert apart is not None
    assert (apart.welfare, apart.concept) == (9, "pure nash")


def test_gains_within_the_tolerance_count_as_none() -> None:
    game = named.bimatrix([[1.0, 0.0], [1.001, 0.0]], [[1.0, 0.0], [0.0, 0.001]])
    assert pure_equilibria(game, tolerance=0.0) == [(1, 1)]
    assert pure_equilibria(game, tolerance=0.002) == [(0, 0), (1, 0), (1, 1)]
    best = best_pure(game, tolerance=0.002)
    assert best is not None
    assert 0 < best.nash_conv <= 2 * 0.002 * game.range
