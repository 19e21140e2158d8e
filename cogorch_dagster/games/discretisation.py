"""The resource agent's continuous action as five, so that a joint game of four agents can be enumerated.

Each of the five is a vector of levels in 0..1 (`fleet.actions.RESOURCE_DIMENSIONS`), made from what it intends and from
where the levels stand. What the joint actions are worth is `fleet_payoffs.py`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import RESOURCE_DIMENSIONS, TABLES
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.games.pareto import Joint

Floats = NDArray[np.float64]

# In this order: stay where the levels are; go to the intention; go half of the way; go to the intention less or more
# SPREAD in every dimension, cut at 0 and 1.
LEVELS = ("hold", "intention", "half-way", "less", "more")
HOLD, INTENTION = LEVELS.index("hold"), LEVELS.index("intention")
SPREAD = 0.1

ACTIONS: dict[AgentName, tuple[str, ...]] = {
    **{agent: tuple(action.name for action in table) for agent, table in TABLES.items()},
    "resource": LEVELS,
}
SHAPE: tuple[int, ...] = tuple(len(ACTIONS[agent]) for agent in AGENTS)
# No agent changes anything.
NO_OPERATION: Joint = tuple(HOLD if agent == "resource" else ACTIONS[agent].index("none") for agent in AGENTS)


def levels(present: ArrayLike, intention: ArrayLike, *, spread: float = SPREAD) -> Floats:
    """The five choices, float64 [5, 4] in 0..1, in the order of LEVELS.

    Some are equal where the intention is the present, or at the ends of the range.

    Args:
        present: where the levels stand, [4]. intention: where the agent wants them, [4].
        spread: how far less and more lie from the intention, above 0 to 1.

    Raises:
        InvalidInput: another shape, a level outside of 0..1, or a spread outside of its range.
    """
    if not 0 < spread <= 1:
        raise InvalidInput(f"spread is {spread}; it must lie above 0 and at most at 1")
    now, wanted = _checked("present", present), _checked("intention", intention)
    choices = [now, wanted, (now + wanted) / 2, wanted - spread, wanted + spread]
    return np.clip(np.array(choices), 0.0, 1.0)


def all_joint_actions() -> dict[str, NDArray[np.int64]]:
    """Each agent's action in each of the joint actions, int64 [2000], in lexicographic order; resources as indices."""
    indices = np.unravel_index(np.arange(int(np.prod(SHAPE))), SHAPE)
    return {agent: index.astype(np.int64) for agent, index in zip(AGENTS, indices, strict=True)}


def named(joint: Joint) -> dict[str, str]:
    """A joint action by the names of its actions."""
    return {agent: ACTIONS[agent][index] for agent, index in zip(AGENTS, joint, strict=True)}


def _checked(what: str, values: ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (len(RESOURCE_DIMENSIONS),):
        raise InvalidInput(f"the {what} has shape {found.shape}; give {len(RESOURCE_DIMENSIONS)} levels")
    if not ((found >= 0) & (found <= 1)).all():
        raise InvalidInput(f"the {what} lies in {found.min()}..{found.max()}; levels must lie in 0..1")
    return found
