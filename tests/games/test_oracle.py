"""The oracle: what it takes is the best of all it may take, in the future that really comes."""

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.static import StaticDefaults, passive
from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.games.oracle import CHOICES, Oracle, best_actions, tried_levels

PARAMETERS = default_parameters()
HORIZON = 4


def reward(parts: dict[str, object], actions: dict[str, np.ndarray], fleets: int) -> np.ndarray:
    """What the joint actions bring in the environment itself."""
    environment = FleetEnvironment(PARAMETERS, fleets, seed=6)
    environment.restore(parts)
    total = environment.step(actions).rewards.astype(float)
    still = passive(fleets) | {"resource": actions["resource"]}
    for _ in range(HORIZON - 1):
        total += environment.step(still).rewards
    return total


def test_no_other_joint_action_would_have_brought_more() -> None:
    environment = FleetEnvironment(PARAMETERS, 3, seed=6)
    for _ in range(3):
        environment.step(passive(3))
    parts = environment.parts()
    found = best_actions(environment, horizon=HORIZON)
    best = reward(parts, found, 3)
    levels = tried_levels(environment.knobs)
    for agent, count in {"policy": 10, "consensus": 5, "ethical": 8, "resource": CHOICES}.items():
        for index in range(count):
            changed = levels[:, index].astype(np.float32) if agent == "resource" else np.full(3, index)
            assert (reward(parts, found | {agent: changed}, 3) <= best + 1e-6).all()
    assert (best > reward(parts, passive(3), 3) + 0.01).any()
    assert np.array_equal(environment.parts()["state"]["backlog"], parts["state"]["backlog"])


def test_it_does_better_than_leaving_the_fleets_alone() -> None:
    scores = [
        evaluate(PARAMETERS, controller, seeds=[1, 2], fleets_per_seed=1, steps=8)
        for controller in (StaticDefaults(), Oracle(PARAMETERS, horizon=2, every=2))
    ]
    static, oracle = (each.values["reward"] for each in scores)
    assert (oracle > static + 0.02).all()


def test_between_its_decisions_nobody_changes_anything() -> None:
    environment = FleetEnvironment(PARAMETERS, 2, seed=4)
    oracle = Oracle(PARAMETERS, horizon=2, every=2)
    oracle.start(2, 4)
    environment.step(oracle.act(environment.states))
    before = environment.knobs
    environment.step(oracle.act(environment.states))
    for name in ("weights", "timeout_ms", "fairness", "replicas", "concurrency"):
        assert getattr(environment.knobs, name) == pytest.approx(getattr(before, name), rel=1e-6)


def test_the_levels_that_are_tried() -> None:
    levels = tried_levels(FleetEnvironment(PARAMETERS, 2, seed=4).knobs)
    assert levels.shape == (2, 9, 4)
    assert levels[0, 0].tolist() == [0.4, 0.5, 0.6, 0.7]
    assert levels[0, 3] == pytest.approx([0.4, 0.5, 0.45, 0.7])
    assert levels[1, 8] == pytest.approx([0.4, 0.5, 0.6, 0.85])


@pytest.mark.parametrize(("horizon", "every"), [(0, 1), (4, 5), (4, 0), (1001, 1)])
def test_horizons_out_of_range_are_refused(horizon: int, every: int) -> None:
    with pytest.raises(InvalidInput, match=f"the oracle looks {horizon} steps ahead and decides every {every}"):
        Oracle(PARAMETERS, horizon=horizon, every=every)
