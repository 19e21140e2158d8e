"""The autoscaler's document that a controller's trajectory comes to: bounds of the replicas, and the load to aim at."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from cogorch_dagster.agents.recommendation.draft_document import DraftDocument, drafted
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.trajectory import Trajectory, default_replicas
from cogorch_dagster.fleet.parameters import FleetParameters

# Quantiles of the replicas ordered that become the bounds.
LOW, HIGH = 0.1, 0.9
# An autoscaler orders more when the load is above its target by this share; see `agents.baselines.autoscaler`.
TOLERANCE = 0.1
# It orders from there upward, so the loads at which it does lie above; a learned one orders at others now and then.
ORDERING = 0.25
LEFT = "the controller leaves the replicas as they are"
PACE = ("scaleUpStep", "scaleDownStep", "scaleUpCooldownMs", "scaleDownCooldownMs")


def autoscaler_document(
    active: dict[str, Any],
    trajectory: Trajectory,
    models: Sequence[int],
    parameters: FleetParameters,
    limits: Limits,
) -> DraftDocument:
    """The parameters that the trajectory comes to for these models alike, each within its step from the active ones."""
    kept = dict.fromkeys(PACE, "the agents name levels, not a pace")
    ordered = trajectory.replicas[:, list(models)]
    if (ordered == default_replicas(parameters)[list(models), None]).all():
        return drafted(active, {}, kept | dict.fromkeys(("minReplicas", "maxReplicas", "targetUtilization"), LEFT), {})
    most = max(parameters.models[place].max_replicas for place in models)
    low, high = np.quantile(ordered, [LOW, HIGH], axis=(0, 2))
    aims: dict[str, Any] = {"minReplicas": floor(low.min()), "maxReplicas": ceil(high.max())}
    new: dict[str, Any] = {}
    for name, aim in aims.items():
        value = int(active[name])
        if 1 <= value <= most:
            new[name] = _within(aim, value, most, limits.factor)
        else:
            kept[name] = f"{value} lies outside of what the agents can order, 1 to {most}"
    if new.get("minReplicas", active["minReplicas"]) > new.get("maxReplicas", active["maxReplicas"]):
        kept |= dict.fromkeys(new, "the bounds would cross")
        new = {}
    target, why = _target(active, trajectory, models, limits)
    aims["targetUtilization"] = target
    if why is None:
        now = float(active["targetUtilization"])
        new["targetUtilization"] = round(
            min(max(target, now - limits.utilisation_step, 0.05), now + limits.utilisation_step, 1.0), 2
        )
    else:
        kept["targetUtilization"] = why
    return drafted(active, new, kept, {name: aim for name, aim in aims.items() if aim is not None})


def _within(aim: int, value: int, most: int, factor: float) -> int:
    """At most the factor away, but always one replica."""
    lower, upper = min(floor(value / factor), value - 1), max(ceil(value * factor), value + 1)
    return min(max(aim, lower, 1), upper, most)


def _target(
    active: dict[str, Any], trajectory: Trajectory, models: Sequence[int], limits: Limits
) -> tuple[float, str | None]:
    """The load to aim at, and why the active one stays if it does."""
    more = trajectory.ordered_more[:, list(models)]
    if more.sum() < limits.minimum_orders:
        said = f"more replicas were ordered {int(more.sum())} times, at least {limits.minimum_orders} tell at what load"
        return float(active["targetUtilization"]), said
    return float(np.quantile(trajectory.load[:, list(models)][more], ORDERING)) / (1 + TOLERANCE), None
