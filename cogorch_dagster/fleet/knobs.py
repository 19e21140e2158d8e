"""The knobs of a fleet: what each agent may turn, within which bounds, and where they stand before anybody does.

What an action does to them is `actions.py`; what they do to the fleet is `simulation.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.parameters import TENANTS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """Unit, lowest and highest value of a knob, and its default."""

    unit: str
    low: float
    high: float
    default: float | tuple[float, ...]
    meaning: str


# In the order in which they stand in `Knobs`; the owner is the agent that turns it.
BOUNDS: dict[str, Bound] = {
    "weights": Bound("share", 0.02, 1.0, (0.45, 0.35, 0.2), "of the router, per model; they sum to 1"),
    "latency_target_ms": Bound("ms", 1000.0, 60_000.0, 12_000.0, "slower models are avoided beyond it (policy)"),
    "cost_cap_usd": Bound("USD", 0.0005, 0.1, 0.02, "dearer models are avoided beyond it, per request (policy)"),
    "admission_s": Bound("s", 1.0, 120.0, 30.0, "longest queue, as time to work it off; the rest is refused (policy)"),
    "timeout_ms": Bound("ms", 2000.0, 60_000.0, 20_000.0, "of an attempt (consensus)"),
    "quorum": Bound("answers", 1.0, 2.0, 1.25, "models asked per request; the first valid answer counts (consensus)"),
    "fairness": Bound("ratio", 0.25, 4.0, (1.0,) * TENANTS, "weight per tenant in queues and router (ethical)"),
    "audit_share": Bound("share", 0.0025, 0.2, 0.01, "of requests asked again at the ablest model (ethical)"),
    "replicas": Bound("share", 0.0, 1.0, (0.4, 0.5, 0.6), "of max_replicas, per model, at least one (resource)"),
    "concurrency": Bound("share", 0.0, 1.0, 0.7, "of the slots of a replica, at least one (resource)"),
}


@dataclass
class Knobs:
    """The settings of B fleets: per model [3, B], per tenant [4, B], otherwise [B]; units as in `BOUNDS`."""

    weights: Floats
    latency_target_ms: Floats
    cost_cap_usd: Floats
    admission_s: Floats
    timeout_ms: Floats
    quorum: Floats
    fairness: Floats
    audit_share: Floats
    replicas: Floats
    concurrency: Floats


def default_knobs(fleets: int) -> Knobs:
    """The defaults of `BOUNDS` for each of B fleets."""
    return Knobs(**{name: default_value(name, fleets) for name in BOUNDS})


def default_value(name: str, fleets: int) -> Floats:
    """The default of one knob for B fleets: [B], [3, B] or [4, B]."""
    default = np.asarray(BOUNDS[name].default, dtype=np.float64)
    return np.repeat(default[..., None], fleets, axis=-1)


def clip_knob(name: str, values: Floats) -> Floats:
    """Values within the knob's bounds."""
    bound = BOUNDS[name]
    return np.clip(values, bound.low, bound.high)
