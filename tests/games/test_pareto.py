"""Fronts, improvements and fair choices, against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.pareto import bargain, choose, improvements, on_front, pareto_front, payoffs_at, resolve
from cogorch_dagster.games.payoffs import named_game
from tests.games import named

LAW = settings(max_examples=60, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
SEEDS = st.integers(0, 2**32 - 1)


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one >= other).all() and (one > other).any())


@LAW
@given(st.integers(1, 40), st.integers(1, 4), st.sampled_from([2, 4, 1000]), SEEDS)
def test_the_front_is_what_nothing_dominates(k: int, n: int, bound: int, seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, bound, size=(k, n)).astype(float)
    wanted = [not any(dominates(other, point) for other in points) for point in points]
    assert on_front(points).tolist() == wanted


def test_dominance_that_rounding_hides_from_the_sum_is_seen() -> None:
    # 1e17 + 1 == 1e17 in floats: both have the same welfare, in either order.
    points = np.array([[1e17, 0.0], [1e17, 1.0], [0.0, 1e17], [1.0, 1e17]])
    assert on_front(points).tolist() == [False, True, False, True]
    assert on_front(points[::-1]).tolist() == [True, False, True, False]


def test_a_large_front_is_found() -> None:
    angles = np.linspace(0, np.pi / 2, 500)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inside = 0.99 * arc
    assert on_front(np.concatenate([inside, arc])).tolist() == [False] * 500 + [True] * 500


@LAW
@given(SHAPES, SEEDS)
def test_improvements_are_on_the_front_and_hurt_nobody(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, *shape, integers=4)
    joint = tuple(int(rng.integers(size)) for size in shape)
    front, found = pareto_front(game), improvements(game, joint)
    here = payoffs_at(game, joint)
    assert found == [each for each in front if dominates(payoffs_at(game, each), here)]
    assert (not found) == (joint in front)
    for rule in ("nash", "welfare"):
        better = resolve(game, joint, rule)
        assert better in front
        assert better == joint if joint in front else dominates(payoffs_at(game, better), here)


def test_conflicts_of_known_games_are_resolved() -> None:
    dilemma = named.prisoners_dilemma()
    assert pareto_front(dilemma) == [(0, 0), (0, 1), (1, 0)]
    assert improvements(dilemma, (1, 1)) == [(0, 0)]
    assert resolve(dilemma, (1, 1)) == (0, 0)
    assert resolve(dilemma, (1, 0)) == (1, 0)
    assert resolve(named.public_goods(), (0, 0, 0, 0)) == (1, 1, 1, 1)
    assert resolve(named.minimum_effort(), (0, 1, 0, 2)) == (2, 2, 2, 2)


def test_bargaining_shares_what_welfare_may_give_to_one() -> None:
    # From (1, 1): gains (9, 1), (4, 4) or (0, 12).
    game = named_game([[[1, 10], [5, 1]], [[1, 2], [5, 13]]])
    assert resolve(game, (0, 0), "nash") == (1, 0)
    assert resolve(game, (0, 0), "welfare") == (1, 1)


@LAW
@given(st.integers(1, 20), st.integers(1, 4), SEEDS)
def test_bargaining_ignores_the_units_of_payoffs(k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gains = rng.random((k, n)) + 0.01
    chosen = bargain(gains)
    assert gains[chosen].prod() == pytest.approx(gains.prod(axis=1).max())
    assert bargain(gains * 2.0 ** rng.integers(-8, 8, size=n)) == chosen


def test_bargaining_lets_most_gain_and_nobody_lose() -> None:
    assert bargain(np.array([[100.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [50.0, 50.0, -1.0]])) == 2
    with pytest.raises(InvalidInput, match="each of the 2 alternatives"):
        bargain(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    with pytest.raises(InvalidInput, match="each of the 0 alternatives"):
        bargain(np.zeros((0, 2)))


def test_the_choice_is_by_dominance_then_welfare_then_order() -> None:
    assert choose(np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 3.0]])) == 1
    assert choose(np.array([[0.0, 3.0], [3.0, 0.0]])) == 0
    assert choose(np.array([[0.0, 3.0], [3.0, 1e-12]]), tolerance=1e-9) == 0
    assert choose(np.array([[0.0, 3.0], [3.0, 1e-12]])) == 1
    with pytest.raises(InvalidInput, match="0 alternatives"):
        choose(np.zeros((0, 2)))


@pytest.mark.parametrize("joint", [(0,), (0, 2), (-1, 0), (0, 0, 0)])
def test_what_is_no_joint_action_is_refused(joint: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="no joint action"):
        improvements(named.prisoners_dilemma(), joint)
