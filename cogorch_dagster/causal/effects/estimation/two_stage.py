"""Instruments: two-stage least squares, and an interval that holds when the instruments are weak.

Strength: the effective F of Montiel Olea and Pflueger (2013), with one instrument the robust F. Interval: Anderson and
Rubin (1949), robust to unequal variances and dependence, always with one instrument (Keane and Neal 2024 show that t
intervals mislead even at F = 10), with several when the effective F is below 23.1 (ibid. 2013, table 1: bias of 10 %).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import (
    Dependence,
    covariance_of_sum,
    dependence,
    variance_of_sum,
)
from cogorch_dagster.causal.effects.estimation.estimate import LEVEL, Fit, Floats, Integers, checked, from_influence
from cogorch_dagster.causal.effects.estimation.projection import projection
from cogorch_dagster.errors import InvalidInput

WEAK = 23.1
_GRID = 4001
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class TwoStage:
    """A fit with the strength of its instruments.

    Attributes:
        fit: its `treatment` is the prediction of the first stage, on which the outcome has the slope of the estimate.
        strength: effective F of the first stage; below 23.1 the instruments are weak.
        anderson_rubin: pieces of the 95 % set, in order, with infinite ends where it has none; () is empty.
        over_identification: p-value that all instruments tell the same effect; None with one instrument.
    """

    fit: Fit
    strength: float
    anderson_rubin: tuple[tuple[float, float], ...]
    over_identification: float | None


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Sums of instrument times column, and the quadratic form of their covariance in the effect that is tested."""

    y: Floats
    t: Floats
    yy: Floats
    yt: Floats
    tt: Floats
    degrees: float

    def statistic(self, effect: Floats) -> Floats:
        """(S,) of (S,) effects: Wald statistic, over the number of instruments, that nothing but the effect is left."""
        b = effect[:, None]
        left = self.y - b * self.t
        covariance = self.yy - b[:, :, None] * (self.yt + self.yt.T) + b[:, :, None] ** 2 * self.tt
        return np.asarray(
            np.einsum("si,si->s", left, np.linalg.solve(covariance, left[:, :, None])[:, :, 0]) / len(self.y)
        )


def two_stage(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    instruments: npt.ArrayLike,
    controls: npt.ArrayLike | None = None,
    *,
    groups: Integers | None = None,
) -> TwoStage:
    """The slope of the outcome on what the instruments move of the treatment.

    Args:
        outcome, treatment: (n,). instruments: (n, m) or (n,). controls: (n, k).
        groups: (n,) time series or cluster of each row; None: rows are independent.

    Raises:
        InvalidInput: shapes, missing values, too few rows, or instruments that the controls determine.
    """
    y, t, w = checked(outcome, treatment, controls)
    z = np.asarray(instruments, dtype=np.float64)
    z = z[:, None] if z.ndim == 1 else z
    if z.ndim != 2 or len(z) != len(y) or not z.shape[1] or not np.isfinite(z).all():
        raise InvalidInput(f"instruments {z.shape} need one complete row per unit and at least one column")
    space, whole = projection(w), projection(np.column_stack([w, z]))
    basis = whole.basis[:, space.rank :]
    if not basis.shape[1]:
        raise InvalidInput("the controls determine the instruments; nothing of them is left to move the treatment")
    if len(y) - whole.rank < 8:
        raise InvalidInput(f"{len(y)} rows are too few for {whole.rank} coefficients; take more rows or fewer controls")
    rest = space.residual(np.column_stack([y, t]))
    y_rest, t_rest = rest[:, 0], rest[:, 1]
    predicted = basis @ (basis.T @ t_rest)
    square = float(predicted @ predicted)
    if square <= 1e-20 * float(t_rest @ t_rest):
        raise InvalidInput("the instruments do not move the treatment at all; choose others")
    value = float(predicted @ y_rest) / square
    parameters = space.rank + 1
    correction = (len(y) / (len(y) - parameters)) ** 0.5
    influence = predicted * (y_rest - value * t_rest) / square * correction
    shape = dependence(influence, groups)
    found = from_influence(value, influence, parameters=parameters, method="two_stage", target="slope", shape=shape)
    reduced, strength = _reduced(y_rest, t_rest, basis, correction, shape, found.degrees)
    pieces = _anderson_rubin(reduced, value, found.se)
    spread = None if basis.shape[1] == 1 else _over_identification(reduced, value)
    # Under a weak first stage the sampling of 2SLS is no guide to the effect: the interval comes from the test.
    if basis.shape[1] == 1 or strength < WEAK:
        found = replace(found, interval=_hull(pieces, found.interval), p=_at_zero(reduced))
    notes = _notes(strength, pieces, spread)
    fit = Fit(
        replace(found, notes=notes),
        influence,
        y_rest,
        predicted,
        np.ones(len(y), dtype=np.bool_),
        parameters,
        shape,
        space,
    )
    return TwoStage(fit, strength, pieces, spread)


def _reduced(
    y: Floats, t: Floats, basis: Floats, correction: float, shape: Dependence, degrees: float
) -> tuple[_Reduced, float]:
    y_sum, t_sum = basis.T @ y, basis.T @ t
    y_score = basis * ((y - basis @ y_sum) * correction)[:, None]
    t_score = basis * ((t - basis @ t_sum) * correction)[:, None]
    k = basis.shape[1]
    joint = covariance_of_sum(np.concatenate([y_score, t_score], axis=1), shape)
    strength = float(t_sum @ t_sum / np.sum(variance_of_sum(t_score, shape)))
    return _Reduced(y_sum, t_sum, joint[:k, :k], joint[:k, k:], joint[k:, k:], degrees), strength


def _critical(reduced: _Reduced) -> float:
    from scipy.special import fdtri

    return float(fdtri(len(reduced.y), reduced.degrees, LEVEL))


def _at_zero(reduced: _Reduced) -> float:
    from scipy.special import fdtrc

    return float(fdtrc(len(reduced.y), reduced.degrees, float(reduced.statistic(np.zeros(1))[0])))


def _over_identification(reduced: _Reduced, value: float) -> float:
    """Hansen's J at the estimate."""
    from scipy.special import chdtrc

    k = len(reduced.y)
    return float(chdtrc(k - 1, k * float(reduced.statistic(np.array([value]))[0])))


def _anderson_rubin(reduced: _Reduced, value: float, se: float) -> tuple[tuple[float, float], ...]:
    """The effects that the test does not reject, by bisection between the points of a grid over the whole line."""
    bound = _critical(reduced)
    angles = np.linspace(-np.pi / 2, np.pi / 2, _GRID)[1:-1]
    grid = value + max(se, 1e-12 * (abs(value) + 1.0)) * np.tan(angles)
    inside = reduced.statistic(grid) <= bound
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    low, high = grid[changes], grid[changes + 1]
    for _ in range(_HALVINGS if len(changes) else 0):
        middle = (low + high) / 2.0
        left = (reduced.statistic(middle) <= bound) == inside[changes]
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    ends = [float(each) for each in (low + high) / 2.0]
    if inside[0]:
        ends.insert(0, -np.inf)
    if inside[-1]:
        ends.append(np.inf)
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _hull(pieces: tuple[tuple[float, float], ...], otherwise: tuple[float, float]) -> tuple[float, float]:
    return (pieces[0][0], pieces[-1][1]) if pieces else otherwise


def _notes(strength: float, pieces: tuple[tuple[float, float], ...], spread: float | None) -> tuple[str, ...]:
    found = []
    if strength < WEAK:
        found.append(f"the instruments are weak: effective F {strength:.1f}, below {WEAK}")
    if not pieces:
        found.append("no effect is compatible with all instruments; the interval is that of two-stage least squares")
    elif len(pieces) > 1:
        found.append(
            "effects compatible with the instruments: " + " or ".join(f"{a:.4g} to {b:.4g}" for a, b in pieces)
        )
    if spread is not None and spread < 0.05:
        found.append(f"the instruments tell different effects (p {spread:.3f}); one of them is not valid")
    return tuple(found)
