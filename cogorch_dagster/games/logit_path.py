"""The logit path: quantal response equilibria followed from blind chance to a Nash equilibrium.

At precision λ each player plays action a with a probability proportional to exp(λ value(a)). At λ = 0 all mix
uniformly; for almost all games one path leads from there to λ = ∞, where its limit is a Nash equilibrium (McKelvey &
Palfrey 1995, "Quantal response equilibria for normal form games", theorem 3). It is followed as Turocy (2005, "A
dynamic homotopy interpretation of the logistic quantal response equilibrium correspondence") does: in logarithms of
the probabilities, where vanishing actions become straight lines, by predictor and corrector along its arc, since λ
may turn back. When λ has grown, the actions that still live are taken as a support, and `support_newton` ends the walk.
"""

import time
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.games.derivatives import Derivatives
from cogorch_dagster.games.payoffs import Floats
from cogorch_dagster.games.support_newton import ENOUGH, polish

MOST_STEPS = 600
_FIRST_STEP = 0.2
_SMALLEST_STEP = 1e-7
_FINE_STEP = 1e-2
_BEND = 0.5
"""Tangents whose product is less differ too much for one step, unless it is a fine one."""
_FIRST_TRY, _GROWN, _MUCH_GROWN = 2.0, 1.5, 10.0
_LARGEST_PRECISION = 1e8
_LIKELY = 3.0
"""Actions whose log-probability is less than this below the best one's are tried as a support."""
_CORRECTIONS = 4
_FARTHEST = 3.0
_TOLERANCE = 1e-7
_NEAR = 1e-4
"""The path is only a guide: its points need not be more exact than that."""


@dataclass(frozen=True, eq=False)
class Walk:
    """Where a walk ended: mixes [N], their NashConv, precision λ reached and steps taken."""

    x: Floats
    gap: float
    precision: float
    steps: int


def follow(kernel: Derivatives, *, deadline: float, start: Floats | None = None) -> Walk:
    """Follow the path until a verified equilibrium, the step limit or the deadline.

    Args:
        deadline: value of `time.monotonic()` at which the walk ends with the best it has.
        start: mixes [N], all positive, at λ = 0 instead of the uniform ones: another path (a biased response).
    """
    prior = np.log(kernel.uniform() if start is None else start)
    point = np.append(prior, 0.0)
    tangent = np.zeros(kernel.total + 1)
    tangent[-1] = 1.0
    found = _correct(kernel, prior, point, tangent)
    if found is None:
        return Walk(np.exp(prior), np.inf, 0.0, 0)
    ending = _Ending(np.exp(prior), np.inf)
    tangent, step, steps = found.tangent, _FIRST_STEP, 0
    while steps < MOST_STEPS and step > _SMALLEST_STEP and time.monotonic() < deadline:
        steps += 1
        found = _correct(kernel, prior, point + step * tangent, tangent)
        bends = found is not None and found.tangent @ tangent < _BEND and step > _FINE_STEP
        if found is None or found.point[-1] < 0 or bends:
            step /= 2 if bends else 3
            continue
        point, tangent = found.point, found.tangent
        step *= (2.0, 2.0, 1.3, 0.7)[found.corrections - 1]
        ending = ending.tried(kernel, point[:-1], float(point[-1]), deadline)
        if ending.gap <= ENOUGH or point[-1] > _LARGEST_PRECISION:
            break
    return Walk(ending.x, ending.gap, float(point[-1]), steps)


@dataclass(frozen=True, eq=False)
class _Ending:
    """The best end of the path so far, and the last support that was tried, at which λ."""

    x: Floats
    gap: float
    precision: float = _FIRST_TRY
    support: bytes = b""

    def tried(self, kernel: Derivatives, y: Floats, precision: float, deadline: float) -> "_Ending":
        """Try the living actions as a support, if λ has grown since, and either they are others or λ is much larger."""
        if precision < _GROWN * self.precision:
            return self
        x = np.concatenate(kernel.profile(np.exp(np.minimum(y, 0.0))))
        below = kernel.best(y) - y
        likely = below < _LIKELY
        if likely.tobytes() == self.support and precision < _MUCH_GROWN * self.precision:
            return self
        best, least = self.x, self.gap
        possible = x * precision > below  # a share above the loss of value
        for support in (likely, possible) if (likely != possible).any() else (likely,):
            found, gap = polish(kernel, x, support, repairs=2, deadline=deadline)
            if gap < least:
                best, least = found, gap
            if least <= ENOUGH:
                break
        return _Ending(best, least, precision, likely.tobytes())


@dataclass(frozen=True, eq=False)
class _Corrected:
    """A point (y, λ) on the path, the unit tangent of the path there, and how many corrections that took."""

    point: Floats
    tangent: Floats
    corrections: int


def _system(kernel: Derivatives, prior: Floats, point: Floats) -> tuple[Floats, Floats]:
    """Residual [N] of y = log softmax(prior + λ values(exp y)), and its derivative [N, N + 1] in (y, λ)."""
    y, precision = point[:-1], point[-1]
    x = np.exp(np.minimum(y, 1.0))
    values, slopes = kernel.at(x)
    starts = kernel.starts
    score = prior + precision * values
    below = score - kernel.best(score)
    weight = np.exp(below)
    total = np.add.reduceat(weight, starts)[kernel.owner]
    response = weight / total
    residual = y - (below - np.log(total))
    pull = precision * slopes * x
    mean = np.add.reduceat(response[:, None] * pull, starts)[kernel.owner]
    derivative = np.empty((kernel.total, kernel.total + 1))
    derivative[:, :-1] = np.eye(kernel.total) - pull + mean
    derivative[:, -1] = np.add.reduceat(response * values, starts)[kernel.owner] - values
    return residual, derivative


def _correct(kernel: Derivatives, prior: Floats, point: Floats, tangent: Floats) -> _Corrected | None:
    """Back onto the path by Newton's method orthogonal to the tangent; None where it does not contract."""
    before = np.inf
    right = np.zeros((kernel.total + 1, 2))  # the correction, and the next tangent in the sense of the one before
    right[-1, 1] = 1.0
    for correction in range(1, _CORRECTIONS + 1):
        residual, derivative = _system(kernel, prior, point)
        right[:-1, 0] = -residual
        try:
            solved = np.linalg.solve(np.vstack([derivative, tangent]), right)
        except np.linalg.LinAlgError:
            return None
        size = float(np.linalg.norm(solved[:, 0]))
        if not size < min(before / 2, _FARTHEST + 0.05 * float(np.linalg.norm(point))):
            return None
        point = point + solved[:, 0]
        if size <= _TOLERANCE or (correction > 1 and size < _NEAR):
            ahead = solved[:, 1]
            return _Corrected(point, ahead / np.linalg.norm(ahead), correction)
        before = size
    return None
