"""A two-player game as a picture: each player's payoffs as a heat map, and on it where an equilibrium plays.

Not here: tables and JSON (`cli.nash`).
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.figures import INK, drawn
from cogorch_dagster.games.payoffs import Equilibrium, Floats, Game

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARK = "#dc2626"
_MOST_LABELS = 30
_MOST_NUMBERS = 12
_SHORTEST = 14


def payoff_picture(
    game: Game, equilibrium: Equilibrium, title: str, image: Literal["png", "svg", "pdf"] = "png"
) -> bytes:
    """The picture; a ring's area is the probability that both play there.

    Raises:
        InvalidInput: the game has not two players.
    """
    if game.n_players != 2:
        raise InvalidInput(f"a picture shows the payoffs of 2 players, the game has {game.n_players}")
    from matplotlib.figure import Figure

    rows, columns = game.shape
    size = (min(2.0 + 0.45 * columns, 12.0) * 2, min(1.8 + 0.4 * rows, 12.0))
    figure = Figure(figsize=(max(size[0], 7.0), max(size[1], 3.2)), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK)
    axes: tuple[Axes, Axes] = tuple(figure.subplots(1, 2))
    joint = np.outer(*equilibrium.profile)
    for player, panel in enumerate(axes):
        shown = panel.imshow(game.payoffs[player], cmap="cividis", aspect="auto")
        figure.colorbar(shown, ax=panel, shrink=0.85).ax.tick_params(labelsize=7)
        panel.set_title(f"payoff of {game.players[player]}", fontsize=9, color=INK)
        _mark(panel, joint)
        _name(panel, game)
        if max(game.shape) <= _MOST_NUMBERS:
            _write(panel, game.payoffs[player])
    return drawn(figure, image)


def _mark(axes: "Axes", joint: Floats) -> None:
    rows, columns = np.nonzero(joint > 1e-6)
    axes.scatter(
        columns, rows, s=700 * joint[rows, columns], facecolors="none", edgecolors=MARK, linewidths=2.0, clip_on=False
    )


def _name(axes: "Axes", game: Game) -> None:
    for axis, player in ((axes.yaxis, 0), (axes.xaxis, 1)):
        axis.set_label_text(game.players[player], fontsize=8)
        if game.shape[player] <= _MOST_LABELS:
            names = [name if len(name) <= _SHORTEST else name[: _SHORTEST - 1] + "…" for name in game.actions[player]]
            axis.set_ticks(range(len(names)), names, fontsize=7)
    if max(len(name) for name in game.actions[1]) > 3:
        axes.tick_params(axis="x", rotation=35)


def _write(axes: "Axes", payoffs: Floats) -> None:
    middle = (payoffs.max() + payoffs.min()) / 2
    for (row, column), value in np.ndenumerate(payoffs):
        dark = value < middle
        axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color="white" if dark else INK)
