"""Where agents get into each other's way, and what they agree on instead.

A conflict is a declared pair of actions (`fleet.conflicts`) or a loss: an agent gets less than if it had acted and the
others had not. It is resolved by bargaining: among the joint actions without conflict at which nobody gets less than if
nobody acted, the one with the largest product of gains (Nash 1950, "The bargaining problem", with no operation as the
disagreement). Nothing without conflict dominates that one. Not here: what is too dangerous (`safety.py`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.conflicts import CONFLICTS
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.discretisation import NO_OPERATION, SHAPE
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.pareto import Joint, bargain, payoffs_at
from cogorch_dagster.games.payoffs import Floats

EPSILON = 0.05
"""The loss of utility (0..1) from which on it is a conflict."""

Joints = NDArray[np.bool_]
"""Which joint actions, bool [10, 5, 8, 5]."""


@dataclass(frozen=True)
class FoundConflict:
    """A conflict in a joint action.

    Attributes:
        kind: declared, or loss.
        agents: the two of a declared pair, or the one that loses.
        reason: for people.
        loss: of utility to the one that loses; 0 for a declared pair.
    """

    kind: Literal["declared", "loss"]
    agents: tuple[str, ...]
    reason: str
    loss: float = 0.0


def conflicts_of(fleet: FleetGame, joint: Joint, *, epsilon: float = EPSILON) -> tuple[FoundConflict, ...]:
    """All conflicts in a joint action: the declared pairs, then the losses.

    Args:
        epsilon: see EPSILON; 0 to 1.

    Raises:
        InvalidInput: epsilon is out of its range.
    """
    _require(epsilon)
    pairs = [
        FoundConflict("declared", (conflict.first, conflict.second), conflict.reason)
        for conflict, there in zip(CONFLICTS, fleet.conflicts, strict=True)
        if there[joint]
    ]
    losses = [
        FoundConflict(
            "loss",
            (agent,),
            f"{agent} gets {fleet.game.payoffs[(row, *joint)]:.4f}, {lost:.4f} less than if the others did nothing",
            float(lost),
        )
        for row, agent in enumerate(AGENTS)
        if (lost := _losses(fleet)[(row, *joint)]) > epsilon
    ]
    return (*pairs, *losses)


def without_conflict(fleet: FleetGame, *, epsilon: float = EPSILON) -> Joints:
    """The joint actions without any conflict; no operation is always among them.

    Raises:
        InvalidInput: epsilon is out of its range.
    """
    _require(epsilon)
    free: Joints = np.logical_not(np.any(fleet.conflicts, axis=0)) & np.all(_losses(fleet) <= epsilon, axis=0)
    free[NO_OPERATION] = True
    return free


def agreed(fleet: FleetGame, among: Joints) -> Joint:
    """The Nash bargaining solution over no operation among some joint actions; no operation itself if all have a loser.

    It is on the Pareto front of `among`.
    """
    places = np.argwhere(among)
    gains = fleet.game.payoffs[(slice(None), *places.T)].T - payoffs_at(fleet.game, NO_OPERATION)
    if not (gains >= 0).all(axis=1).any():
        return NO_OPERATION
    return tuple(int(index) for index in places[bargain(gains)])


def _losses(fleet: FleetGame) -> Floats:
    """What each agent gets less than if the others did nothing, [4, ...]."""
    losses = np.empty((len(AGENTS), *SHAPE))
    for row in range(len(AGENTS)):
        own = fleet.game.payoffs[row]
        # Own action free, the others' at no operation; kept as axes of length 1.
        alone = own[tuple(slice(None) if axis == row else slice(at, at + 1) for axis, at in enumerate(NO_OPERATION))]
        losses[row] = alone - own
    return losses


def _require(epsilon: float) -> None:
    if not 0 <= epsilon <= 1:
        raise InvalidInput(f"epsilon is {epsilon}; a loss of utility lies in 0..1")
