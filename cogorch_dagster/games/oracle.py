"""An upper reference: a controller that tries every joint action in the fleet's true future and takes the best.

It knows all traffic and incidents to come and looks at the shared reward, one decision ahead, with nobody changing
anything after; no agent can know that. It is no strict bound: a plan of many decisions could do better. Cost: 3,600
joint actions for `horizon` steps of every fleet at every decision, some 13 ms a fleet and step of the horizon on one
core, so it is for few seeds.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS, Values
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.knobs import Knobs
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.games.discretisation import NO_OPERATION
from cogorch_dagster.games.following import FollowedFleets

Floats = NDArray[np.float64]

# Resource levels that are tried: as they are, and every dimension this much lower or higher.
CHANGE = 0.15
CHOICES = 1 + 2 * len(RESOURCE_DIMENSIONS)
# Fleets that are simulated at once.
_MOST_AT_ONCE = 8000


class Oracle:
    """A controller; see the module. It has to be evaluated with the parameters and weights that it was made with.

    Args:
        horizon: steps that are looked ahead, 1 to 1000.
        every: steps from one decision to the next, 1 to `horizon`; between them nobody changes anything.

    Raises:
        InvalidInput: a number is out of its range.
    """

    name = "oracle"

    def __init__(
        self, parameters: FleetParameters, *, horizon: int = 8, every: int = 1, weights: RewardWeights | None = None
    ) -> None:
        if not 1 <= horizon <= 1000 or not 1 <= every <= horizon:
            raise InvalidInput(
                f"the oracle looks {horizon} steps ahead and decides every {every}; give 1 to 1000 and 1 to the horizon"
            )
        self._fleets = FollowedFleets(parameters, weights)
        self._horizon, self._every = horizon, every
        self._steps = 0

    def start(self, fleets: int, seed: int) -> None:
        """See `agents.controllers.Starting`."""
        self._fleets.start(fleets, seed)
        self._steps = 0

    def act(self, states: Mapping[str, NDArray[np.float32]]) -> dict[str, Values]:
        """See `agents.controllers.Controller`.

        Raises:
            InvalidInput: the fleets are not those that it was started for.
        """
        environment = self._fleets.at(states)
        if self._steps % self._every == 0:
            actions = best_actions(environment, horizon=self._horizon)
        else:
            actions = _still(tried_levels(environment.knobs)[:, 0])
        self._steps += 1
        self._fleets.step(actions)
        return actions


def tried_levels(knobs: Knobs) -> Floats:
    """The resource levels that are tried for every fleet, [B, 9, 4]: as they are, then each dimension down and up."""
    present = np.vstack([knobs.replicas, knobs.concurrency]).T
    changes = np.vstack([np.zeros(4), -CHANGE * np.eye(4), CHANGE * np.eye(4)])
    return np.clip(present[:, None] + changes, 0.0, 1.0)


def best_actions(environment: FleetEnvironment, *, horizon: int) -> dict[str, Values]:
    """The joint action of every fleet with the most shared reward over the next steps as they will really come.

    The environment is left as it is.
    """
    joints = _joints()
    levels = tried_levels(environment.knobs)
    total = len(joints["policy"])
    rewards = np.empty((total, environment.fleets))
    at_once = max(_MOST_AT_ONCE // environment.fleets, 1)
    for first in range(0, total, at_once):
        some = {agent: indices[first : first + at_once] for agent, indices in joints.items()}
        rewards[first : first + at_once] = _rewards(environment, some, levels, horizon)
    best = rewards.argmax(axis=0)
    found: dict[str, Values] = {agent: indices[best] for agent, indices in joints.items()}
    return found | {"resource": _chosen(levels, joints["resource"][best])}


def _rewards(
    environment: FleetEnvironment, joints: dict[str, NDArray[np.int64]], levels: Floats, horizon: int
) -> Floats:
    """Summed rewards [K, B] of K joint actions in every fleet, under the environment's own coming draws."""
    fleets, count = environment.fleets, len(joints["policy"])
    parts = environment.parts()
    futures = environment.branch(np.tile(np.arange(fleets), count), seed=parts["seed"], scenarios=environment.scenarios)
    futures.restore({**futures.parts(), "step": parts["step"]})
    taken: dict[str, Values] = {agent: np.repeat(indices, fleets) for agent, indices in joints.items()}
    taken["resource"] = _chosen(np.tile(levels, (count, 1, 1)), taken["resource"].astype(np.int64))
    still = _still(taken["resource"])
    found = np.zeros(fleets * count)
    for step in range(horizon):
        found += futures.step(still if step else taken).objectives.reward
    return found.reshape(count, fleets)


def _joints() -> dict[str, NDArray[np.int64]]:
    """Each agent's action in each of the 3,600 joint actions; no operation is the first."""
    shape = (*ACTION_COUNTS.values(), CHOICES)
    indices = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    return {agent: each.astype(np.int64) for agent, each in zip((*ACTION_COUNTS, "resource"), indices, strict=True)}


def _chosen(levels: Floats, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of choices [B, 9, 4] those of the indices [B], float32 [B, 4]."""
    return np.asarray(levels[np.arange(len(levels)), indices], dtype=np.float32)


def _still(levels: Values | Floats) -> dict[str, Values]:
    """No operation, with levels [B, 4]."""
    held = np.asarray(levels, dtype=np.float32)
    found: dict[str, Values] = {
        agent: np.full(len(held), index, dtype=np.int64)
        for agent, index in zip(ACTION_COUNTS, NO_OPERATION, strict=False)
    }
    return found | {"resource": held}
