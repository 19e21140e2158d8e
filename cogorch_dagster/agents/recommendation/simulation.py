"""Documents in the simulated fleet: the active and the recommended ones on the same fresh seeds.

The fleet does what the documents say and nothing else: one model is asked per request, every tenant counts alike, and
what no document is about stands at its default (`fleet.knobs.BOUNDS`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.comparison.comparison import Comparison, compare_all
from cogorch_dagster.agents.evaluation import METRICS, Scores, environment_seed, scored
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.places import Places
from cogorch_dagster.agents.recommendation.replica_law import ReplicaLaw
from cogorch_dagster.agents.recommendation.router_document import KNOBS
from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.router import weights_of
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.knobs import default_value
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters


@dataclass(frozen=True)
class Documents:
    """What steers a fleet.

    Attributes:
        router: parameters of kind router with the places of its arms; None: the default knobs.
        autoscalers: by place of the model, parameters of kind autoscaler; other models keep their default replicas.
    """

    router: tuple[Mapping[str, Any], Places] | None
    autoscalers: Mapping[int, Mapping[str, Any]]

    def knobs(self) -> dict[str, Floats]:
        """What the router's document says, [M, 1] or [1]; empty without one."""
        if self.router is None:
            return {}
        params, places = self.router
        scalars = {knob: np.array([float(params[name])]) for name, knob in KNOBS.items()}
        return {"weights": places.weights(weights_of(params))[:, None], **scalars}


def documents_compared(
    parameters: FleetParameters,
    active: Documents,
    recommended: Documents,
    *,
    seeds: Sequence[int],
    limits: Limits,
    weights: RewardWeights | None = None,
) -> dict[str, Comparison]:
    """The recommended documents against the active ones, by metric, paired by seed.

    Raises:
        Refused: `no_simulated_traffic`: on some seed not a single request was answered.
    """
    before, after = (
        _scores(name, parameters, documents, seeds, limits, weights)
        for name, documents in (("active", active), ("recommended", recommended))
    )
    if not all(np.isfinite(values).all() for each in (before, after) for values in each.values.values()):
        raise Refused(
            "no_simulated_traffic",
            "in some simulated fleets no request is answered at all, so nothing can be compared; calibrate from a "
            "period with more traffic, or raise steps or fleets_per_seed",
        )
    return compare_all(METRICS, before.values, after.values)


def _scores(
    name: str,
    parameters: FleetParameters,
    documents: Documents,
    seeds: Sequence[int],
    limits: Limits,
    weights: RewardWeights | None,
) -> Scores:
    environment = FleetEnvironment(
        parameters, len(seeds) * limits.fleets_per_seed, seed=environment_seed(seeds), weights=weights
    )
    steps = _steps(environment, documents, min(limits.steps, parameters.horizon))
    return scored(name, parameters, steps, seeds, limits.fleets_per_seed)


def _steps(environment: FleetEnvironment, documents: Documents, steps: int) -> Iterator[Step]:
    """One episode at most: laws and fleets begin together."""
    parameters, fleets = environment.parameters, environment.fleets
    actions, held = passive(fleets), {"quorum": np.array([1.0]), **documents.knobs()}
    most = np.array([[model.max_replicas] for model in parameters.models], dtype=np.float64)
    laws = {
        place: ReplicaLaw(params, parameters.models[place].max_replicas, parameters.step_seconds, fleets)
        for place, params in documents.autoscalers.items()
    }
    levels = default_value("replicas", fleets)
    for _ in range(steps):
        state, load = environment.state, environment.present.outcome.utilisation
        starting = state.starting.sum(axis=0)
        for place, law in laws.items():
            levels[place] = law.desired(state.ready[place], starting[place], load[place]) / most[place]
        yield environment.step(actions, hold={**held, "replicas": levels})
