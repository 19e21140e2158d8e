"""A coordinated step as a picture: what each agent would get by each of its actions while the others stay.

The payoffs are `fleet_payoffs.py`'s, what was decided is `coordination_result.py`'s. Two players' whole games are shown
by `picture.py`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.figures import INK, png
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.coordination_result import CoordinationResult
from cogorch_dagster.games.discretisation import ACTIONS, NO_OPERATION
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.pareto import Joint
from cogorch_dagster.games.payoffs import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR, CONFLICT = "#9ca3af", "#dc2626"
EQUILIBRIUM, PLAYED, INTENDED = "#2563eb", "#059669", "#d97706"
COLOURS = 32


def payoff_figure(fleet: FleetGame, result: CoordinationResult) -> bytes:
    """PNG under 20 kB: a panel for each agent, its own utility by its action against the others' equilibrium actions.

    Red bars are actions that conflict with what the others play there. Lines at the left mark what was intended
    (orange), the equilibrium (blue) and what was played (green). Without an equilibrium the others do nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), dpi=80, layout="constrained")
    others = _joint(result.equilibrium.actions) if result.equilibrium else NO_OPERATION
    for row, (panel, agent) in enumerate(zip(figure.subplots(1, len(AGENTS)), AGENTS, strict=True)):
        line = tuple(slice(None) if axis == row else index for axis, index in enumerate(others))
        names = ACTIONS[agent]
        marks = {
            INTENDED: names.index(result.intended[agent]),
            EQUILIBRIUM: others[row],
            PLAYED: names.index(result.actions[agent]),
        }
        conflicting = np.any(fleet.conflicts[(slice(None), *line)], axis=0)
        _panel(panel, names, fleet.game.payoffs[(row, *line)], np.asarray(conflicting), marks)
        panel.set_title(agent, fontsize=8, color=INK, loc="left")
    proof = result.equilibrium
    said = f"{proof.concept}, NashConv {proof.nash_conv:.1g}" if proof else "no equilibrium in time"
    figure.suptitle(
        f"own utility by own action, others at the equilibrium ({said}); played: {result.decided}. "
        "Orange intended, blue equilibrium, green played, red in conflict",
        fontsize=7,
        color=INK,
    )
    return png(figure, COLOURS)


def _joint(actions: Mapping[str, str]) -> Joint:
    return tuple(ACTIONS[agent].index(actions[agent]) for agent in AGENTS)


def _panel(
    axes: "Axes",
    names: tuple[str, ...],
    values: Floats,
    conflicting: NDArray[np.bool_],
    marks: dict[str, int],
) -> None:
    rows = range(len(names))
    low, high = float(values.min()), float(values.max())
    room = max(high - low, 1e-3)
    left = low - 0.25 * room
    colours = [CONFLICT if each else BAR for each in conflicting]
    axes.barh(rows, values - left, left=left, height=0.6, color=colours)
    for index, (colour, row) in enumerate(marks.items()):
        at = left - (0.06 + 0.07 * index) * room
        axes.plot([at, at], [row - 0.35, row + 0.35], color=colour, linewidth=3, solid_capstyle="butt")
    axes.set_xlim(left - 0.3 * room, high + 0.05 * room)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(list(rows), names, fontsize=6)
    axes.tick_params(labelsize=6, length=2, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
