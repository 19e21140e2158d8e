"""What the agents aim at: the promises to tenants, each agent's own utility, and the reward that they share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cogorch_dagster.fleet.parameters import FleetParameters, Parameters
from cogorch_dagster.fleet.signals import AgentName, Measured

Floats = NDArray[np.float64]

PROMISES = ("useful", "slow", "cost", "fair")
# Utilisation that leaves room for a burst.
BEST_UTILISATION = 0.65


class RewardWeights(Parameters):
    """How the agents' utilities make up the shared reward: weighted sum, less conflicts, plus what all aim at."""

    policy: float = Field(default=0.25, ge=0, le=10)
    consensus: float = Field(default=0.4, ge=0, le=10)
    ethical: float = Field(default=0.25, ge=0, le=10)
    resource: float = Field(default=0.1, ge=0, le=10)
    conflict_penalty: float = Field(default=0.03, ge=0, le=10, description="Per declared conflict in a step.")
    global_bonus: float = Field(default=0.1, ge=0, le=10, description="For a step in which every promise is kept.")


@dataclass(frozen=True)
class Objectives:
    """Of one step: broken promises bool [4, B], utilities 0..1 per agent [B], shared reward [B]."""

    broken: NDArray[np.bool_]
    utilities: dict[AgentName, Floats]
    reward: Floats

    @property
    def violations(self) -> Floats:
        """Share of the promises that are broken, [B]."""
        share: Floats = self.broken.mean(axis=0)
        return share


def judged(
    parameters: FleetParameters, weights: RewardWeights, measured: Measured, conflicts: NDArray[np.int64]
) -> Objectives:
    """The objectives of a step from its figures."""
    excess = np.array(
        [
            (parameters.min_useful - measured.useful) / 0.05,
            (measured.slow - parameters.max_slow) / 0.2,
            (measured.cost_usd - parameters.budget_usd) / parameters.budget_usd,
            (measured.unfairness - parameters.max_unfairness) / 0.3,
        ]
    )
    broken = excess > 0
    # Half for breaking a promise at all, half for by how much, so that less broken is better too.
    breach = (broken + np.clip(excess, 0.0, 1.0)).mean(axis=0) / 2
    slo_s = parameters.slo_ms / 1000
    thrift = 1 - np.minimum(measured.cost_usd / (2 * parameters.budget_usd), 1.0)
    off = np.abs(measured.utilisation - BEST_UTILISATION) / BEST_UTILISATION
    utilities: dict[AgentName, Floats] = {
        "policy": 1 - breach,
        # Falls with every second, however many there are: half of it is lost at a quarter of the promised time.
        "consensus": 0.5 * measured.useful + 0.5 / (1 + 4 * measured.latency_s / slo_s),
        "ethical": 0.75 * (1 - measured.unfairness) + 0.25 * measured.useful,
        "resource": 0.7 * thrift + 0.3 * (1 - off),
    }
    reward = sum((getattr(weights, agent) * value for agent, value in utilities.items()), np.zeros_like(breach))
    reward = reward - weights.conflict_penalty * conflicts + weights.global_bonus * ~broken.any(axis=0)
    return Objectives(broken, utilities, reward)
