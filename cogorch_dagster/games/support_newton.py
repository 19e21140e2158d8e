"""From a near answer to an exact one: Newton's method on the indifference equations of its support.

At an equilibrium each player is indifferent among the actions it plays. Given the right support this is a square
system, and Newton's method doubles the digits in each step (McKelvey & McLennan 1996, "Computation of equilibria in
finite games", section 4.2). A wrong support shows: a probability falls below 0, or an action outside is better. Then
the one action that is most wrong changes sides, as in an active-set method. Not here: where the guess comes from.
"""

import time

import numpy as np

from cogorch_dagster.games.derivatives import Bools, Derivatives
from cogorch_dagster.games.payoffs import Floats

ENOUGH = 1e-10
_STEPS = 12
_SMALL = 1e-12


def polish(
    kernel: Derivatives, x: Floats, support: Bools, *, repairs: int = 6, deadline: float = float("inf")
) -> tuple[Floats, float]:
    """The best mixes found near `x` with about this support, and their NashConv.

    Args:
        x: stacked mixes [N], the guess.
        support: bool [N], which actions are played; at least one of each player.
        repairs: how often an action may change sides.
        deadline: value of `time.monotonic()` after which no further step is taken.

    Returns:
        Stacked mixes on the simplex, and their NashConv in the units of the payoffs. Never worse than `x` itself.
    """
    best, least = x, kernel.gap(x)
    support = support.copy()
    seen: set[bytes] = set()
    for _ in range(repairs + 1):
        if support.tobytes() in seen:
            break
        seen.add(support.tobytes())
        solved, values = indifferent(kernel, x, support, deadline=deadline)
        found = np.concatenate(kernel.profile(solved))
        gap = kernel.gap(found)
        if gap < least:
            best, least = found, gap
        if least <= ENOUGH or not np.isfinite(solved).all():
            break
        if not _repair(kernel, support, solved, values):
            break
    return best, least


def indifferent(
    kernel: Derivatives, x: Floats, support: Bools, *, deadline: float = float("inf")
) -> tuple[Floats, Floats]:
    """Mixes on `support` that make everybody indifferent on it, and the values of all actions there.

    Probabilities may come out below 0, and not finite where Newton's method diverges.
    """
    played = np.flatnonzero(support)
    m, n = len(played), kernel.players
    member = (kernel.owner[played][:, None] == np.arange(n)).astype(np.float64)
    current = np.where(support, np.maximum(x, _SMALL), 0.0)
    current = np.concatenate([current[part] / current[part].sum() for part in kernel.slices])
    matrix = np.zeros((m + n, m + n))
    matrix[:m, m:] = -member
    matrix[m:, :m] = member.T
    before = np.inf
    values, slopes = kernel.at(current)
    for step in range(_STEPS):
        matrix[:m, :m] = slopes[np.ix_(played, played)]
        right = np.zeros(m + n)
        right[:m] = -values[played]
        change = _solve(matrix, right)[:m]
        size = float(np.abs(change).max())
        current = current.copy()
        current[played] += change
        values, slopes = kernel.at(current)
        if not size < 10 or size < 1e-14 or (size >= before / 2 and (step > 2 or size < 1e-9)):
            break
        if time.monotonic() >= deadline:
            break
        before = size
    return current, values


def _solve(matrix: Floats, right: Floats) -> Floats:
    try:
        found = np.linalg.solve(matrix, right)
        if np.isfinite(found).all():
            return np.asarray(found, dtype=np.float64)
    except np.linalg.LinAlgError:
        pass
    try:
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=1e-12)[0], dtype=np.float64)  # degenerate support
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)


def _repair(kernel: Derivatives, support: Bools, x: Floats, values: Floats) -> bool:
    """Let the most wrong action change sides; False if none is wrong or may."""
    share = np.where(support, x, 0.0)
    level = kernel.best(np.where(support, values, -np.inf))
    better = np.where(support, 0.0, values - level)
    leaves, enters = int(share.argmin()), int(better.argmax())
    if share[leaves] < -_SMALL and -share[leaves] >= better[enters]:
        support[leaves] = False
        part = kernel.slices[int(kernel.owner[leaves])]
        return bool(support[part].any())
    if better[enters] > _SMALL:
        support[enters] = True
        return True
    return False
