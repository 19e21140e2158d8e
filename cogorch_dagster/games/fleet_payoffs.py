"""What every joint action of the four agents is worth to each of them: all 2,000 in the simulator, on the same draws.

The fleet goes on from its present state with the joint action in the first step and nobody changing anything after.
The payoffs are the agents' own utilities, for they are what conflicts; the shared reward and what the veto asks for
come along. Not here: what is played (`coordinator.py`), and games that have nothing to do with fleets.
"""

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.conflicts import CONFLICTS, matches
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.discretisation import ACTIONS, NO_OPERATION, SHAPE, all_joint_actions
from cogorch_dagster.games.pareto import Joint
from cogorch_dagster.games.payoffs import Floats, Game

HORIZON, SCENARIOS = 8, 16
# Scenarios that are simulated at a time: large enough for long arrays, small enough to look at the clock in between.
BLOCK = 2
_MOST_SCENARIOS = 4096


@dataclass(frozen=True, eq=False)
class FleetGame:
    """The joint actions of a fleet at one moment, and what they are worth.

    Arrays over joint actions have the shape of the game, [10, 5, 8, 5]: policy, consensus, ethical, resource.

    Attributes:
        game: the agents' own utilities, mean over steps and scenarios, each 0..1.
        levels: the resource agent's choices, float64 [5, 4] in 0..1.
        shared: mean of the shared reward.
        standard_errors: [4, ...] of what each agent gains over no operation, over scenarios; 0 with one scenario.
        violations: mean share of the promises that are broken, 0..1.
        success: requests with a useful answer, as a share of those that ended.
        cost: of a useful answer, USD, replicas included.
        conflicts: bool [C, ...], which of `fleet.conflicts.CONFLICTS` a joint action is.
        scenarios: how many futures were simulated; horizon: for how many steps.
        seed: of the futures.
        seconds: wall time; cpu_seconds: of this process.
    """

    game: Game
    levels: Floats
    shared: Floats
    standard_errors: Floats
    violations: Floats
    success: Floats
    cost: Floats
    conflicts: NDArray[np.bool_]
    scenarios: int
    horizon: int
    seed: int
    seconds: float
    cpu_seconds: float

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hash of payoffs, shared reward, levels and safety figures."""
        found = hashlib.sha256()
        for values in (self.game.payoffs, self.shared, self.levels, self.violations, self.success, self.cost):
            found.update(np.ascontiguousarray(values).tobytes())
        return f"sha256:{found.hexdigest()}"

    def actions(self, joint: Joint) -> dict[str, Values]:
        """A joint action for an environment of one fleet: int64 [1], the resource agent's float32 [1, 4]."""
        found: dict[str, Values] = {
            agent: np.array([index], dtype=np.int64) for agent, index in zip(AGENTS, joint, strict=True)
        }
        return found | {"resource": self.levels[[joint[-1]]].astype(np.float32)}


def payoff_game(
    environment: FleetEnvironment,
    fleet_index: int,
    levels: Floats,
    *,
    horizon: int = HORIZON,
    scenarios: int = SCENARIOS,
    seed: int,
    deadline: float = float("inf"),
) -> FleetGame | None:
    """Evaluate all joint actions of one fleet from where it stands now; the environment is left as it is.

    All joint actions meet the same futures, so that their differences are due to the actions. The futures are not
    those that the environment itself will bring. Fewer scenarios are as much faster as they are fewer.

    Args:
        fleet_index: which of the environment's fleets.
        levels: the resource agent's choices, as `discretisation.levels` gives them.
        horizon: steps, 1 to the fleets' own horizon.
        scenarios: futures, 1 to 4096.
        seed: of the futures, 0 to 2**63 - 1.
        deadline: value of `time.monotonic()` after which no more scenarios are begun; the result says how many there
            were. None if not even the first were simulated by then.

    Raises:
        InvalidInput: a number is out of its range.
    """
    _require(environment, fleet_index, levels, horizon, scenarios)
    begun, cpu = time.perf_counter(), time.process_time()
    present = _present(environment, fleet_index)
    joint = all_joint_actions()
    sums = _Sums(len(joint["policy"]))
    seeds = np.random.SeedSequence(seed).generate_state(scenarios, np.uint64) >> 1
    for first in range(0, scenarios, BLOCK):
        count = min(BLOCK, scenarios - first)
        if not _simulate(present, joint, levels, horizon, int(seeds[first]), count, deadline, sums):
            break
    if not sums.scenarios:
        return None
    actions: dict[str, Values] = {**joint, "resource": levels[joint["resource"]].astype(np.float32)}
    declared = np.array([matches(conflict, actions, present.knobs) for conflict in CONFLICTS])
    means = sums.utilities / (sums.scenarios * horizon)
    return FleetGame(
        game=Game(means.reshape(len(AGENTS), *SHAPE), AGENTS, tuple(ACTIONS[agent] for agent in AGENTS)),
        levels=levels,
        shared=(sums.rewards / (sums.scenarios * horizon)).reshape(SHAPE),
        standard_errors=sums.standard_errors(horizon).reshape(len(AGENTS), *SHAPE),
        violations=(sums.violations / (sums.scenarios * horizon)).reshape(SHAPE),
        success=(sums.useful / np.maximum(sums.ended, 1e-9)).reshape(SHAPE),
        cost=(sums.cost / np.maximum(sums.useful, 1.0)).reshape(SHAPE),
        conflicts=declared.reshape(len(CONFLICTS), *SHAPE),
        scenarios=sums.scenarios,
        horizon=horizon,
        seed=seed,
        seconds=time.perf_counter() - begun,
        cpu_seconds=time.process_time() - cpu,
    )


class _Sums:
    """What is added up over scenarios and steps, per joint action."""

    def __init__(self, joints: int) -> None:
        self.scenarios = 0
        self.utilities = np.zeros((len(AGENTS), joints))
        self.squared_gains = np.zeros((len(AGENTS), joints))  # of the scenarios' sums over no operation's
        self.rewards, self.violations = np.zeros(joints), np.zeros(joints)
        self.ended, self.useful, self.cost = np.zeros(joints), np.zeros(joints), np.zeros(joints)

    def add(self, block: dict[str, Floats], count: int) -> None:
        """Sums over the steps, each [joints * count] (utilities [4, ...]); the scenarios of a joint stand together."""
        utilities = block.pop("utilities").reshape(len(AGENTS), -1, count)
        gains = utilities - utilities[:, [_NO_OPERATION_ROW]]
        self.utilities += utilities.sum(axis=-1)
        self.squared_gains += (gains**2).sum(axis=-1)
        for name, values in block.items():
            setattr(self, name, getattr(self, name) + values.reshape(-1, count).sum(axis=-1))
        self.scenarios += count

    def standard_errors(self, horizon: int) -> Floats:
        if self.scenarios < 2:
            return np.zeros_like(self.utilities)
        n = self.scenarios
        mean = (self.utilities - self.utilities[:, [_NO_OPERATION_ROW]]) / n
        variance = np.maximum(self.squared_gains - n * mean**2, 0.0) / (n - 1)
        errors: Floats = np.sqrt(variance / n) / horizon
        return errors


_NO_OPERATION_ROW = int(np.ravel_multi_index(NO_OPERATION, SHAPE))


def _present(environment: FleetEnvironment, fleet_index: int) -> FleetEnvironment:
    """The fleet alone, with its episode begun anew: a real fleet is not cut off at a horizon."""
    alone = environment.branch(np.array([fleet_index]), seed=0)
    parts = alone.parts()
    alone.restore({**parts, "elapsed": np.zeros_like(parts["elapsed"])})
    return alone


def _simulate(
    present: FleetEnvironment,
    joint: dict[str, NDArray[np.int64]],
    levels: Floats,
    horizon: int,
    seed: int,
    count: int,
    deadline: float,
    sums: _Sums,
) -> bool:
    """Add `count` scenarios of all joint actions, unless the deadline comes first: then nothing is added."""
    fleets = len(joint["policy"]) * count
    if time.monotonic() >= deadline:
        return False
    futures = present.branch(np.zeros(fleets, dtype=np.int64), seed=seed, scenarios=count)
    repeated = {agent: np.repeat(indices, count) for agent, indices in joint.items()}
    held = levels[repeated["resource"]].astype(np.float32)
    actions: dict[str, Values] = {**repeated, "resource": held}
    still: dict[str, Values] = {
        agent: np.full(fleets, index, dtype=np.int64) for agent, index in zip(AGENTS, NO_OPERATION, strict=True)
    }
    still["resource"] = held
    block = {name: np.zeros(fleets) for name in ("rewards", "violations", "ended", "useful", "cost")}
    utilities = np.zeros((len(AGENTS), fleets))
    for index in range(horizon):
        if time.monotonic() >= deadline:
            return False
        step = futures.step(still if index else actions)
        utilities += np.stack([step.objectives.utilities[agent] for agent in AGENTS])
        block["rewards"] += step.objectives.reward
        block["violations"] += step.objectives.violations
        for name in ("ended", "useful"):
            block[name] += step.outcome.total(name)
        block["cost"] += step.outcome.cost_usd
    sums.add({**block, "utilities": utilities}, count)
    return True


def _require(environment: FleetEnvironment, fleet_index: int, levels: Floats, horizon: int, scenarios: int) -> None:
    if not 0 <= fleet_index < environment.fleets:
        raise InvalidInput(f"there is no fleet {fleet_index}; the environment has 0 to {environment.fleets - 1}")
    if levels.shape != (SHAPE[-1], 4) or not ((levels >= 0) & (levels <= 1)).all():
        raise InvalidInput(f"levels have shape {levels.shape}; give {SHAPE[-1]} choices of 4 levels in 0..1")
    if not 1 <= horizon <= environment.parameters.horizon:
        raise InvalidInput(f"horizon is {horizon} steps; it must lie in 1..{environment.parameters.horizon}")
    if not 1 <= scenarios <= _MOST_SCENARIOS:
        raise InvalidInput(f"{scenarios} scenarios; give 1 to {_MOST_SCENARIOS}")
