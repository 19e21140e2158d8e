"""The veto: a joint action that is simulated to be much worse for the fleet than doing nothing is not played.

It asks for what is promised to tenants, whatever the agents' utilities say. No operation is always admissible.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.conflict_resolution import Joints
from cogorch_dagster.games.discretisation import NO_OPERATION
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.pareto import Joint


@dataclass(frozen=True)
class SafetyBounds:
    """How much worse than no operation a joint action may be, as means over the simulated steps and scenarios.

    Attributes:
        violations: more broken promises, as a share of all promises, 0 to 1. One of the four in a tenth of the steps
            is .025.
        success: fewer requests with a useful answer, as a share of the requests, 0 to 1.
        cost: dearer useful answers, as a share of their cost under no operation, 0 or more.

    Raises:
        InvalidInput: a bound is out of its range.
    """

    violations: float = 0.05
    success: float = 0.02
    cost: float = 0.25

    def __post_init__(self) -> None:
        for name, most in (("violations", 1.0), ("success", 1.0), ("cost", float("inf"))):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise InvalidInput(f"the bound of {name} is {value}; it must lie in 0..{most:g}")


def objections(fleet: FleetGame, joint: Joint, bounds: SafetyBounds) -> tuple[str, ...]:
    """Why a joint action is vetoed, one sentence for each bound that it exceeds; empty if it may be played."""
    if joint == NO_OPERATION:
        return ()
    found = []
    more = fleet.violations[joint] - fleet.violations[NO_OPERATION]
    if more > bounds.violations:
        found.append(f"violations {_change(fleet.violations, joint)}: {more:.4f} more, at most {bounds.violations:g}")
    less = fleet.success[NO_OPERATION] - fleet.success[joint]
    if less > bounds.success:
        found.append(f"success {_change(fleet.success, joint)}: {less:.4f} less, at most {bounds.success:g}")
    dearer = fleet.cost[joint] - fleet.cost[NO_OPERATION] * (1 + bounds.cost)
    if dearer > 0:
        found.append(f"cost of a useful answer {_change(fleet.cost, joint)} USD: more than {bounds.cost:.0%} dearer")
    return tuple(found)


def admissible(fleet: FleetGame, bounds: SafetyBounds) -> Joints:
    """The joint actions without objections; no operation is always among them."""
    allowed: Joints = (
        (fleet.violations - fleet.violations[NO_OPERATION] <= bounds.violations)
        & (fleet.success[NO_OPERATION] - fleet.success <= bounds.success)
        & (fleet.cost - fleet.cost[NO_OPERATION] * (1 + bounds.cost) <= 0)
    )
    allowed[NO_OPERATION] = True
    return allowed


def _change(figures: np.ndarray[tuple[int, ...], np.dtype[np.float64]], joint: Joint) -> str:
    return f"{figures[joint]:.4g} instead of {figures[NO_OPERATION]:.4g}"
