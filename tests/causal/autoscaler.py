"""Simpson's reversal on the simulated fleet: an autoscaler whose replicas follow load, as rows for causal questions.

Each row is a period of some steps in which the replicas are held. They follow the load and the queue of the period
before, so that busy periods have both more replicas and longer latencies, although more replicas make them shorter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.fleet.causes import no_operation
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters

Floats = NDArray[np.float64]

VARIABLES = (
    Variable("load_before", "ratio", "context", 0, description="requests of the period before over the nominal"),
    Variable("backlog_before", "s", "context", 0, description="time to work off what waited as the period began"),
    Variable("replicas", "share", "policy", 1, description="of max_replicas, the same for each model"),
    Variable("load", "ratio", "context", 2, description="requests over the nominal"),
    Variable("utilisation", "share", "state", 3),
    Variable("latency_s", "s", "outcome", 4),
    Variable("cost_usd", "USD", "outcome", 4, description="of a useful answer"),
    Variable("useful", "share", "outcome", 4),
)
NAMES = tuple(each.name for each in VARIABLES)

EDGES = (
    ("load_before", "replicas"),
    ("backlog_before", "replicas"),
    ("load_before", "load"),
    ("load_before", "backlog_before"),
    ("load_before", "utilisation"),
    ("load_before", "latency_s"),
    ("backlog_before", "utilisation"),
    ("backlog_before", "latency_s"),
    ("load", "utilisation"),
    ("load", "latency_s"),
    ("load", "cost_usd"),
    ("load", "useful"),
    ("replicas", "utilisation"),
    ("replicas", "latency_s"),
    ("replicas", "cost_usd"),
    ("replicas", "useful"),
    ("utilisation", "latency_s"),
    ("utilisation", "useful"),
    ("utilisation", "cost_usd"),
)


@dataclass(frozen=True)
class Controller:
    """Replicas as a share of max_replicas, by the load and the queue that the period before left behind, within bounds.

    `base + per_load * (load - 1) + per_second * backlog + noise`; the noise is what exploration adds.
    """

    base: float = 0.35
    per_load: float = 0.05
    per_second: float = 0.01
    noise: float = 0.03
    low: float = 0.15
    high: float = 1.0

    def replicas(self, load: Floats, backlog: Floats, rng: np.random.Generator) -> Floats:
        wanted = self.base + self.per_load * (load - 1) + self.per_second * backlog
        return np.asarray(np.clip(wanted + self.noise * rng.standard_normal(load.shape), self.low, self.high))


def graph() -> Graph:
    """What causes what in a period, as the simulation's equations say."""
    return Graph.from_edges(NAMES, EDGES)


def rows(
    *,
    seed: int,
    fleets: int = 48,
    periods: int = 24,
    steps: int = 10,
    controller: Controller | None = None,
    parameters: FleetParameters | None = None,
) -> CausalDataset:
    """Fleets under the controller; a group is a fleet, a row a period.

    Args:
        fleets, periods: `fleets * (periods - 1)` rows come back, for the first period has none before it.
        steps: of a period; all periods must fit in an episode.
    """
    parameters, controller = parameters or default_parameters(), controller or Controller()
    parameters = parameters.model_copy(update={"horizon": periods * steps + 1})
    rng = np.random.default_rng(seed)
    environment = FleetEnvironment(parameters, fleets, seed=seed)
    nominal = sum(tenant.requests_per_second for tenant in parameters.tenants) * parameters.step_seconds
    load, backlog = np.ones(fleets), np.zeros(fleets)
    found = []
    for _ in range(periods):
        replicas = controller.replicas(load, backlog, rng)
        held = [environment.step(no_operation(fleets), hold={"replicas": replicas[None]}) for _ in range(steps)]
        now = _figures(held, nominal)
        found.append([load, backlog, replicas, *(now[name] for name in NAMES[3:])])
        load, backlog = now["load"], held[-1].outcome.backlog_s.mean(axis=0)
    values = np.array(found[1:]).transpose(2, 0, 1).reshape(-1, len(NAMES))
    groups = np.repeat(np.arange(fleets), periods - 1)
    times = np.tile(np.arange(1, periods) * steps * int(parameters.step_seconds), fleets)
    return CausalDataset("autoscaler", VARIABLES, values, groups, times)


def _figures(held: list[Step], nominal: float) -> dict[str, Floats]:
    means = {
        name: np.mean([getattr(step.measured, name) for step in held], axis=0)
        for name in ("utilisation", "latency_s", "cost_usd", "useful")
    }
    return {**means, "load": np.mean([step.outcome.total("arrived") for step in held], axis=0) / nominal}
