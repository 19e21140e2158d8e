"""Conflicts by their definition, and bargains that nobody loses by and nothing dominates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.conflicts import CONFLICTS
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.conflict_resolution import agreed, conflicts_of, without_conflict
from cogorch_dagster.games.discretisation import NO_OPERATION, SHAPE
from tests.games.coordination import flat_game, random_game

LAW = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def test_declared_pairs_are_named_with_their_reason() -> None:
    conflicts = np.zeros((len(CONFLICTS), *SHAPE), dtype=np.bool_)
    conflicts[2, 8, 0, 1, 0] = conflicts[7, 8, 0, 1, 0] = True
    found = conflicts_of(flat_game(conflicts=conflicts), (8, 0, 1, 0))
    assert [(each.kind, each.agents, each.reason) for each in found] == [
        ("declared", ("policy", "ethical"), CONFLICTS[2].reason),
        ("declared", ("consensus", "resource"), CONFLICTS[7].reason),
    ]
    assert conflicts_of(flat_game(conflicts=conflicts), (8, 0, 0, 0)) == ()


def test_a_loss_is_against_acting_alone_and_only_above_the_bound() -> None:
    payoffs = np.full((len(AGENTS), *SHAPE), 0.5)
    payoffs[0, 3, 0, 0, 0] = 0.9  # what policy would get alone
    payoffs[0, 3, 1, 2, 4] = 0.8  # and together with the others: still more than at no operation
    game = flat_game(payoffs=payoffs)
    (found,) = conflicts_of(game, (3, 1, 2, 4), epsilon=0.05)
    assert (found.kind, found.agents) == ("loss", ("policy",))
    assert found.loss == pytest.approx(0.1)
    assert found.reason == "policy gets 0.8000, 0.1000 less than if the others did nothing"
    assert conflicts_of(game, (3, 1, 2, 4), epsilon=0.11) == ()


@LAW
@given(SEEDS, st.floats(0, 0.3))
def test_what_is_without_conflict_is_what_has_none(seed: int, epsilon: float) -> None:
    game = random_game(seed)
    free = without_conflict(game, epsilon=epsilon)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        joint = tuple(int(rng.integers(size)) for size in SHAPE)
        assert free[joint] == (not conflicts_of(game, joint, epsilon=epsilon))
    assert free[NO_OPERATION] and conflicts_of(game, NO_OPERATION, epsilon=epsilon) == ()


@LAW
@given(SEEDS)
def test_nobody_loses_by_a_bargain_and_nothing_among_the_alternatives_dominates_it(seed: int) -> None:
    game = random_game(seed)
    among = without_conflict(game, epsilon=0.1)
    joint = agreed(game, among)
    assert among[joint]
    payoffs = game.game.payoffs.reshape(4, -1)
    here, nothing = game.game.payoffs[(slice(None), *joint)], game.game.payoffs[(slice(None), *NO_OPERATION)]
    assert (here >= nothing).all()
    dominating = (payoffs >= here[:, None]).all(axis=0) & (payoffs > here[:, None]).any(axis=0)
    assert not (dominating & among.reshape(-1)).any()
    products = np.where((payoffs > nothing[:, None]).all(axis=0), (payoffs - nothing[:, None]).prod(axis=0), 0.0)
    assert (here - nothing).prod() == pytest.approx(products[among.reshape(-1)].max())


def test_nobody_acts_if_somebody_would_lose_by_everything() -> None:
    payoffs = np.full((len(AGENTS), *SHAPE), 0.5)
    payoffs[1] -= 0.1
    payoffs[(slice(None), *NO_OPERATION)] = 0.5
    game = flat_game(payoffs=payoffs)
    assert agreed(game, np.ones(SHAPE, dtype=np.bool_)) == NO_OPERATION
    among = np.ones(SHAPE, dtype=np.bool_)
    among[NO_OPERATION] = False
    assert agreed(game, among) == NO_OPERATION


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan")])
def test_a_bound_that_is_none_is_refused(epsilon: float) -> None:
    with pytest.raises(InvalidInput, match=r"a loss of utility lies in 0\.\.1"):
        conflicts_of(flat_game(), NO_OPERATION, epsilon=epsilon)
