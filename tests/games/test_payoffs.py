"""What mixes are worth, and that the NashConv proves exactly the equilibria."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.payoffs import (
    Game,
    Profile,
    action_values,
    deviation_gains,
    expected_payoffs,
    named_game,
    nash_conv,
    pure_profile,
    verified,
)
from tests.games import named

LAW = settings(max_examples=40, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def mixed(rng: np.random.Generator, game: Game) -> Profile:
    return tuple(rng.dirichlet(np.ones(size)) for size in game.shape)


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_values_are_expectations_over_all_joint_actions(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, *shape)
    profile = mixed(rng, game)
    expected = np.zeros(game.n_players)
    values = [np.zeros(size) for size in game.shape]
    for joint in product(*map(range, game.shape)):
        chances = [float(mix[a]) for mix, a in zip(profile, joint, strict=True)]
        for player in range(game.n_players):
            payoff = float(game.payoffs[(player, *joint)])
            expected[player] += payoff * np.prod(chances)
            values[player][joint[player]] += payoff * np.prod(chances[:player] + chances[player + 1 :])
    assert expected_payoffs(game, profile) == pytest.approx(expected, abs=1e-12)
    for found, wanted in zip(action_values(game, profile), values, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_gains_are_those_of_the_best_pure_deviations(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, *shape)
    profile = mixed(rng, game)
    gains = deviation_gains(game, profile)
    assert (gains >= 0).all()
    for player, size in enumerate(game.shape):
        best = max(
            expected_payoffs(game, (*profile[:player], np.eye(size)[a], *profile[player + 1 :]))[player]
            for a in range(size)
        )
        assert gains[player] == pytest.approx(best - expected_payoffs(game, profile)[player], abs=1e-12)
    assert nash_conv(game, profile) == pytest.approx(gains.sum())


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-100, 100))
def test_nash_conv_scales_with_payoffs_and_ignores_constants(
    shape: list[int], seed: int, factor: float, constant: float
) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, *shape)
    profile = mixed(rng, game)
    other = named_game(game.payoffs * factor + constant)
    assert nash_conv(other, profile) == pytest.approx(factor * nash_conv(game, profile), abs=1e-11 * (1 + constant**2))


@pytest.mark.parametrize(
    ("game", "profile"),
    [
        (named.jordan(), ([0.5, 0.5],) * 3),
        (named.battle_of_the_sexes(), ([0.6, 0.4], [0.4, 0.6])),
        (named.matching_pennies(), ([0.5, 0.5], [0.5, 0.5])),
        (named.mckelvey_mclennan(), ([1, 0], [1, 0], [1, 0])),
        (named.mckelvey_mclennan(), ([1, 0], [0, 1], [0, 1])),
        # Some other player helps with chance 1 - q^3 where each refuses with q = (c/b)^(1/3).
        (named.volunteers_dilemma(), ([1 - 0.5 ** (1 / 3), 0.5 ** (1 / 3)],) * 4),
        (named.minimum_effort(), ([0, 0, 1],) * 4),
        (named.public_goods(), ([1, 0],) * 4),
        (named.forgo_degenerate(), ([1, 0, 0], [0.8, 0.2])),
    ],
)
def test_known_equilibria_have_no_nash_conv_and_their_neighbours_have(
    game: Game, profile: tuple[list[float], ...]
) -> None:
    exact = tuple(np.array(mix, dtype=float) for mix in profile)
    assert nash_conv(game, exact) <= 1e-15 * game.range
    moved = tuple(0.8 * mix + 0.2 * np.eye(len(mix))[0 if mix[0] < 1 else 1] for mix in exact)
    assert nash_conv(game, moved) > 0.005 * game.range


def test_everything_is_an_equilibrium_of_a_constant_game() -> None:
    game = named.all_equal(2, 3)
    found = verified(game, (np.array([0.3, 0.7]), np.array([0.2, 0.5, 0.3])), "by hand", 0.0)
    assert (found.nash_conv, found.relative, game.range) == (0.0, 0.0, 0.0)


def test_an_answer_says_what_it_is() -> None:
    game = named.prisoners_dilemma()
    found = verified(game, pure_profile(game, (1, 1)), "by hand", 0.5)
    assert (found.concept, found.method, found.nash_conv, found.welfare) == ("pure nash", "by hand", 0.0, 2.0)
    wrong = verified(game, (np.array([0.5, 0.5]), np.array([0.0, 1.0])), "by hand", 0.0)
    assert (wrong.concept, wrong.nash_conv, wrong.relative) == ("mixed nash", 0.5, 0.1)


def test_payoffs_cannot_be_changed_behind_the_back_of_a_game() -> None:
    given_payoffs = np.zeros((2, 2, 2))
    game = named_game(given_payoffs)
    given_payoffs[:] = 1
    assert game.range == 0
    with pytest.raises(ValueError, match="read-only"):
        game.payoffs[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("payoffs", "players", "actions", "message"),
    [
        (np.zeros((2, 2, 2)), ("a", "a"), (("x", "y"), ("x", "y")), "players must have different names"),
        (np.zeros((2, 2, 2)), ("a", "b"), (("x", "x"), ("x", "y")), "actions of 'a' must have different names"),
        (np.zeros((2, 2, 3)), ("a", "b"), (("x", "y"), ("x", "y")), r"shape \(2, 2, 3\).*\(2, 2, 2\)"),
        (np.zeros((2, 2, 2)), ("a", "b"), (("x", "y"),), "actions for 1 of them"),
        (np.zeros((1, 0)), ("a",), ((),), "'a' needs at least 1 action"),
        (np.zeros((0,)), (), (), "at least 1 player"),
        ([[[0, np.nan], [0, 0]]] * 2, ("a", "b"), (("x", "y"), ("u", "v")), r"'a' at \(x, v\) is nan"),
        ([[[0, 0], [0, 0]], [[0, 0], [1e200, 0]]], ("a", "b"), (("x", "y"), ("u", "v")), r"'b' at \(y, u\) is 1e\+200"),
        (np.array([["1"]]), ("a",), (("x",),), "must be numbers"),
    ],
)
def test_what_is_no_game_is_refused_with_the_reason(
    payoffs: np.ndarray, players: tuple[str, ...], actions: tuple[tuple[str, ...], ...], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        Game(np.asarray(payoffs), players, actions)


def test_games_have_bounds() -> None:
    with pytest.raises(InvalidInput, match="at most 10,000,000"):
        named_game(np.broadcast_to(0.0, (2, 2500, 2500)))
    with pytest.raises(InvalidInput, match="nested lists"):
        named_game([[[1, 2], [3]], [[1, 2], [3, 4]]])


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (([1.0, 0.0],), "1 mixes.*2 players"),
        (([1.0, 0.0], [1.0, 0.0, 0.0]), r"shape \(3,\).*2 actions"),
        (([1.0, 0.0], [0.5, 0.6]), "sum 1.1"),
        (([1.0, 0.0], [1.5, -0.5]), "least is -0.5"),
        (([1.0, 0.0], [np.nan, 1.0]), "least is nan"),
    ],
)
def test_a_proof_needs_distributions(profile: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        nash_conv(named.prisoners_dilemma(), tuple(np.array(mix) for mix in profile))
