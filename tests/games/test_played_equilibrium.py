"""What is played of an equilibrium: the proof holds, mixes are drawn as they are, who is away cannot deviate."""

from collections import Counter

import numpy as np
import pytest

from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games import played_equilibrium as module
from cogorch_dagster.games.discretisation import ACTIONS, SHAPE
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.payoffs import Game
from cogorch_dagster.games.played_equilibrium import played_equilibrium
from cogorch_dagster.games.regret_matching import regret_matching
from tests.games.coordination import flat_game, random_game


def pennies() -> FleetGame:
    """Policy wants its first two actions to match those of consensus, which does not; nothing else is any good."""
    payoffs = np.zeros((len(AGENTS), *SHAPE))
    payoffs[0, 2:] = payoffs[1, :, 2:] = -1.0
    match = np.array([[3.0, 1.0], [1.0, 2.0]])  # not symmetric, so that the mixes are not all one half
    payoffs[0, :2, :2] = match[:, :, None, None]
    payoffs[1, :2, :2] = 4 - match[:, :, None, None]
    payoffs[2, :, :, 0] = payoffs[3, :, :, :, 0] = 1.0
    return flat_game(payoffs=payoffs)


def test_a_pure_equilibrium_is_played_and_proved_in_the_game_that_is_played() -> None:
    fleet = random_game(4)
    for common in (0.0, 0.5, 1.0):
        joint, answer = played_equilibrium(fleet, {}, common=common, limit_s=10, seed=1)
        assert answer.verified and answer.relative <= 1e-5
        if answer.concept == "pure nash":
            payoffs = (1 - common) * fleet.game.payoffs + common * fleet.shared
            for row in range(4):
                line = tuple(slice(None) if axis == row else index for axis, index in enumerate(joint))
                assert payoffs[(row, *joint)] == pytest.approx(payoffs[(row, *line)].max())
            assert answer.played == "pure equilibrium"
        assert list(answer.actions.values()) == [ACTIONS[a][i] for a, i in zip(AGENTS, joint, strict=True)]


def test_a_mixed_equilibrium_is_drawn_from_as_it_is() -> None:
    draws: Counter[tuple[int, ...]] = Counter()
    for seed in range(300):
        joint, answer = played_equilibrium(pennies(), {}, common=0.0, limit_s=10, seed=seed)
        draws[joint] += 1
    assert answer.concept == "mixed nash" and answer.verified and answer.played == "drawn from mixed equilibrium"
    # Indifference: policy plays its first action with 1/3, consensus too.
    assert next(iter(answer.mixes["policy"].values())) == pytest.approx(1 / 3, abs=1e-6)
    for pair, share in (((0, 0), 1 / 9), ((0, 1), 2 / 9), ((1, 0), 2 / 9), ((1, 1), 4 / 9)):
        assert draws[(*pair, 0, 0)] / 300 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 300))
    assert played_equilibrium(pennies(), {}, common=0.0, limit_s=10, seed=299)[0] == joint


def test_a_coarse_correlated_equilibrium_is_drawn_jointly_and_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_resort(game: Game, **_: object) -> object:
        return regret_matching(game, rounds=3)

    monkeypatch.setattr(module, "solve", last_resort)
    joint, answer = played_equilibrium(pennies(), {}, common=0.0, limit_s=1, seed=3)
    assert answer.concept == "coarse correlated" and answer.played == "drawn from coarse correlated equilibrium"
    assert answer.relative > 1e-5 and not answer.verified
    assert all(0 <= index < size for index, size in zip(joint, SHAPE, strict=True))


def test_an_agent_that_is_away_does_what_is_done_instead() -> None:
    fleet = random_game(9)
    joint, answer = played_equilibrium(fleet, {"policy": 7, "resource": 0}, common=0.5, limit_s=10, seed=0)
    assert (joint[0], joint[3]) == (7, 0)
    assert answer.mixes["policy"] == {ACTIONS["policy"][7]: 1.0}
    everybody = dict(zip(AGENTS, (1, 2, 3, 4), strict=True))
    assert played_equilibrium(fleet, everybody, common=0.5, limit_s=10, seed=0)[0] == (1, 2, 3, 4)
