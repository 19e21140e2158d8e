"""A fleet left alone: no agent turns anything, and the resources stay where they stand by default."""

import numpy as np

from cogorch_dagster.agents.controllers import States
from cogorch_dagster.fleet.actions import TABLES, Values
from cogorch_dagster.fleet.knobs import BOUNDS

# In every table of discrete actions the one that leaves everything as it is.
NONE = {agent: [action.name for action in table].index("none") for agent, table in TABLES.items()}


def passive(fleets: int) -> dict[str, Values]:
    """The actions of agents that do nothing; resources at their defaults, which `none` cannot say of them."""
    replicas, concurrency = BOUNDS["replicas"].default, BOUNDS["concurrency"].default
    levels = np.hstack([replicas, concurrency]).astype(np.float32)
    still: dict[str, Values] = {agent: np.full(fleets, action, dtype=np.int64) for agent, action in NONE.items()}
    return still | {"resource": np.tile(levels, (fleets, 1))}


class StaticDefaults:
    """A controller that leaves every knob at the default of `fleet.knobs.BOUNDS`."""

    name = "static"

    def act(self, states: States) -> dict[str, Values]:
        """See `Controller.act`; the same whatever the states."""
        return passive(len(states["resource"]))
