"""Scaling by target utilisation, as the horizontal pod autoscaler of Kubernetes does it; everything else stays put.

    desired = ceil(replicas * utilisation / target), unless utilisation / target is within the tolerance of 1

Replicas that are still starting count as unused ones when more are asked for, so that the same load does not order
them again, and they can hold back an order, never turn it into its opposite. Fewer are taken only when every
recommendation of the stabilisation window is that low (Kubernetes documentation, "Horizontal Pod Autoscaling",
sections "Algorithm details" and "Stabilization window"). Its limits on the pace (in the default: twice as many replicas
in 15 seconds) do not bind at steps of a minute.
"""

from collections import deque
from math import ceil

import numpy as np

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.readings import readings
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.environment import Step
from cogorch_dagster.fleet.objectives import BEST_UTILISATION
from cogorch_dagster.fleet.parameters import MODELS, FleetParameters

# So that a product that is whole but for the states' 32 bits is not rounded up to one more.
ROUNDING = 1 - 1e-6


def recommended(ready: Floats, starting: Floats, utilisation: Floats, *, target: float, tolerance: float) -> Floats:
    """Replicas that the autoscaler recommends at this moment, before bounds and stabilisation; any shape.

    Args:
        ready, starting: replicas that serve, and that will.
        utilisation: mean of the ready ones, as a share.
        target: of the utilisation. tolerance: of its ratio to the target around 1.
    """
    ordered, ratio = ready + starting, utilisation / target
    # Who would ask for more looks again with the starting ones as idle, and waits for them if that is enough.
    changed = (ratio * ready / ordered > 1 + tolerance) | (ratio < 1 - tolerance)
    return np.asarray(np.where(changed, np.ceil(ratio * ready * ROUNDING), ordered))


class Autoscaler:
    """One autoscaler per model of each fleet.

    Args:
        parameters: of the fleets; their `max_replicas` bound the orders.
        target: utilisation to hold, above 0 up to 1; the default is the one that the fleet's objective asks for.
        tolerance: of utilisation over target around 1 within which nothing is done, 0 to below 1.
        stabilisation_s: window in which the largest recommendation counts against taking replicas away, 0 to 3600.

    Raises:
        InvalidInput: a number is outside of its range.
    """

    def __init__(
        self,
        parameters: FleetParameters,
        *,
        target: float = BEST_UTILISATION,
        tolerance: float = 0.1,
        stabilisation_s: float = 300.0,
    ) -> None:
        if not 0 < target <= 1:
            raise InvalidInput(f"the target utilisation must lie above 0 and up to 1, got {target}")
        if not 0 <= tolerance < 1:
            raise InvalidInput(f"the tolerance must lie from 0 to below 1, got {tolerance}")
        if not 0 <= stabilisation_s <= 3600:
            raise InvalidInput(f"the stabilisation window must lie from 0 to 3600 seconds, got {stabilisation_s}")
        self.name = f"autoscaler at {target:.0%}"
        self.target, self.tolerance = target, tolerance
        self._most = np.array([[model.max_replicas] for model in parameters.models], dtype=np.float64)
        self._recent: deque[Floats] = deque(maxlen=max(ceil(stabilisation_s / parameters.step_seconds), 1))

    def start(self, fleets: int, seed: int) -> None:  # noqa: ARG002
        """See `Starting.start`; nothing is random here."""
        self._recent.clear()

    def act(self, states: States) -> dict[str, Values]:
        """See `Controller.act`."""
        ready = np.rint(readings(states, "resource", "ready", MODELS) * self._most)
        starting = np.rint(readings(states, "resource", "starting", MODELS) * self._most)
        utilisation = readings(states, "resource", "utilisation", MODELS)
        now = recommended(ready, starting, utilisation, target=self.target, tolerance=self.tolerance)
        if self._recent and self._recent[0].shape != now.shape:
            raise InvalidInput(
                f"states of {now.shape[1]} fleets follow those of {self._recent[0].shape[1]}; call start before"
            )
        self._recent.append(now)
        # Down to the largest recommendation of the window at most, but never up because of an old one.
        floor = np.minimum(np.max(self._recent, axis=0), ready + starting)
        desired = np.clip(np.maximum(now, floor), 1, self._most)
        actions = passive(ready.shape[1])
        actions["resource"][:, :MODELS] = (desired / self._most).T
        return actions

    def observe(self, step: Step) -> None:
        """See `Observing.observe`: a fleet that begins anew has no recommendations yet."""
        for past in self._recent:
            past[:, step.truncated | step.terminated] = 0.0
