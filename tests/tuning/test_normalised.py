"""The normalised return: 0 at random, 1 at the best that a step can be."""

import numpy as np
import pytest

from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.tuning.normalised import UniformAgent, ceiling, floor, normalised
from tests.tuning.tiny import fleet


def test_the_scale() -> None:
    assert normalised(0.3, 0.3, 1.1) == 0
    assert normalised(1.1, 0.3, 1.1) == 1
    assert normalised(0.1, 0.3, 1.1) == pytest.approx(-0.25)
    # Utilities 1 weigh .25 + .4 + .25 + .1, and the bonus .1.
    assert ceiling() == pytest.approx(1.1)
    assert ceiling(RewardWeights(policy=1, global_bonus=0)) == pytest.approx(1.75)
    with pytest.raises(InvalidInput, match="must lie above its floor"):
        normalised(0.5, 1, 1)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_floor_is_the_agent_at_random_while_the_others_do_nothing(agent: AgentName) -> None:
    controller = UniformAgent(agent)
    found = floor(fleet(), agent, (1, 2), 4)
    rewards = evaluate(fleet(), controller, seeds=(1, 2), fleets_per_seed=4).values["reward"]
    assert found == pytest.approx(rewards.mean()) and found < ceiling()
    assert floor(fleet(), agent, (3, 4), 4) != found


def test_every_action_of_the_random_agent_comes_up_and_no_other_agent_moves() -> None:
    controller = UniformAgent("policy")
    controller.start(500, 1)
    states = {"resource": np.zeros((500, 1), dtype=np.float32)}
    first, second = controller.act(states), controller.act(states)
    assert len(set(first["policy"].tolist())) > 5
    assert (first["policy"] != second["policy"]).any()
    for agent in ("consensus", "ethical", "resource"):
        assert (first[agent] == second[agent]).all() and (first[agent] == first[agent][0]).all()
