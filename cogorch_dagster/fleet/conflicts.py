"""Which actions of two agents work against each other, with the reason; counted in training and in the game."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.actions import TABLES, Actions
from cogorch_dagster.fleet.knobs import Knobs
from cogorch_dagster.fleet.signals import AgentName

# A change of the summed replica levels beyond this counts as more or fewer replicas.
LEVEL_MARGIN = 0.1


@dataclass(frozen=True)
class Conflict:
    """An action of one agent against one of another; the resource agent's are `more` and `fewer`."""

    first: AgentName
    first_action: str
    second: AgentName
    second_action: str
    reason: str


CONFLICTS = (
    Conflict(
        "policy", "weights_to_ablest", "resource", "fewer", "work moves to dear replicas while they are taken away"
    ),
    Conflict("policy", "weights_to_cheapest", "resource", "more", "work becomes cheaper while capacity is bought"),
    Conflict("policy", "tighten", "ethical", "raise_worst", "the queue of the tenant that is raised is cut at once"),
    Conflict("policy", "tighten", "resource", "more", "requests are refused while capacity for them is bought"),
    Conflict("policy", "relax", "consensus", "timeout_halved", "longer queues are allowed, shorter waits are not"),
    Conflict("policy", "latency_target_down", "consensus", "timeout_doubled", "faster is asked for, slower is allowed"),
    Conflict(
        "policy", "cost_cap_down", "consensus", "quorum_doubled", "cheaper is asked for, each request costs twice"
    ),
    Conflict("consensus", "quorum_doubled", "resource", "fewer", "work doubles while capacity is taken away"),
    Conflict("ethical", "audit", "resource", "fewer", "audits add work at the ablest model while capacity goes"),
    Conflict("ethical", "audit", "policy", "cost_cap_down", "audits cost most where cost is to fall"),
)


def counted(actions: Actions, knobs: Knobs) -> NDArray[np.int64]:
    """Conflicts among the actions of each fleet, [B]; `knobs` are those before the actions."""
    found = np.zeros(actions["policy"].shape[0], dtype=np.int64)
    for conflict in CONFLICTS:
        found += matches(conflict, actions, knobs)
    return found


def matches(conflict: Conflict, actions: Actions, knobs: Knobs) -> NDArray[np.bool_]:
    """In which fleets a declared conflict occurs, bool [B]."""
    return _takes(conflict.first, conflict.first_action, actions, knobs) & _takes(
        conflict.second, conflict.second_action, actions, knobs
    )


def _takes(agent: AgentName, action: str, actions: Actions, knobs: Knobs) -> NDArray[np.bool_]:
    if agent == "resource":
        change = actions["resource"][:, :-1].sum(axis=1) - knobs.replicas.sum(axis=0)
        answer: NDArray[np.bool_] = change > LEVEL_MARGIN if action == "more" else change < -LEVEL_MARGIN
        return answer
    names = [each.name for each in TABLES[agent]]
    taken: NDArray[np.bool_] = actions[agent] == names.index(action)
    return taken
