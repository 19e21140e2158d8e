"""A fleet that is followed: the same environment again, step by step, for controllers that look ahead in it.

`agents.evaluation` shows a controller only what the agents see. As everything in the environment follows from the
parameters, the seed and the actions, an equal one beside it stands where it stands.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters


class FollowedFleets:
    """The fleets that a controller steers, with all that is in them."""

    def __init__(self, parameters: FleetParameters, weights: RewardWeights | None = None) -> None:
        self._parameters, self._weights = parameters, weights
        self._environment: FleetEnvironment | None = None

    def start(self, fleets: int, seed: int) -> None:
        """As `agents.controllers.Starting`."""
        self._environment = FleetEnvironment(self._parameters, fleets, seed=seed, weights=self._weights)

    def at(self, states: Mapping[str, NDArray[np.float32]]) -> FleetEnvironment:
        """The environment that shows these states.

        Raises:
            InvalidInput: it is not where the controller's own one is: other parameters, weights or seed.
        """
        environment = self._environment
        if environment is None:
            raise InvalidInput("the controller looks ahead in the simulator; call start(fleets, seed) before it acts")
        if any(not np.array_equal(values, states[agent]) for agent, values in environment.states.items()):
            raise InvalidInput(
                "the fleets are not those that the controller was started for; evaluate it with its own parameters"
            )
        return environment

    def step(self, actions: Mapping[str, Values]) -> None:
        """Go along with the actions that are given."""
        if self._environment is not None:
            self._environment.step(actions)
