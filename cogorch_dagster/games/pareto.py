"""What nobody can improve on without loss to somebody: fronts, improvements, and a fair choice on them.

Used to choose among several equilibria, and to resolve a conflict by a joint action that is better for some and worse
for none. Not here: whether an action is stable against deviations (`payoffs.nash_conv`).
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.payoffs import Floats, Game

Joint: TypeAlias = tuple[int, ...]
Rule: TypeAlias = Literal["nash", "welfare"]


def on_front(payoffs: Floats) -> NDArray[np.bool_]:
    """Which of K alternatives with payoffs [K, n] are dominated by none of the others.

    One dominates another if nobody gets less and somebody gets more; equals do not dominate each other. At most as
    many vectorised passes over what remains as there are different points on the front.
    """
    points, inverse = np.unique(payoffs, axis=0, return_inverse=True)
    # A dominator has at least the welfare and is lexicographically larger: in this order nothing later dominates.
    order = np.lexsort((np.arange(len(points)), points.sum(axis=1)))[::-1]
    front = np.zeros(len(points), dtype=np.bool_)
    while len(order):
        first, rest = order[0], order[1:]
        front[first] = True
        order = rest[(points[rest] > points[first]).any(axis=1)]
    return np.asarray(front[inverse.reshape(-1)], dtype=np.bool_)


def choose(payoffs: Floats, tolerance: float = 0.0) -> int:
    """The index of the best of K alternatives with payoffs [K, n]: by Pareto dominance, then welfare, then the first.

    Args:
        tolerance: alternatives whose welfare differs by no more than this count as equal.

    Raises:
        InvalidInput: there is nothing to choose from.
    """
    if len(payoffs) == 0:
        raise InvalidInput("there are 0 alternatives to choose from, at least 1 is needed")
    front = np.flatnonzero(on_front(payoffs))
    welfare = payoffs[front].sum(axis=1)
    return int(front[np.argmax(welfare >= welfare.max() - tolerance)])


def pareto_front(game: Game) -> list[Joint]:
    """The joint actions of a game that no other one dominates, in lexicographic order."""
    flat = _outcomes(game)
    return [_joint(game, int(index)) for index in np.flatnonzero(on_front(flat))]


def improvements(game: Game, joint: Sequence[int]) -> list[Joint]:
    """The joint actions on the front at which somebody gets more than at `joint` and nobody less; lexicographic.

    Empty exactly if `joint` is on the front itself.

    Raises:
        InvalidInput: `joint` is not one action of each player.
    """
    here = payoffs_at(game, joint)
    flat = _outcomes(game)
    better = np.flatnonzero((flat >= here).all(axis=1) & (flat > here).any(axis=1))
    # Whatever dominates one of these dominates `joint` as well: their own front is that of the game.
    return [_joint(game, int(index)) for index in better[on_front(flat[better])]] if len(better) else []


def resolve(game: Game, joint: Sequence[int], rule: Rule = "nash") -> Joint:
    """A Pareto-optimal joint action that everybody likes at least as well as `joint`; `joint` itself if it is one.

    Args:
        rule: `nash` takes the largest product of what the players gain over `joint` (Nash 1950, "The bargaining
            problem"), of those improvements at which most of them gain; `welfare` the largest sum.

    Raises:
        InvalidInput: `joint` is not one action of each player.
    """
    options = improvements(game, joint)
    if not options:
        return tuple(int(action) for action in joint)
    here = payoffs_at(game, joint)
    gains = np.array([payoffs_at(game, option) for option in options]) - here
    return options[bargain(gains) if rule == "nash" else int(np.argmax(gains.sum(axis=1)))]


def bargain(gains: Floats) -> int:
    """The index of the Nash bargaining solution among K alternatives with gains [K, n] over the disagreement.

    Alternatives with a loss are out. Where not all can gain, most of them shall, and the product is over those that do
    (so the solution of a degenerate problem is the one of the players who have something to bargain for).

    Raises:
        InvalidInput: every alternative has somebody lose.
    """
    acceptable = (gains >= 0).all(axis=1) if len(gains) else np.zeros(0, dtype=np.bool_)
    if not acceptable.any():
        raise InvalidInput(f"each of the {len(gains)} alternatives has somebody lose; nobody would agree to one")
    winners = np.where(acceptable, (gains > 0).sum(axis=1), -1)
    logarithms = np.log(np.where(gains > 0, gains, 1.0)).sum(axis=1)
    return int(np.argmax(np.where(winners == winners.max(), logarithms, -np.inf)))


def payoffs_at(game: Game, joint: Sequence[int]) -> Floats:
    """What each player [n] gets at a joint action.

    Raises:
        InvalidInput: `joint` is not one action of each player.
    """
    if len(joint) != game.n_players or any(not 0 <= a < size for a, size in zip(joint, game.shape, strict=False)):
        raise InvalidInput(f"{tuple(joint)} is no joint action; one index each below {game.shape} is needed")
    return np.array([game.payoffs[(player, *joint)] for player in range(game.n_players)])


def _outcomes(game: Game) -> Floats:
    """Payoffs [K, n] of all joint actions, in lexicographic order."""
    return game.payoffs.reshape(game.n_players, -1).T


def _joint(game: Game, index: int) -> Joint:
    return tuple(int(action) for action in np.unravel_index(index, game.shape))
