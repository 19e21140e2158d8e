"""Where a controller takes the knobs of many fleets that begin at given settings.

What the settings become in a document is `router_document.py` and `autoscaler_document.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.controllers import Controller, Observing, Starting
from cogorch_dagster.agents.evaluation import environment_seed
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.constants import Constants
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.knobs import clip_knob, default_value
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.simulation import desired_replicas

SCALARS = ("latency_target_ms", "cost_cap_usd", "timeout_ms")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """S steps of B fleets after the warm-up.

    Attributes:
        start: knobs that all fleets began with, by name.
        weights: of the router, [S, M, B].
        scalars: by name of the knob, [S, B], units as in `BOUNDS`.
        replicas: ordered, [S, M, B]; at least one.
        ordered_more: whether more were ordered than in the step before, bool [S, M, B].
        load: utilisation that the order followed on, [S, M, B].
    """

    start: dict[str, Floats]
    weights: Floats
    scalars: dict[str, Floats]
    replicas: Floats
    ordered_more: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    load: Floats


def steered(
    controller: Controller,
    parameters: FleetParameters,
    start: Mapping[str, Floats],
    *,
    fleets: int,
    steps: int,
    warm_up: float,
    seed: int,
    weights: RewardWeights | None = None,
) -> Trajectory:
    """Let a controller steer fleets through one episode.

    Args:
        start: settings of knobs before the controller's second decision, [M, 1] or [1]; brought within their bounds.
        steps: at most one less than the fleets' horizon are taken, since knobs begin anew with an episode.
        warm_up: share of the steps that is left out.

    Raises:
        InvalidInput: no step is left after the warm-up.
    """
    steps = min(steps, parameters.horizon - 1)
    first = max(round(steps * warm_up), 1)
    if steps - first < 1:
        raise InvalidInput(
            f"{steps} steps leave none after a warm-up of {warm_up:.0%}; the fleets need a longer horizon"
        )
    environment = FleetEnvironment(parameters, fleets, seed=environment_seed([seed]), weights=weights)
    if isinstance(controller, Starting):
        controller.start(fleets, seed)
    constants = Constants.of(parameters)
    begun = {name: _within(name, value) for name, value in start.items()}
    kept: list[tuple[Floats, ...]] = []
    for number in range(steps):
        before, load = desired_replicas(constants, environment.knobs), environment.present.outcome.utilisation
        step = environment.step(controller.act(environment.states), hold=None if number else begun)
        if isinstance(controller, Observing):
            controller.observe(step)
        if number >= first:
            knobs = environment.knobs
            replicas = desired_replicas(constants, knobs)
            kept.append((knobs.weights, *(getattr(knobs, name) for name in SCALARS), replicas, before, load))
    columns = [np.stack(each) for each in zip(*kept, strict=True)]
    router, *scalars, replicas, before, load = columns
    return Trajectory(
        start=begun,
        weights=router,
        scalars=dict(zip(SCALARS, scalars, strict=True)),
        replicas=replicas,
        ordered_more=replicas > before,
        load=load,
    )


def default_replicas(parameters: FleetParameters) -> Floats:
    """What is ordered where nobody orders anything, [M]."""
    most = np.array([model.max_replicas for model in parameters.models])
    return np.asarray(np.maximum(np.rint(default_value("replicas", 1)[:, 0] * most), 1.0))


def _within(name: str, value: Floats) -> Floats:
    clipped = clip_knob(name, np.asarray(value, dtype=np.float64))
    return np.asarray(clipped / clipped.sum(axis=0)) if name == "weights" else clipped
