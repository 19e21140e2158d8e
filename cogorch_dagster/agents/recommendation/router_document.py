"""The router's document that a controller's trajectory comes to: weights, latency target, cost cap, timeout."""

from typing import Any

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.recommendation.draft_document import DraftDocument, drafted
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.places import Places
from cogorch_dagster.agents.recommendation.trajectory import Trajectory
from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.router import weights_of
from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.proposals.search import Region, rounded_weights

# Parameter of a router and the knob that it is.
KNOBS = {"latencyTargetMs": "latency_target_ms", "maxCostUsd": "cost_cap_usd", "timeoutMs": "timeout_ms"}
INEXPRESSIBLE = {
    "fallbackOn": "the simulator tries a fixed share of what failed again",
    "cooldownMs": "the simulator leaves no model out after a failure",
    "tenantWeights": "the simulator has one set of weights; the agents' fairness is a place in a queue, not an arm",
}
# Smaller moves, of weights and relative ones of others, are not told apart from leaving them.
LEAST_MOVE = 0.01


def router_document(active: dict[str, Any], trajectory: Trajectory, places: Places, limits: Limits) -> DraftDocument:
    """The parameters that the trajectory comes to, each within its step from the active ones.

    Raises:
        Refused: `no_common_arm`: no arm has the name of a calibrated model.
    """
    if not places.known:
        raise Refused(
            "no_common_arm",
            f"none of the arms {', '.join(sorted(active['modelWeights']))} has the name of a model of the calibration "
            f"({', '.join(places.names)}); calibrate from observations whose models are the router's arms",
        )
    kept = {name: why for name, why in INEXPRESSIBLE.items() if active.get(name) is not None}
    new: dict[str, Any] = {}
    aims: dict[str, Any] = {}
    for name, knob in KNOBS.items():
        value, aim = float(active[name]), float(np.median(trajectory.scalars[knob]))
        if (why := _unsettable(value, knob)) is not None:
            kept[name] = why
            continue
        aims[name] = aim
        if abs(aim / value - 1) < LEAST_MOVE:
            kept[name] = "the controller leaves it"
        else:
            new[name] = float(f"{min(max(aim, value / limits.factor), value * limits.factor):.3g}")
    weights, aim_weights, still = _weights(weights_of(active), trajectory, places, limits)
    aims["modelWeights"] = aim_weights
    new["modelWeights"] = weights
    kept |= {f"modelWeights.{arm}": said for arm, said in still.items()}
    return drafted(active, new, kept, aims)


def _unsettable(value: float, knob: str) -> str | None:
    bound = BOUNDS[knob]
    if bound.low <= value <= bound.high:
        return None
    return f"{value:g} {bound.unit} lies outside of what the agents can set, {bound.low:g} to {bound.high:g}"


def _weights(
    active: dict[str, float], trajectory: Trajectory, places: Places, limits: Limits
) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """New weights by arm, those that the controller arrives at, and why arms keep theirs."""
    arms = sorted(active)
    moving = [arm for arm in arms if arm in places.known and active[arm] > 0]
    why = {arm: "no model of the calibration stands for it alone" for arm in arms if arm not in places.known}
    why |= {arm: "it is switched off" for arm in arms if arm in places.known and active[arm] == 0}
    settled = trajectory.weights.mean(axis=(0, 2))
    own = settled[[places.known[arm] for arm in moving]]
    share = sum(active[arm] for arm in moving)
    aim = {arm: float(share * each / own.sum()) for arm, each in zip(moving, own, strict=True)}
    if np.abs(settled - trajectory.start["weights"][:, 0]).max() < LEAST_MOVE:
        return active, aim, why | dict.fromkeys(moving, "the controller leaves it")
    if len(moving) < 2:
        return active, aim, why | dict.fromkeys(moving, "there is no other arm to trade with")
    now = np.array([active[arm] for arm in arms])
    near = Region.around(now, limits.weight_step, limits.floor)
    still = np.array([arm not in aim for arm in arms])
    region = Region(np.where(still, now, near.lower), np.where(still, now, near.upper))
    target = np.array([aim.get(arm, active[arm]) for arm in arms])
    new = rounded_weights(projected(target, region), region)
    return {arm: float(weight) for arm, weight in zip(arms, new, strict=True)}, aim, why


def projected(target: Floats, region: Region) -> Floats:
    """The weights of the region that lie nearest to the target (Euclid): one shift for all, cut at the bounds."""
    low, high = float((region.lower - target).min()), float((region.upper - target).max())
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(target + middle, region.lower, region.upper).sum() < 1:
            low = middle
        else:
            high = middle
    return np.asarray(np.clip(target + high, region.lower, region.upper))
