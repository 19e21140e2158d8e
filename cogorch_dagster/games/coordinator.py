"""One coordinated step of a fleet: intentions, payoffs, equilibrium, conflicts, veto, and the joint action to play.

The agents say what they want; all joint actions are simulated from the present; an equilibrium of that game is verified
and played; conflicts left in it are settled by a bargain; what is too dangerous is vetoed. Each part is in its own
file, this one joins them under the step's time limit. How it does over many steps is `coordinated_run.py`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.games import discretisation, fleet_payoffs
from cogorch_dagster.games.agent_process import AgentProcesses
from cogorch_dagster.games.conflict_resolution import EPSILON, FoundConflict, agreed, conflicts_of, without_conflict
from cogorch_dagster.games.coordination_result import (
    Among,
    Answer,
    CoordinationResult,
    Decided,
    Degraded,
    Figures,
    Instead,
    Settled,
    Veto,
)
from cogorch_dagster.games.discretisation import ACTIONS, INTENTION, NO_OPERATION, SHAPE, named
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.intentions import Intention, Silence
from cogorch_dagster.games.pareto import Joint
from cogorch_dagster.games.payoffs import Floats
from cogorch_dagster.games.played_equilibrium import played_equilibrium
from cogorch_dagster.games.safety import SafetyBounds, admissible, objections

# Of what is left of the step's time: for the simulation, and then for the solver.
_SIMULATION_SHARE, _SOLVER_SHARE = 0.7, 0.8


@dataclass(frozen=True)
class CoordinationSettings:
    """How a step is coordinated.

    Attributes:
        limit_s: of the whole step, wall time, above 0 to 600. What is not done by then is done without: fewer
            scenarios, a coarse correlated equilibrium, and at last no operation.
        intentions_s: of it, the most that the agents get, above 0 to `limit_s`.
        scenarios, horizon: of the simulation, see `fleet_payoffs.payoff_game`.
        common: weight 0..1 of the shared reward in every agent's payoff, the rest is its own utility. Agents that look
            at their own utility alone end where all are worse off than need be, and have to bargain nearly always.
        epsilon: the loss of utility that is a conflict, see `conflict_resolution`.
        bounds: of the veto.
        recent: for how many steps an agent's last good action stands in for it, 0 to 1000.
    """

    limit_s: float = 10.0
    intentions_s: float = 2.0
    scenarios: int = fleet_payoffs.SCENARIOS
    horizon: int = fleet_payoffs.HORIZON
    common: float = 0.5
    epsilon: float = EPSILON
    bounds: SafetyBounds = field(default_factory=SafetyBounds)
    recent: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.limit_s <= 600:
            raise InvalidInput(f"limit_s is {self.limit_s}; it must lie above 0 and at most at 600 seconds")
        if not 0 < self.intentions_s <= self.limit_s:
            raise InvalidInput(f"intentions_s is {self.intentions_s}; it must lie above 0 and at most at limit_s")
        if not 0 <= self.common <= 1:
            raise InvalidInput(f"common is {self.common}; a weight lies in 0..1")
        if not 0 <= self.recent <= 1000:
            raise InvalidInput(f"recent is {self.recent} steps; it must lie in 0..1000")


@dataclass(frozen=True)
class _Wish:
    """The joint action that was intended, and which of its parts nobody can change because the agent is away."""

    joint: Joint
    choices: Floats  # [5, 4] levels
    fixed: dict[AgentName, int]


class Coordinator:
    """Coordinates one fleet step by step, and remembers what each agent last wanted.

    Attributes:
        game: the payoffs of the last step, for its picture; None if there was no time for them.
    """

    def __init__(self, agents: AgentProcesses, settings: CoordinationSettings | None = None) -> None:
        self.settings = settings or CoordinationSettings()
        self._agents = agents
        self.game: FleetGame | None = None
        self._steps = 0
        self._last: dict[AgentName, tuple[int, Intention]] = {}

    def coordinate(self, environment: FleetEnvironment, fleet: int = 0, *, seed: int) -> CoordinationResult:
        """Decide on the next joint action of one fleet; the environment is left as it is.

        Args:
            fleet: which of the environment's fleets.
            seed: of the simulated futures and of the draw from a mixed equilibrium, 0 to 2**63 - 1.

        Raises:
            InvalidInput: there is no such fleet, or a setting does not fit it.
        """
        if not 0 <= fleet < environment.fleets:
            raise InvalidInput(f"there is no fleet {fleet}; the environment has 0 to {environment.fleets - 1}")
        clock = _Clock(self.settings.limit_s)
        states = {agent: values[fleet] for agent, values in environment.states.items()}
        present = np.append(environment.knobs.replicas[:, fleet], environment.knobs.concurrency[fleet])
        answers = self._agents.broadcast(states, limit_s=self.settings.intentions_s)
        wish, degraded = self._wish(answers, present)
        clock.lap("intentions")
        game = self.game = fleet_payoffs.payoff_game(
            environment,
            fleet,
            wish.choices,
            horizon=self.settings.horizon,
            scenarios=self.settings.scenarios,
            seed=seed,
            deadline=clock.deadline(_SIMULATION_SHARE),
        )
        clock.lap("payoffs")
        decision = _decided(game, wish, self.settings, seed, clock)
        self._steps += 1
        joint = decision.joint
        return CoordinationResult(
            parameters=environment.parameters.digest,
            seed=seed,
            intentions=tuple(answer for answer in answers.values() if isinstance(answer, Intention)),
            degraded=degraded,
            intended=named(wish.joint),
            equilibrium=decision.answer,
            conflicts=decision.conflicts,
            vetoes=decision.vetoes,
            decided=decision.decided,
            remark=decision.remark,
            actions=named(joint),
            joint={agent: index for agent, index in zip(AGENTS, joint, strict=True) if agent != "resource"},
            resource=tuple(float(level) for level in wish.choices[joint[-1]]),
            figures=_figures(game, {"intended": wish.joint, "no operation": NO_OPERATION, "played": joint}),
            payoffs=game.digest if game else None,
            scenarios=game.scenarios if game else 0,
            horizon=game.horizon if game else 0,
            seconds=clock.seconds(),
            payoff_cpu_seconds=game.cpu_seconds if game else 0.0,
            common=self.settings.common,
            limit_s=self.settings.limit_s,
        )

    def _wish(
        self, answers: Mapping[AgentName, Intention | Silence], present: Floats
    ) -> tuple[_Wish, tuple[Degraded, ...]]:
        """The joint action of all intentions; the last good action, or no operation, for those that are missing."""
        joint: dict[AgentName, int] = {}
        fixed: dict[AgentName, int] = {}
        degraded: list[Degraded] = []
        levels: NDArray[np.float64] = present
        for row, (agent, answer) in enumerate(answers.items()):
            last = self._last.get(agent)
            intention = answer if isinstance(answer, Intention) else None
            if intention is not None:
                self._last[agent] = (self._steps, intention)
            elif last is not None and self._steps - last[0] <= self.settings.recent:
                intention = last[1]
            joint[agent] = NO_OPERATION[row]
            if intention is not None and isinstance(intention.action, tuple):
                levels, joint[agent] = np.array(intention.action), INTENTION
            elif intention is not None and isinstance(intention.action, int):
                joint[agent] = intention.action
            if isinstance(answer, Silence):
                fixed[agent] = joint[agent]
                action = ACTIONS[agent][joint[agent]]
                instead: Instead = "last good action" if intention is not None else "no operation"
                degraded.append(Degraded(agent, answer.reason, instead, action))
        choices = discretisation.levels(present, levels)
        return _Wish(tuple(joint[agent] for agent in AGENTS), choices, fixed), tuple(degraded)


class _Clock:
    """The time that a step has taken, by phase, and that it has left."""

    def __init__(self, limit_s: float) -> None:
        self._begun = self._last = time.monotonic()
        self._end = self._begun + limit_s
        self._seconds: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self._seconds[phase] = now - self._last
        self._last = now

    def left(self) -> float:
        return self._end - time.monotonic()

    def deadline(self, share: float) -> float:
        """When a share of what is left will be over."""
        return time.monotonic() + share * max(self.left(), 0.0)

    def seconds(self) -> dict[str, float]:
        return {**self._seconds, "total": time.monotonic() - self._begun}


@dataclass(frozen=True)
class _Decision:
    joint: Joint
    answer: Answer | None
    conflicts: tuple[Settled, ...]
    vetoes: tuple[Veto, ...]
    decided: Decided
    remark: str | None


def _decided(
    fleet: FleetGame | None, wish: _Wish, settings: CoordinationSettings, seed: int, clock: _Clock
) -> _Decision:
    """From the payoffs to the joint action; no operation if there are none."""
    if fleet is None or clock.left() <= 0:
        late = f"the step's limit of {settings.limit_s:g} s left no time for the payoffs"
        return _Decision(NO_OPERATION, None, (), (), "no operation", late)
    joint, answer = played_equilibrium(
        fleet, wish.fixed, common=settings.common, limit_s=max(clock.left() * _SOLVER_SHARE, 0.001), seed=seed
    )
    clock.lap("equilibrium")
    decided: Decided = "equilibrium"
    remark: str | None = None
    wanted, left = (conflicts_of(fleet, each, epsilon=settings.epsilon) for each in (wish.joint, joint))
    first = joint
    among = without_conflict(fleet, epsilon=settings.epsilon) & _possible(wish.fixed)
    if left:
        joint, decided = agreed(fleet, among), "bargain"
        remark = f"the equilibrium has {len(left)} conflicts"
    vetoes = []
    reasons = objections(fleet, joint, settings.bounds)
    if reasons:
        vetoes.append(Veto(named(joint), reasons))
        joint, decided = agreed(fleet, among & admissible(fleet, settings.bounds)), "bargain"
        remark = f"{remark}; its settlement was vetoed" if remark else "the equilibrium was vetoed"
    if joint == NO_OPERATION and decided == "bargain":
        decided = "no operation"
    conflicts = (
        *(_settled(fleet, each, "intentions", wish.joint, joint) for each in wanted),
        *(_settled(fleet, each, "equilibrium", first, joint) for each in left),
    )
    clock.lap("settlement")
    return _Decision(joint, answer, conflicts, tuple(vetoes), decided, remark)


def _possible(fixed: Mapping[AgentName, int]) -> NDArray[np.bool_]:
    """The joint actions in which agents that are away do what is done instead, and no operation."""
    found = np.zeros(SHAPE, dtype=np.bool_)
    found[tuple(fixed.get(agent, slice(None)) for agent in AGENTS)] = True
    found[NO_OPERATION] = True
    return found


def _settled(fleet: FleetGame, conflict: FoundConflict, among: Among, before: Joint, after: Joint) -> Settled:
    return Settled(conflict, among, _utilities(fleet, before), _utilities(fleet, after))


def _utilities(fleet: FleetGame, joint: Joint) -> dict[str, float]:
    return {agent: float(fleet.game.payoffs[(row, *joint)]) for row, agent in enumerate(AGENTS)}


def _figures(fleet: FleetGame | None, joints: Mapping[str, Joint]) -> dict[str, Figures]:
    if fleet is None:
        return {}
    return {
        name: Figures(
            _utilities(fleet, joint),
            float(fleet.shared[joint]),
            float(fleet.violations[joint]),
            float(fleet.success[joint]),
            float(fleet.cost[joint]),
        )
        for name, joint in joints.items()
    }
