"""A single simulated fleet as a PettingZoo parallel environment, for others' algorithms.

Imports pettingzoo, so it is loaded late. The four agents act at the same time and share the reward, or follow their
own aims with `rewards="own"`.
"""

from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES

Space = gymnasium.spaces.Space[Any]
State = NDArray[np.float32]


class ParallelFleet(ParallelEnv[str, State, Any]):  # type: ignore[misc]
    """One fleet, four agents; an episode is cut off at the horizon of the parameters."""

    metadata: ClassVar[dict[str, Any]] = {"name": "cogorch_fleet_v0", "render_modes": []}

    def __init__(
        self,
        parameters: FleetParameters | None = None,
        *,
        rewards: Literal["shared", "own"] = "shared",
        weights: RewardWeights | None = None,
    ) -> None:
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        self.render_mode = None
        self._parameters = parameters or default_parameters()
        self._rewards, self._weights = rewards, weights
        self._spaces: dict[str, Space] = {
            agent: Box(-1.0, 1.0, (size,), np.float32) for agent, size in STATE_SIZES.items()
        }
        self._actions: dict[str, Space] = {agent: Discrete(count) for agent, count in ACTION_COUNTS.items()}
        self._actions["resource"] = Box(0.0, 1.0, (len(RESOURCE_DIMENSIONS),), np.float32)
        self._seeds = np.random.default_rng()
        self._fleet: FleetEnvironment | None = None

    def observation_space(self, agent: str) -> Space:
        """The states of an agent: all within -1..1."""
        return self._spaces[agent]

    def action_space(self, agent: str) -> Space:
        """The actions of an agent."""
        return self._actions[agent]

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002  (of the interface)
    ) -> tuple[dict[str, State], dict[str, dict[str, Any]]]:
        """Begin an episode; without a seed, another one each time."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        begin = int(self._seeds.integers(2**63))
        self._fleet = FleetEnvironment(self._parameters, 1, seed=begin, weights=self._weights)
        self.agents = list(self.possible_agents)
        return self._rows(self._fleet.states), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, State], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """All agents act; states, rewards, terminations, truncations and the figures of the step, per agent."""
        if self._fleet is None:
            raise RuntimeError("the fleet has not begun; call reset first")
        given = {agent: np.asarray(action)[None] for agent, action in actions.items()}
        step = self._fleet.step(given)
        over = bool(step.truncated[0])
        own = {agent: float(step.utilities[agent][0]) for agent in self.agents}
        rewards = own if self._rewards == "own" else dict.fromkeys(self.agents, float(step.rewards[0]))
        figures = {
            "useful": float(step.measured.useful[0]),
            "latency_s": float(step.measured.latency_s[0]),
            "cost_usd": float(step.measured.cost_usd[0]),
            "unfairness": float(step.measured.unfairness[0]),
            "conflicts": int(step.conflicts[0]),
        }
        result = (
            self._rows(step.final_states),
            rewards,
            dict.fromkeys(self.agents, False),
            dict.fromkeys(self.agents, over),
            {agent: dict(figures) for agent in self.agents},
        )
        if over:
            self.agents = []
        return result

    def _rows(self, states: dict[str, State]) -> dict[str, State]:
        return {agent: states[agent][0] for agent in self.possible_agents}
