"""Pure equilibria: all of them at once, and which one to play.

Not here: equilibria in mixes (`lemke_howson` for two players, `solving` for more).
"""

import time

import numpy as np

from cogorch_dagster.games.pareto import Joint, choose
from cogorch_dagster.games.payoffs import Equilibrium, Game, pure_profile, verified

METHOD = "pure enumeration"
TOLERANCE = 1e-12


def pure_equilibria(game: Game, tolerance: float = TOLERANCE) -> list[Joint]:
    """The joint actions at which nobody gains by deviating alone, in lexicographic order.

    Args:
        tolerance: a gain up to this share of the game's payoff range counts as none (rounding; the spread of simulated
            payoffs, if they are). 0 compares exactly.
    """
    slack = tolerance * game.range
    stable = np.ones(game.shape, dtype=np.bool_)
    for player in range(game.n_players):
        own = game.payoffs[player]
        stable &= own >= own.max(axis=player, keepdims=True) - slack
    return [tuple(int(action) for action in joint) for joint in np.argwhere(stable)]


def best_pure(game: Game, tolerance: float = TOLERANCE) -> Equilibrium | None:
    """The pure equilibrium to play: by Pareto dominance, then welfare, then lexicographic order; None if there is none.

    Args:
        tolerance: as for `pure_equilibria`; the answer's `nash_conv` is at most n times that.
    """
    start = time.perf_counter()
    joints = pure_equilibria(game, tolerance)
    if not joints:
        return None
    payoffs = game.payoffs[(slice(None), *np.array(joints).T)].T
    joint = joints[choose(payoffs, tolerance * game.range)]
    return verified(game, pure_profile(game, joint), METHOD, time.perf_counter() - start)
