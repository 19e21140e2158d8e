"""Regret matching: the coarse gap is what it says, and it goes to zero."""

import numpy as np
import pytest

from cogorch_dagster.games.payoffs import deviation_gains, named_game
from cogorch_dagster.games.regret_matching import coarse_gains, regret_matching
from tests.games import named


def test_the_coarse_gains_of_independent_mixes_are_the_deviation_gains() -> None:
    rng = np.random.default_rng(1)
    game = named.random_game(rng, 3, 2, 4)
    mixes = tuple(rng.dirichlet(np.ones(size)) for size in game.shape)
    joint = np.einsum("i,j,k->ijk", *mixes)
    np.testing.assert_allclose(coarse_gains(game, joint), deviation_gains(game, mixes), atol=1e-12)


def test_a_traffic_light_is_coarse_correlated_and_not_independent() -> None:
    chicken = named_game([[[6, 2], [7, 0]], [[6, 7], [2, 0]]])  # Aumann 1974: yield or go
    light = np.array([[0.0, 0.5], [0.5, 0.0]])
    np.testing.assert_allclose(coarse_gains(chicken, light), 0)
    # both go half of the time: committing to yield earns 2 · ½ + 6 · ½ = 4 instead of 3 + 0
    np.testing.assert_allclose(coarse_gains(chicken, np.array([[0.5, 0.0], [0.0, 0.5]])), [1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_is_small_and_is_the_proof(seed: int) -> None:
    game = named.random_game(np.random.default_rng(seed), 3, 4, 3)
    found = regret_matching(game, rounds=2000)
    assert found.concept == "coarse correlated"
    assert found.method == "regret matching"
    assert found.correlated is not None
    assert found.correlated.shape == game.shape
    assert found.correlated.min() >= 0
    assert found.correlated.sum() == pytest.approx(1, abs=1e-12)
    assert found.nash_conv == pytest.approx(float(coarse_gains(game, found.correlated).sum()), abs=1e-12)
    assert found.relative == found.nash_conv / game.range
    assert found.relative < 3e-3
    assert found.welfare == pytest.approx(float((game.payoffs * found.correlated).sum()), abs=1e-9)
    for player, mix in enumerate(found.profile):
        others = tuple(axis for axis in range(3) if axis != player)
        np.testing.assert_allclose(mix, found.correlated.sum(axis=others), atol=1e-12)


def test_more_rounds_less_regret() -> None:
    game = named.shapley_1974()
    rough, fine = (regret_matching(game, rounds=rounds, target=0.0).relative for rounds in (20, 2000))
    assert fine < rough / 5


def test_a_target_ends_it_and_a_deadline_does() -> None:
    game = named.random_game(np.random.default_rng(0), 3, 3, 3)
    assert regret_matching(game, rounds=10**6, target=0.05).relative <= 0.05
    hurried = regret_matching(game, rounds=10**9, target=0.0, deadline=0.0)
    assert hurried.correlated is not None
    assert hurried.correlated.sum() == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_do_not_matter(scale: float) -> None:
    payoffs = named.random_game(np.random.default_rng(2), 2, 3, 2).payoffs
    here, there = (regret_matching(named_game(factor * payoffs), rounds=200, target=0.0) for factor in (1.0, scale))
    assert there.relative == pytest.approx(here.relative, abs=1e-9)


def test_nothing_to_regret() -> None:
    found = regret_matching(named_game(np.full((3, 2, 2, 2), 5.0)))
    assert found.nash_conv == 0
    assert found.welfare == pytest.approx(15)
