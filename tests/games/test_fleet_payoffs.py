"""Payoffs of joint actions: those of the simulator itself, on the same futures for all, within a time limit."""

import time

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.conflicts import CONFLICTS, counted
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.discretisation import NO_OPERATION, SHAPE, all_joint_actions, levels
from cogorch_dagster.games.fleet_payoffs import FleetGame, payoff_game
from tests.games.coordination import PRESENT, environment

CHOICES = levels(PRESENT, [0.2, 0.9, 0.6, 0.5])
HORIZON, SCENARIOS, SEED = 3, 3, 11


@pytest.fixture(scope="module")
def fleets() -> FleetEnvironment:
    found = environment(fleets=3)
    for _ in range(4):
        found.step({**{agent: np.zeros(3, dtype=np.int64) for agent in AGENTS}, "resource": np.tile(PRESENT, (3, 1))})
    return found


@pytest.fixture(scope="module")
def game(fleets: FleetEnvironment) -> FleetGame:
    found = payoff_game(fleets, 1, CHOICES, horizon=HORIZON, scenarios=SCENARIOS, seed=SEED)
    assert found is not None
    return found


def by_hand(fleets: FleetEnvironment, joint: tuple[int, ...]) -> dict[str, np.ndarray | float]:
    """The same joint action alone, one scenario block after the other, for the utilities of each scenario."""
    seeds = np.random.SeedSequence(SEED).generate_state(SCENARIOS, np.uint64) >> 1
    utilities, rewards = [], []
    for first, count in ((0, 2), (2, 1)):
        alone = fleets.branch(np.ones(count, dtype=np.int64), seed=int(seeds[first]))
        held = np.tile(CHOICES[joint[3]].astype(np.float32), (count, 1))
        for index in range(HORIZON):
            taken = joint[:3] if index == 0 else (0, 0, 0)
            actions = {agent: np.full(count, each) for agent, each in zip(AGENTS, taken, strict=False)}
            step = alone.step({**actions, "resource": held})
            utilities.append(np.stack([step.objectives.utilities[agent] for agent in AGENTS]).sum(axis=1))
            rewards.append(step.objectives.reward.sum())
    return {"utilities": np.sum(utilities, axis=0) / HORIZON / SCENARIOS, "shared": np.sum(rewards) / 3 / SCENARIOS}


@pytest.mark.parametrize("joint", [NO_OPERATION, (5, 1, 3, 1), (8, 4, 7, 4)])
def test_payoffs_are_what_the_simulator_gives_for_the_joint_action_alone(
    fleets: FleetEnvironment, game: FleetGame, joint: tuple[int, ...]
) -> None:
    alone = by_hand(fleets, joint)
    assert game.game.payoffs[(slice(None), *joint)] == pytest.approx(alone["utilities"], abs=1e-9)
    assert game.shared[joint] == pytest.approx(alone["shared"], abs=1e-9)


def test_everything_has_the_shape_of_the_game_and_is_in_range(game: FleetGame) -> None:
    assert game.game.shape == SHAPE and game.scenarios == SCENARIOS and game.horizon == HORIZON
    for values in (game.shared, game.violations, game.success, game.cost):
        assert values.shape == SHAPE and np.isfinite(values).all()
    assert game.game.payoffs.min() >= 0 and game.game.payoffs.max() <= 1
    assert 0 <= game.success.min() < game.success.max() <= 1 and game.cost.min() > 0
    # The actions matter, to every agent.
    assert (np.ptp(game.game.payoffs.reshape(4, -1), axis=1) > 0.01).all()


def test_standard_errors_are_of_the_gain_over_no_operation(game: FleetGame) -> None:
    assert game.standard_errors.shape == (4, *SHAPE)
    assert (game.standard_errors[(slice(None), *NO_OPERATION)] == 0).all()
    assert game.standard_errors.max() > 0


def test_conflicts_are_those_that_the_environment_counts(fleets: FleetEnvironment, game: FleetGame) -> None:
    joints = all_joint_actions()
    alone = fleets.branch(np.ones(2000, dtype=np.int64), seed=0)
    actions = {**joints, "resource": CHOICES[joints["resource"]].astype(np.float32)}
    wanted = counted(actions, alone.knobs)
    assert game.conflicts.shape == (len(CONFLICTS), *SHAPE)
    assert game.conflicts.sum(axis=0).reshape(-1).tolist() == wanted.tolist()
    assert 0 < (wanted > 0).mean() < 1


def test_the_same_seed_gives_the_same_game_and_leaves_the_fleet_as_it_is(
    fleets: FleetEnvironment, game: FleetGame
) -> None:
    before = fleets.parts()
    again = payoff_game(fleets, 1, CHOICES, horizon=HORIZON, scenarios=SCENARIOS, seed=SEED)
    other = payoff_game(fleets, 1, CHOICES, horizon=HORIZON, scenarios=SCENARIOS, seed=SEED + 1)
    assert again is not None and other is not None
    assert again.digest == game.digest != other.digest
    after = fleets.parts()
    assert np.array_equal(before["state"]["backlog"], after["state"]["backlog"]) and before["step"] == after["step"]


def test_a_fleet_at_the_end_of_its_episode_goes_on(fleets: FleetEnvironment) -> None:
    late = fleets.branch(np.array([1]), seed=0)
    late.restore({**late.parts(), "elapsed": np.array([fleets.parameters.horizon - 1])})
    found = payoff_game(late, 0, CHOICES, horizon=HORIZON, scenarios=1, seed=SEED)
    wanted = payoff_game(fleets, 1, CHOICES, horizon=HORIZON, scenarios=1, seed=SEED)
    assert found is not None and wanted is not None
    assert found.digest == wanted.digest


def test_the_deadline_leaves_scenarios_out_or_everything(
    fleets: FleetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert payoff_game(fleets, 0, CHOICES, seed=1, deadline=time.monotonic() - 1) is None
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    # A block of two scenarios looks at the clock once and once per step: the second would end at 8.
    found = payoff_game(fleets, 0, CHOICES, horizon=HORIZON, scenarios=16, seed=1, deadline=6.5)
    assert found is not None and found.scenarios == 2


def test_a_joint_action_can_be_played(fleets: FleetEnvironment, game: FleetGame) -> None:
    alone = fleets.branch(np.array([1]), seed=5)
    alone.step(game.actions((5, 1, 3, 1)))
    assert alone.knobs.replicas[:, 0] == pytest.approx(CHOICES[1][:3], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fleet_index": 3}, "there is no fleet 3; the environment has 0 to 2"),
        ({"horizon": 0}, "horizon is 0 steps; it must lie in 1..240"),
        ({"horizon": 241}, "horizon is 241 steps"),
        ({"scenarios": 0}, "0 scenarios; give 1 to 4096"),
        ({"levels": np.zeros((4, 4))}, r"levels have shape \(4, 4\)"),
        ({"levels": np.full((5, 4), 2.0)}, r"give 5 choices of 4 levels in 0..1"),
    ],
)
def test_wrong_numbers_are_refused(fleets: FleetEnvironment, change: dict[str, object], message: str) -> None:
    given = {"fleet_index": 0, "levels": CHOICES, "seed": 0, **change}
    with pytest.raises(InvalidInput, match=message):
        payoff_game(fleets, **given)
