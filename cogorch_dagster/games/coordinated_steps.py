"""Some coordinated steps of one simulated fleet, each with its payoffs: how the trained agents get on with each other.

One step is `coordinator.py`; many fleets beside others that are left alone are `coordinated_run.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.games.agent_process import AgentProcesses, AgentSource
from cogorch_dagster.games.coordination_result import CoordinationResult
from cogorch_dagster.games.coordinator import CoordinationSettings, Coordinator
from cogorch_dagster.games.fleet_payoffs import FleetGame

MOST_STEPS = 1000


@dataclass(frozen=True, eq=False)
class CoordinatedStep:
    """What was decided, and the payoffs behind it; None where there was no time for them."""

    result: CoordinationResult
    game: FleetGame | None


def coordinated_steps(
    parameters: FleetParameters,
    checkpoints: Sequence[AgentSource],
    *,
    steps: int,
    seed: int,
    settings: CoordinationSettings | None = None,
    weights: RewardWeights | None = None,
    start_s: float = 120.0,
) -> tuple[CoordinatedStep, ...]:
    """Let the agents steer a fleet together, from a random time of the day on.

    An agent that is not ready after `start_s`, or fails on the way, degrades its steps, which say so.

    Args:
        checkpoints: one of each agent, as `agent_process.stored_sources` finds them.
        steps: 1 to 1000; about a second of a core each, with 16 scenarios.
        seed: of the fleet and of what is simulated for its decisions, 0 to 2**62.

    Raises:
        InvalidInput: a number is out of its range, or checkpoints are not one for each agent.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InvalidInput(f"steps is {steps}; it must be 1 to {MOST_STEPS}")
    if not 0 <= seed <= 2**62:
        raise InvalidInput(f"seed is {seed}; it must lie in 0..2**62")
    environment = FleetEnvironment(parameters, 1, seed=seed, weights=weights, stagger=True)
    found = []
    with AgentProcesses(checkpoints) as agents:
        agents.wait_ready(start_s)
        coordinator = Coordinator(agents, settings)
        for step in range(steps):
            own = int(np.random.default_rng([seed, step]).integers(2**63 - 1))
            result = coordinator.coordinate(environment, seed=own)
            found.append(CoordinatedStep(result, coordinator.game))
            actions = {agent: np.array([index], dtype=np.int64) for agent, index in result.joint.items()}
            environment.step({**actions, "resource": np.array([result.resource], dtype=np.float32)})
            # An agent that failed gets the time between two steps to come back, as it has it in a real fleet.
            agents.wait_ready(parameters.step_seconds)
    return tuple(found)
