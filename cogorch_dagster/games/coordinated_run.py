"""Simulated fleets under coordination, beside the same fleets under the agents' plain intentions and under nobody.

What one coordinated step is, is `coordinator.py`; here are its controllers for `agents.evaluation`, and the comparison.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.agents.baselines.static import StaticDefaults, passive
from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.comparison.equal_success import NotComparable
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.evaluation import Scores, evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.games.agent_process import AgentProcesses, AgentSource
from cogorch_dagster.games.coordination_result import CoordinationResult
from cogorch_dagster.games.coordinator import CoordinationSettings, Coordinator
from cogorch_dagster.games.following import FollowedFleets
from cogorch_dagster.games.intentions import Intention

States = Mapping[str, NDArray[np.float32]]

# Of the simulations that decide, so that they never are the evaluation's own future.
_FIRST_SEED = 2**61


class Intending:
    """A controller that does what every agent intends by itself; an agent that says nothing leaves all as it is."""

    name = "intentions"

    def __init__(self, agents: AgentProcesses, *, limit_s: float = 2.0) -> None:
        self._agents, self._limit_s = agents, limit_s

    def act(self, states: States) -> dict[str, Values]:
        """See `agents.controllers.Controller`."""
        actions = passive(len(states["resource"]))
        for fleet in range(len(states["resource"])):
            own = {agent: values[fleet] for agent, values in states.items()}
            for agent, answer in self._agents.broadcast(own, limit_s=self._limit_s).items():
                if isinstance(answer, Intention):
                    actions[agent][fleet] = answer.action
        return actions


class Coordinated:
    """A controller that coordinates every fleet at every step, and keeps what was decided.

    Attributes:
        results: of each step those of its fleets, the last step last.
    """

    name = "coordinated"

    def __init__(
        self,
        parameters: FleetParameters,
        agents: AgentProcesses,
        settings: CoordinationSettings | None = None,
        *,
        weights: RewardWeights | None = None,
        seed: int = 0,
    ) -> None:
        self._agents, self._settings, self._seed = agents, settings, seed
        self._fleets = FollowedFleets(parameters, weights)
        self._coordinators: list[Coordinator] = []
        self.results: list[list[CoordinationResult]] = []

    def start(self, fleets: int, seed: int) -> None:
        """See `agents.controllers.Starting`."""
        self._fleets.start(fleets, seed)
        self._coordinators = [Coordinator(self._agents, self._settings) for _ in range(fleets)]
        self.results = []

    def act(self, states: States) -> dict[str, Values]:
        """See `agents.controllers.Controller`.

        Raises:
            InvalidInput: the fleets are not those that it was started for.
        """
        environment = self._fleets.at(states)
        actions = passive(environment.fleets)
        step = len(self.results)
        self.results.append([])
        for fleet, coordinator in enumerate(self._coordinators):
            # An agent that failed gets the time between two steps to come back, as it has it in a real fleet.
            self._agents.wait_ready(environment.parameters.step_seconds)
            seed = _FIRST_SEED + int(np.random.SeedSequence([self._seed, step, fleet]).generate_state(1)[0])
            result = coordinator.coordinate(environment, fleet, seed=seed)
            self.results[-1].append(result)
            for agent, index in result.joint.items():
                actions[agent][fleet] = index
            actions["resource"][fleet] = result.resource
        self._fleets.step(actions)
        return actions


@dataclass(frozen=True)
class CoordinatedRun:
    """A run and its comparison.

    Attributes:
        results: every coordinated step, in the order of time, then fleets.
        scores: by controller: `coordinated`, `intentions`, `static` (no operation).
        comparisons: of the coordinated fleets with each of the other two, by metric, with 95 % intervals over seeds.
    """

    results: tuple[CoordinationResult, ...]
    scores: Mapping[str, Scores]
    comparisons: Mapping[str, Mapping[str, Comparison | NotComparable]]

    def summary(self) -> dict[str, Any]:
        """Figures for people: what was decided how often, proof, conflicts, time."""
        results = self.results
        concepts = Counter(each.equilibrium.concept if each.equilibrium else "none" for each in results)
        before = [len([each for each in result.conflicts if each.among == "intentions"]) for result in results]
        left = [len([each for each in result.conflicts if each.among == "equilibrium"]) for result in results]
        phases = sorted({phase for result in results for phase in result.seconds})
        return {
            "steps": len(results),
            "concepts": dict(concepts),
            "decided": dict(Counter(each.decided for each in results)),
            "verified": sum(bool(each.equilibrium and each.equilibrium.verified) for each in results),
            "largest_relative_nash_conv": max((e.equilibrium.relative for e in results if e.equilibrium), default=0.0),
            "conflicts_among_intentions": float(np.mean(before)),
            "conflicts_in_equilibrium": float(np.mean(left)),
            "vetoes": sum(len(each.vetoes) for each in results),
            "degraded": sum(len(each.degraded) for each in results),
            "seconds": {
                phase: float(np.median([each.seconds.get(phase, 0.0) for each in results])) for phase in phases
            },
            "payoff_cpu_seconds": float(np.median([each.payoff_cpu_seconds for each in results])),
        }


def run(
    parameters: FleetParameters,
    checkpoints: Sequence[AgentSource],
    *,
    steps: int,
    seed: int,
    fleets: int = 4,
    settings: CoordinationSettings | None = None,
    weights: RewardWeights | None = None,
    start_s: float = 120.0,
) -> CoordinatedRun:
    """Coordinate simulated fleets for some steps, and compare with the same fleets uncoordinated and left alone.

    All three meet the same traffic. A coordinated step costs about a second of a core and fleet with 16 scenarios.

    Args:
        checkpoints: one of each agent, as `agent_process.stored_sources` finds them.
        steps: of every fleet, 1 to 1,000,000. fleets: at least 2, each is one seed of the comparison.
        start_s: the longest that the agents may take to load.

    Raises:
        InvalidInput: a number is out of its range, or a checkpoint cannot be used.
    """
    seeds = [_FIRST_SEED + 1000 * seed + fleet for fleet in range(fleets)]
    with AgentProcesses(checkpoints) as agents:
        if not agents.wait_ready(start_s):
            broken = {agent: each.failure for agent, each in agents.processes.items() if each.failure}
            raise InvalidInput(f"agents are not ready after {start_s:g} s: {broken or 'still loading'}")
        coordinated = Coordinated(parameters, agents, settings, weights=weights, seed=seed)
        scores = {
            each.name: evaluate(parameters, each, seeds=seeds, fleets_per_seed=1, steps=steps, weights=weights)
            for each in (coordinated, Intending(agents), StaticDefaults())
        }
    return CoordinatedRun(
        results=tuple(result for results in coordinated.results for result in results),
        scores=scores,
        comparisons={
            name: compare_scores(other, scores["coordinated"], seed=seed)
            for name, other in scores.items()
            if name != "coordinated"
        },
    )
