"""What each agent can do: its actions by name, and what they do to the knobs.

Discrete actions are numbers in the order of their table; the resource agent names levels in 0..1. Steps are small,
so that a setting is reached over several decisions and each can be taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.knobs import Floats, Knobs, clip_knob
from cogorch_dagster.fleet.parameters import MODELS
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.fleet.simulation import Outcome

Values = NDArray[np.int64] | NDArray[np.float32]
Actions = Mapping[str, Values]

# Share of the router's weights that moves at once, and factors of one step.
WEIGHT_STEP = 0.1
FAIRNESS_STEP = 1.25


@dataclass(frozen=True)
class Action:
    """A discrete action: its name and what it does."""

    name: str
    meaning: str


POLICY = (
    Action("none", "leave everything as it is"),
    Action("latency_target_down", "latency target x 0.8: slower models are avoided earlier"),
    Action("latency_target_up", "latency target x 1.25"),
    Action("cost_cap_down", "cost cap x 0.8: dearer models are avoided earlier"),
    Action("cost_cap_up", "cost cap x 1.25"),
    Action("weights_to_cheapest", "a tenth of the router's weights to the cheapest model"),
    Action("weights_to_ablest", "a tenth of the router's weights to the model with the most useful answers"),
    Action("weights_to_idlest", "a tenth of the router's weights to the model with most capacity unused"),
    Action("tighten", "longest queue x 0.7: more is refused at once"),
    Action("relax", "longest queue x 1.4"),
)
CONSENSUS = (
    Action("none", "leave both as they are"),
    Action("timeout_halved", "timeout x 0.5"),
    Action("timeout_doubled", "timeout x 2"),
    Action("quorum_halved", "quorum x 0.5: fewer models asked per request"),
    Action("quorum_doubled", "quorum x 2: more models asked per request"),
)
ETHICAL = (
    Action("none", "leave everything as it is"),
    Action("raise_worst", "fairness weight x 1.25 for the tenant with the fewest good answers measured"),
    Action("lower_best", "fairness weight x 0.8 for the tenant with the most"),
    Action("offset_demand", "half-way (in the logarithm) to weights that offset each tenant's demand"),
    Action("neutral", "half-way (in the logarithm) to equal weights"),
    Action("sample_more", "audit share x 2"),
    Action("sample_less", "audit share x 0.5"),
    Action("audit", "audit share at its largest"),
)
TABLES: dict[AgentName, tuple[Action, ...]] = {"policy": POLICY, "consensus": CONSENSUS, "ethical": ETHICAL}
ACTION_COUNTS: dict[AgentName, int] = {agent: len(table) for agent, table in TABLES.items()}
RESOURCE_DIMENSIONS = ("replicas_0", "replicas_1", "replicas_2", "concurrency")


def checked(actions: Actions, fleets: int) -> dict[str, Values]:
    """The actions of all agents, with the right type and shape.

    Raises:
        InvalidInput: an agent is missing or unknown, a shape is wrong, or an action lies outside its bounds.
    """
    if set(actions) != set(AGENTS):
        raise InvalidInput(
            f"actions are given for {', '.join(sorted(actions))}; they are needed for {', '.join(AGENTS)}"
        )
    found: dict[str, Values] = {}
    for agent in AGENTS:
        values = np.asarray(actions[agent])
        shape = (fleets, len(RESOURCE_DIMENSIONS)) if agent == "resource" else (fleets,)
        if values.shape != shape:
            raise InvalidInput(f"actions of {agent} have shape {values.shape}; they need {shape}")
        low, high = values.min(), values.max()
        top = 1 if agent == "resource" else ACTION_COUNTS[agent] - 1
        if not (low >= 0 and high <= top):
            raise InvalidInput(f"actions of {agent} lie in {low}..{high}; they must lie in 0..{top}")
        found[agent] = values.astype(np.float32) if agent == "resource" else values.astype(np.int64)
    return found


def turned(knobs: Knobs, actions: Actions, outcome: Outcome, good: Floats, cheapest: int, ablest: int) -> Knobs:
    """The knobs after the agents' actions (as `checked` gives them).

    Args:
        good: measured shares of good answers per tenant, [T, B]. cheapest, ablest: indices of models.
    """
    knobs = _policy(knobs, actions["policy"], outcome, cheapest, ablest)
    knobs = _consensus(knobs, actions["consensus"])
    knobs = _ethical(knobs, actions["ethical"], outcome, good)
    levels = actions["resource"].T.astype(np.float64)
    return replace(knobs, replicas=levels[:MODELS], concurrency=levels[MODELS])


def _factor(actions: Values, factors: Mapping[int, float], count: int) -> Floats:
    table = np.ones(count)
    for action, factor in factors.items():
        table[action] = factor
    return table[actions.astype(np.int64)]


def _policy(knobs: Knobs, actions: Values, outcome: Outcome, cheapest: int, ablest: int) -> Knobs:
    count = len(POLICY)
    moved = (actions >= 5) & (actions <= 7)
    idlest = outcome.utilisation.argmin(axis=0)
    aim = np.choose(np.clip(actions.astype(np.int64) - 5, 0, 2), [np.int64(cheapest), np.int64(ablest), idlest])
    onto = (np.arange(MODELS)[:, None] == aim).astype(np.float64)
    part = np.where(moved, WEIGHT_STEP, 0.0)
    weights = clip_knob("weights", knobs.weights * (1 - part) + onto * part)
    return replace(
        knobs,
        weights=weights / weights.sum(axis=0),
        latency_target_ms=clip_knob(
            "latency_target_ms", knobs.latency_target_ms * _factor(actions, {1: 0.8, 2: 1.25}, count)
        ),
        cost_cap_usd=clip_knob("cost_cap_usd", knobs.cost_cap_usd * _factor(actions, {3: 0.8, 4: 1.25}, count)),
        admission_s=clip_knob("admission_s", knobs.admission_s * _factor(actions, {8: 0.7, 9: 1.4}, count)),
    )


def _consensus(knobs: Knobs, actions: Values) -> Knobs:
    count = len(CONSENSUS)
    return replace(
        knobs,
        timeout_ms=clip_knob("timeout_ms", knobs.timeout_ms * _factor(actions, {1: 0.5, 2: 2.0}, count)),
        quorum=clip_knob("quorum", knobs.quorum * _factor(actions, {3: 0.5, 4: 2.0}, count)),
    )


def _ethical(knobs: Knobs, actions: Values, outcome: Outcome, good: Floats) -> Knobs:
    tenants = np.arange(len(good))[:, None]
    change = np.where((actions == 1) & (tenants == good.argmin(axis=0)), np.log(FAIRNESS_STEP), 0.0)
    change -= np.where((actions == 2) & (tenants == good.argmax(axis=0)), np.log(FAIRNESS_STEP), 0.0)
    now = np.log(knobs.fairness)
    demand = np.maximum(outcome.arrived, 1e-9)
    offset = np.log(demand.mean(axis=0)) - np.log(demand)
    change += np.where(actions == 3, (np.clip(offset, -1.4, 1.4) - now) / 2, 0.0)
    change -= np.where(actions == 4, now / 2, 0.0)
    audit = knobs.audit_share * _factor(actions, {5: 2.0, 6: 0.5, 7: 1000.0}, len(ETHICAL))
    return replace(
        knobs, fairness=clip_knob("fairness", np.exp(now + change)), audit_share=clip_knob("audit_share", audit)
    )
