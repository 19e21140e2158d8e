"""How well a controller steers: the same figures for every controller, on seeds that all of them meet.

Which of two does better is `scores_comparison.py`; controllers are described in `controllers.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.comparison.comparison import Metric
from cogorch_dagster.agents.controllers import Controller, Observing, Starting
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters

LATENCY = Metric("latency", "ms", "lower")
SUCCESS = Metric("success", "share", "higher")
METRICS = (
    LATENCY,
    SUCCESS,
    Metric("good", "share", "higher"),
    Metric("unfairness", "share", "lower"),
    Metric("violations", "share", "lower"),
    Metric("cost", "USD", "lower"),
    Metric("utilisation", "share", "higher"),
    Metric("reward", "per step", "higher"),
    Metric("conflicts", "per step", "lower"),
)


@dataclass(frozen=True, eq=False)
class Scores:
    """One controller's figures on fresh seeds.

    Attributes:
        controller: its name.
        parameters: digest of the fleets' parameters.
        values: by metric one per seed, float64 [seeds], over all of the seed's fleets and steps:
            latency: mean of the answered requests, ms.
            success, good: requests with a useful answer, and with one in time, as a share of those that ended.
            unfairness: largest difference between two tenants' shares of good answers in a step, mean.
            violations: share of the promises that are broken in a step, mean.
            cost: of a useful answer, USD, replicas included.
            utilisation, reward, conflicts: mean over models, and per step of a fleet.
    """

    controller: str
    parameters: str
    seeds: tuple[int, ...]
    fleets_per_seed: int
    steps: int
    values: dict[str, Floats]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "controller": self.controller,
            "parameters": self.parameters,
            "seeds": list(self.seeds),
            "fleets_per_seed": self.fleets_per_seed,
            "steps": self.steps,
            "values": {name: values.tolist() for name, values in self.values.items()},
        }


class _Totals:
    """Sums of a run per fleet: what is divided at the end, and what is averaged over steps."""

    def __init__(self, fleets: int) -> None:
        self.sums = {name: np.zeros(fleets) for name in ("answered", "latency_s", "ended", "useful", "good", "cost")}
        self.means = {
            name: np.zeros(fleets) for name in ("unfairness", "violations", "utilisation", "reward", "conflicts")
        }
        self.steps = 0

    def add(self, step: Step) -> None:
        outcome = step.outcome
        for name in ("answered", "ended", "useful", "good"):
            self.sums[name] += outcome.total(name)
        self.sums["latency_s"] += (outcome.latency_s * outcome.answered).sum(axis=0)
        self.sums["cost"] += outcome.cost_usd
        self.means["unfairness"] += step.measured.unfairness
        self.means["violations"] += step.objectives.violations
        self.means["utilisation"] += step.measured.utilisation
        self.means["reward"] += step.rewards
        self.means["conflicts"] += step.conflicts
        self.steps += 1

    def values(self, seeds: int) -> dict[str, Floats]:
        """By metric, [seeds]: the fleets of a seed stand together."""
        sums = {name: values.reshape(seeds, -1).sum(axis=1) for name, values in self.sums.items()}
        means = {name: values.reshape(seeds, -1).mean(axis=1) / self.steps for name, values in self.means.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = {
                "latency": 1000 * sums["latency_s"] / sums["answered"],
                "success": sums["useful"] / sums["ended"],
                "good": sums["good"] / sums["ended"],
                "cost": sums["cost"] / sums["useful"],
            }
        found = ratios | means
        return {metric.name: found[metric.name] for metric in METRICS}


def environment_seed(seeds: Sequence[int]) -> int:
    """The environment's seed for a list of seeds; lists that differ anywhere have nothing in common."""
    text = ",".join(str(seed) for seed in seeds)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def evaluate(
    parameters: FleetParameters,
    controller: Controller,
    *,
    seeds: Sequence[int],
    fleets_per_seed: int = 8,
    steps: int | None = None,
    weights: RewardWeights | None = None,
) -> Scores:
    """Let a controller steer fresh fleets and measure what comes of it.

    All seeds run in one environment. Whatever the controller does, its fleets meet the traffic and the incidents that
    follow from the list of seeds alone (common random numbers), so figures of two controllers on the same list can be
    compared seed by seed. A seed stands for that position of that list: in another list it meets other traffic.

    Args:
        controller: started anew where it asks for that, and told of every step where it observes; one that learns
            from what it observes goes on learning.
        seeds: distinct, at least one, each 0 to 2**63 - 1; use none that training has seen.
        fleets_per_seed: 1 to 10,000, over which a seed's figures are taken.
        steps: 1 to 1,000,000; the fleets' horizon without it. Longer runs begin new episodes.
        weights: of the reward that is reported.

    Returns:
        The scores: a metric is not a number on a seed without a single answered request.

    Raises:
        InvalidInput: a number is outside of its range, or the controller's actions are.
    """
    steps = parameters.horizon if steps is None else steps
    _require(seeds, fleets_per_seed, steps)
    fleets, seed = len(seeds) * fleets_per_seed, environment_seed(seeds)
    environment = FleetEnvironment(parameters, fleets, seed=seed, weights=weights)
    if isinstance(controller, Starting):
        controller.start(fleets, seed)
    return scored(controller.name, parameters, driven(environment, controller, steps), seeds, fleets_per_seed)


def scored(
    name: str, parameters: FleetParameters, steps: Iterable[Step], seeds: Sequence[int], fleets_per_seed: int
) -> Scores:
    """The figures of steps that were taken by whatever `name` stands for; the fleets of a seed stand together."""
    totals = _Totals(len(seeds) * fleets_per_seed)
    for step in steps:
        totals.add(step)
    return Scores(
        controller=name,
        parameters=parameters.digest,
        seeds=tuple(int(each) for each in seeds),
        fleets_per_seed=fleets_per_seed,
        steps=totals.steps,
        values=totals.values(len(seeds)),
    )


def driven(environment: FleetEnvironment, controller: Controller, steps: int) -> Iterator[Step]:
    """Steps of an environment under a controller, which is told of each where it observes."""
    for _ in range(steps):
        step = environment.step(controller.act(environment.states))
        if isinstance(controller, Observing):
            controller.observe(step)
        yield step


def _require(seeds: Sequence[int], fleets_per_seed: int, steps: int) -> None:
    if not seeds:
        raise InvalidInput("an evaluation needs at least one seed, got none")
    if len(set(seeds)) < len(seeds):
        raise InvalidInput(f"the seeds must be distinct, got {len(seeds)} of which {len(set(seeds))} differ")
    if min(seeds) < 0 or max(seeds) >= 2**63:
        raise InvalidInput(f"seeds must lie between 0 and 2**63 - 1, got {min(seeds)} to {max(seeds)}")
    if not 1 <= fleets_per_seed <= 10_000:
        raise InvalidInput(f"fleets_per_seed must lie between 1 and 10000, got {fleets_per_seed}")
    if not 1 <= steps <= 1_000_000:
        raise InvalidInput(f"steps must lie between 1 and 1000000, got {steps}")
