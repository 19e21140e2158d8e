"""How rows hang together, and the variance of a sum of their influence values.

Independent rows, clusters (sums by group), or time series within groups: long-run variance with the Bartlett kernel
(Newey and West 1987), prewhitened by AR(1) (Andrews and Monahan 1992), bandwidth by Andrews (1991), equation 6.4.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Kind = Literal["independent", "series", "clusters"]

_TESTED_LAGS = 5
_SIGNIFICANCE = 0.05
_ENOUGH_CLUSTERS = 40
_STRONGEST = 0.97
"""Cap of the AR(1) coefficient: Andrews and Monahan (1992), section 3, keep it off the unit root."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """What was found about the rows.

    Attributes:
        groups: (n,) codes 0 .. clusters-1, None for independent rows.
        correlation: of neighbours in time, after which the prewhitening goes.
        lags: bandwidth of the kernel.
    """

    kind: Kind
    groups: Integers | None = field(default=None, repr=False)
    clusters: int = 0
    correlation: float = 0.0
    lags: int = 0

    @property
    def text(self) -> str:
        if self.kind == "independent":
            return "independent"
        return f"clusters ({self.clusters})" if self.kind == "clusters" else f"series (lags {self.lags})"


INDEPENDENT = Dependence("independent")


def dependence(influence: Floats, groups: Integers | None) -> Dependence:
    """Independent unless the influence values of neighbours in time are correlated (Ljung and Box 1978, 5 lags, 5 %).

    At least 40 groups that depend within themselves are clusters; fewer are so many time series.

    Args:
        influence: (n,) of the estimator, in order of time within each group.
        groups: (n,) labels; rows of one group lie together. None: independent.
    """
    if groups is None or len(influence) <= 2 * _TESTED_LAGS:
        return INDEPENDENT
    codes = np.cumsum(np.diff(groups, prepend=groups[:1]) != 0)
    if not _correlated(influence, codes):
        return INDEPENDENT
    clusters = int(codes[-1]) + 1
    if clusters >= _ENOUGH_CLUSTERS:
        return Dependence("clusters", codes, clusters)
    first = float(np.clip(_autocorrelation(influence, codes, 1), -_STRONGEST, _STRONGEST))
    return Dependence("series", codes, clusters, first, _bandwidth(_whitened(influence, codes, first), codes))


def variance_of_sum(influence: Floats, shape: Dependence) -> Floats:
    """(S,) variances of the sums of (n, S) influence values, or () of (n,)."""
    if shape.kind == "independent" or shape.groups is None:
        return np.asarray(np.einsum("i...,i...->...", influence, influence))
    if shape.kind == "clusters":
        starts = np.flatnonzero(np.diff(shape.groups, prepend=-1))
        sums = np.add.reduceat(influence, starts, axis=0)
        factor = shape.clusters / max(shape.clusters - 1, 1)
        return np.asarray(factor * np.einsum("i...,i...->...", sums, sums))
    white = _whitened(influence, shape.groups, shape.correlation)
    total = np.einsum("i...,i...->...", white, white)
    for lag in range(1, shape.lags + 1):
        total = total + 2.0 * (1.0 - lag / (shape.lags + 1.0)) * _lagged(white, shape.groups, lag)
    # Never below what independent rows would give by more than their negative correlation can explain.
    floor = 0.05 * np.einsum("i...,i...->...", influence, influence)
    return np.asarray(np.maximum(total / (1.0 - shape.correlation) ** 2, floor))


def covariance_of_sum(influence: Floats, shape: Dependence) -> Floats:
    """(k, k) covariance of the sums of (n, k) influence values; its diagonal is `variance_of_sum` but for the floor."""
    if shape.kind == "independent" or shape.groups is None:
        return np.asarray(influence.T @ influence)
    if shape.kind == "clusters":
        starts = np.flatnonzero(np.diff(shape.groups, prepend=-1))
        sums = np.add.reduceat(influence, starts, axis=0)
        return np.asarray(shape.clusters / max(shape.clusters - 1, 1) * (sums.T @ sums))
    white = _whitened(influence, shape.groups, shape.correlation)
    total = white.T @ white
    for lag in range(1, min(shape.lags, len(white) - 1) + 1):
        same = shape.groups[lag:] == shape.groups[:-lag]
        cross = white[lag:][same].T @ white[:-lag][same]
        total = total + (1.0 - lag / (shape.lags + 1.0)) * (cross + cross.T)
    return np.asarray(total / (1.0 - shape.correlation) ** 2)


def autocorrelations(values: Floats, codes: Integers, lags: int) -> Floats:
    """(lags,) correlations with the rows 1 .. lags before, within groups."""
    return np.array([_autocorrelation(values, codes, lag) for lag in range(1, lags + 1)])


def _correlated(influence: Floats, codes: Integers) -> bool:
    from scipy.special import chdtrc

    pairs = np.array([np.count_nonzero(codes[lag:] == codes[:-lag]) for lag in range(1, _TESTED_LAGS + 1)])
    known = pairs > 0
    if not known.any():
        return False
    n = len(influence)
    found = autocorrelations(influence, codes, _TESTED_LAGS)[known]
    # Each r² n² / pairs is about chi-squared with one degree of freedom when rows are independent.
    statistic = float(np.sum((found * n) ** 2 / pairs[known]))
    return float(chdtrc(int(known.sum()), statistic)) < _SIGNIFICANCE


def _lagged(values: Floats, codes: Integers, lag: int) -> Floats:
    if lag >= len(values):
        return np.zeros(values.shape[1:])
    same = codes[lag:] == codes[:-lag]
    if same.all():
        return np.asarray(np.einsum("i...,i...->...", values[lag:], values[:-lag]))
    return np.asarray(np.einsum("i...,i...->...", values[lag:][same], values[:-lag][same]))


def _autocorrelation(values: Floats, codes: Integers, lag: int) -> float:
    square = float(values @ values)
    return float(_lagged(values, codes, lag)) / square if square > 0 else 0.0


def _whitened(values: Floats, codes: Integers, correlation: float) -> Floats:
    if correlation == 0.0:
        return values
    white = values.copy()
    same = codes[1:] == codes[:-1]
    white[1:][same] -= correlation * values[:-1][same]
    # The first row of a series has no neighbour: its stationary counterpart has the variance of the rest.
    first = np.concatenate([[True], ~same])
    white[first] *= (1.0 - correlation**2) ** 0.5
    return white


def _bandwidth(values: Floats, codes: Integers) -> int:
    rho = float(np.clip(_autocorrelation(values, codes, 1), -_STRONGEST, _STRONGEST))
    alpha = 4.0 * rho**2 / (1.0 - rho**2) ** 2
    return int(min(np.ceil(1.1447 * (alpha * len(values)) ** (1 / 3)), len(values) // 4))
