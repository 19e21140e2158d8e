"""The normalised return: what an agent makes of its fleet between acting at random and the best that is possible.

0: the agent acts uniformly at random while the others leave everything at its defaults, on the same evaluation seeds.
1: every utility is 1, every promise is kept and nothing conflicts. A percentage point is .01 of it.
"""

from functools import lru_cache

import numpy as np

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS, Values
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName

Seeds = tuple[int, ...]


class UniformAgent:
    """A controller under which one agent acts uniformly at random and the others do nothing."""

    name = "uniform"

    def __init__(self, agent: AgentName) -> None:
        self.agent = agent
        self._generator = np.random.default_rng(0)

    def start(self, fleets: int, seed: int) -> None:  # noqa: ARG002  as the protocol has it
        """See `controllers.Starting`."""
        self._generator = np.random.default_rng(seed)

    def act(self, states: States) -> dict[str, Values]:
        """See `Controller.act`."""
        fleets = len(states["resource"])
        actions = passive(fleets)
        if self.agent == "resource":
            actions["resource"] = self._generator.random((fleets, len(RESOURCE_DIMENSIONS)), dtype=np.float32)
        else:
            actions[self.agent] = self._generator.integers(0, ACTION_COUNTS[self.agent], fleets)
        return actions


def ceiling(weights: RewardWeights | None = None) -> float:
    """The largest reward of a step: every utility 1, the bonus, no conflict."""
    weights = weights or RewardWeights()
    return float(sum(getattr(weights, agent) for agent in AGENTS) + weights.global_bonus)


@lru_cache(maxsize=256)
def _floor(text: str, agent: AgentName, seeds: Seeds, fleets_per_seed: int) -> float:
    parameters = FleetParameters.model_validate_json(text)
    scores = evaluate(parameters, UniformAgent(agent), seeds=seeds, fleets_per_seed=fleets_per_seed)
    return float(scores.values["reward"].mean())


def floor(parameters: FleetParameters, agent: AgentName, seeds: Seeds, fleets_per_seed: int) -> float:
    """Mean reward per step of the agent acting at random on these seeds; remembered.

    Raises:
        InvalidInput: as `evaluation.evaluate`.
    """
    return _floor(parameters.model_dump_json(), agent, tuple(seeds), fleets_per_seed)


def normalised(reward: float, floor: float, ceiling: float) -> float:
    """Where a reward per step lies between the two, 0 at the floor and 1 at the ceiling; below 0 where it is worse.

    Raises:
        InvalidInput: the ceiling is not above the floor.
    """
    if not ceiling > floor:
        raise InvalidInput(f"the ceiling {ceiling} of a normalised return must lie above its floor {floor}")
    return (reward - floor) / (ceiling - floor)
