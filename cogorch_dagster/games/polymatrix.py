"""Iterated polymatrix approximation: replace the game by its linearisation, solve that exactly, go there, repeat.

Near a profile every game looks like a polymatrix game, in which each player's payoff is a sum over pairs of players;
such a game is a linear complementarity problem that Lemke's pivots solve (Howson 1972, "Equilibria of polymatrix
games"; Miller & Zucker 1991, "Copositive-plus Lemke algorithm solves polymatrix games"). Going on from its equilibrium
is a Newton method that can change supports (Govindan & Wilson 2004, "Computing Nash equilibria by iterated polymatrix
approximation"). It has no guarantee, and is tried from many starts.
"""

import time

import numpy as np

from cogorch_dagster.games.complementary_pivot import solve_complementarity
from cogorch_dagster.games.derivatives import Derivatives
from cogorch_dagster.games.payoffs import Floats
from cogorch_dagster.games.support_newton import ENOUGH, polish

_STRIDES = (1.0, 0.5, 0.2, 0.05)
_PLAYED = 1e-9


def iterate(
    kernel: Derivatives, start: Floats, rng: np.random.Generator, *, rounds: int, deadline: float
) -> tuple[Floats, float]:
    """The best mixes [N] found from `start` in so many rounds, and their NashConv."""
    x, best, least = start, start, np.inf
    cover = 1 + rng.random(kernel.total + kernel.players)
    for _ in range(rounds):
        if time.monotonic() >= deadline:
            break
        target = approximate(kernel, x, cover, deadline=deadline)
        if target is None:
            cover = 1 + rng.random(len(cover))
            continue
        found, gap = polish(kernel, target, target > _PLAYED, repairs=2, deadline=deadline)
        if gap < least:
            best, least = found, gap
        if least <= ENOUGH:
            break
        points = [x + stride * (target - x) for stride in _STRIDES]
        gaps = [kernel.gap(point) for point in points]
        if min(gaps) >= kernel.gap(x):  # stuck: along another ray
            cover = 1 + rng.random(len(cover))
        x = points[int(np.argmin(gaps))]
    return best, least


def approximate(kernel: Derivatives, x: Floats, cover: Floats, *, deadline: float) -> Floats | None:
    """An equilibrium [N] of the polymatrix game that touches the game at `x`; None where the pivots find none.

    Args:
        cover: covering vector [N + n] of the pivots, all positive.
    """
    n, total = kernel.players, kernel.total
    values, slopes = kernel.at(x)
    # value(y) = slopes y - (n - 2) values(x); the constant is spread over the others' mixes, which sum to 1.
    apart = kernel.owner[:, None] != kernel.owner
    payoffs = np.where(apart, slopes - ((n - 2) / (n - 1) * values)[:, None], 0.0)
    span = float(np.ptp(payoffs)) or 1.0
    costs = np.where(apart, (payoffs.max() - payoffs) / span + 0.1, 0.0)
    member = (kernel.owner[:, None] == np.arange(n)).astype(np.float64)
    matrix = np.block([[costs, -member], [member.T, np.zeros((n, n))]])
    right = np.concatenate([np.zeros(total), -np.ones(n)])
    z = solve_complementarity(matrix, right, cover, most_pivots=20 * (total + n), deadline=deadline)
    if z is None:
        return None
    return np.concatenate(kernel.profile(z[:total]))
