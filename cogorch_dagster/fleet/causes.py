"""What causes what in the simulated fleet, and the true effect of an intervention: ground truth for causal methods.

The graph is that of one step: an edge means that the equation of the effect reads the cause in the same step. The
effects are found by running the same fleets with and without the intervention under the same draws.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.knobs import BOUNDS, default_value
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS

Floats = NDArray[np.float64]
Figure = Literal["useful", "slow", "latency_s", "cost_usd", "unfairness", "utilisation", "reward", "requests"]

# Effect: its direct causes. Knobs and what comes from outside have none.
CAUSES: dict[str, tuple[str, ...]] = {
    "load": ("hour", "level", "burst"),
    "routing": ("weights", "latency_target_ms", "cost_cap_usd", "fairness"),
    "attempts": ("load", "routing", "quorum", "audit_share"),
    "work": ("attempts", "incident"),
    "ready": ("replicas",),
    "capacity": ("ready", "concurrency"),
    "served": ("work", "capacity", "fairness"),
    "backlog": ("work", "served", "capacity", "admission_s", "timeout_ms"),
    "utilisation": ("served", "capacity"),
    "wait": ("utilisation", "capacity", "served", "backlog", "fairness", "admission_s", "timeout_ms"),
    "response": ("work", "utilisation", "wait"),
    "answered": ("response", "incident", "timeout_ms", "served", "backlog", "quorum", "audit_share"),
    "useful": ("answered",),
    "slow": ("response", "answered", "quorum"),
    "latency_s": ("response", "answered", "timeout_ms", "quorum"),
    "requests": ("served", "backlog", "answered", "quorum", "audit_share"),
    "unfairness": ("useful", "slow", "requests"),
    "cost_usd": ("served", "ready", "useful"),
}


def edges() -> tuple[tuple[str, str], ...]:
    """All (cause, effect) of one step."""
    return tuple((cause, effect) for effect, causes in CAUSES.items() for cause in causes)


def descendants(name: str) -> frozenset[str]:
    """What a quantity can change within a step, directly or through others."""
    found: set[str] = set()
    open_ends = [name]
    while open_ends:
        cause = open_ends.pop()
        for effect, causes in CAUSES.items():
            if cause in causes and effect not in found:
                found.add(effect)
                open_ends.append(effect)
    return frozenset(found)


@dataclass(frozen=True)
class Effect:
    """Mean change of a figure by an intervention, in the figure's unit, with its 95 % interval over fleets."""

    knob: str
    figure: Figure
    mean: float
    interval: tuple[float, float]
    before: float
    fleets: int
    steps: int


def true_effect(
    parameters: FleetParameters,
    knob: str,
    value: float | list[float],
    figure: Figure,
    *,
    against: float | list[float] | None = None,
    steps: int = 60,
    fleets: int = 256,
    seed: int = 0,
) -> Effect:
    """The effect on the mean of a figure of holding a knob at a value instead of `against` (its default).

    All other knobs stand at their defaults. Both runs meet the same traffic and incidents, so that their difference
    is the intervention's alone, fleet by fleet.

    Raises:
        InvalidInput: no such knob or figure, or a value outside the knob's bounds.
    """
    if knob not in BOUNDS:
        raise InvalidInput(f"no knob is named {knob!r}; knobs: {', '.join(BOUNDS)}")
    other = BOUNDS[knob].default if against is None else against
    treated = _mean(parameters, knob, value, figure, steps, fleets, seed)
    control = _mean(parameters, knob, other, figure, steps, fleets, seed)
    change = treated - control
    margin = 1.96 * float(change.std(ddof=1)) / np.sqrt(fleets)
    mean = float(change.mean())
    return Effect(knob, figure, mean, (mean - margin, mean + margin), float(control.mean()), fleets, steps)


def _mean(
    parameters: FleetParameters,
    knob: str,
    value: float | list[float] | tuple[float, ...],
    figure: Figure,
    steps: int,
    fleets: int,
    seed: int,
) -> Floats:
    """The mean of a figure over the steps, per fleet."""
    bound = BOUNDS[knob]
    held = np.asarray(value, dtype=np.float64)
    if not (np.all(held >= bound.low) and np.all(held <= bound.high)):
        raise InvalidInput(f"{knob} {value} lies outside {bound.low}..{bound.high} {bound.unit}")
    if steps > parameters.horizon:
        raise InvalidInput(f"{steps} steps exceed the horizon of {parameters.horizon}; ask for fewer")
    environment = FleetEnvironment(parameters, fleets, seed=seed)
    actions = no_operation(fleets)
    total = np.zeros(fleets)
    for _ in range(steps):
        step = environment.step(actions, hold={knob: held[..., None]})
        total += step.rewards if figure == "reward" else getattr(step.measured, figure)
    return total / steps


def no_operation(fleets: int) -> dict[str, NDArray[np.int64] | NDArray[np.float32]]:
    """The actions that leave every knob at its default."""
    levels = np.concatenate([default_value("replicas", fleets), default_value("concurrency", fleets)[None]])
    actions: dict[str, NDArray[np.int64] | NDArray[np.float32]] = {
        agent: np.zeros(fleets, dtype=np.int64) for agent in AGENTS if agent != "resource"
    }
    actions["resource"] = levels.T.astype(np.float32)
    return actions
