"""What steers a fleet: anything that gives the four agents' actions for what they see, learned or not.

The baselines are in `baselines/`, how well a controller does is `evaluation.py`.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.environment import Step

States = Mapping[str, NDArray[np.float32]]


class Controller(Protocol):
    """Steers B fleets at once."""

    @property
    def name(self) -> str:
        """For reports and pictures."""

    def act(self, states: States) -> dict[str, Values]:
        """Actions of every agent, int64 [B], the resource agent's float32 [B, 4] in 0..1.

        Args:
            states: by agent what it sees, float32 [B, size]; the dimensions are in `fleet.signals.VIEWS`.
        """


@runtime_checkable
class Starting(Protocol):
    """A controller with memory of its fleets, or with random choices."""

    def start(self, fleets: int, seed: int) -> None:
        """Forget the fleets of before and take over `fleets` new ones; random choices follow from the seed."""


@runtime_checkable
class Observing(Protocol):
    """A controller that needs to know what came of its actions."""

    def observe(self, step: Step) -> None:
        """What came of the actions that `act` gave last."""
