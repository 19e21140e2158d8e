"""Rank-normal scores of skewed and heavy-tailed columns (van der Waerden 1952).

The score of rank r among n is Φ⁻¹(r / (n + 1)). Where the columns are monotone transforms of Gaussians, the
correlations of the scores are those of the Gaussians (the nonparanormal of Liu, Lafferty and Wasserman 2009).
"""

from typing import Literal

import numpy as np

from cogorch_dagster.causal.data.autocorrelation import positions
from cogorch_dagster.causal.data.dataset import Bools, Floats, Integers

Scores = Literal["auto", "always", "never"]

# The moments beyond which a column is scored: an exponential has (2, 6), a uniform (0, -1.2), a Laplace (0, 3).
SKEWNESS = 0.75
EXCESS_KURTOSIS = 2.0
FEWEST_VALUES = 10
"""A column with fewer different values has no tails to speak of, and keeps its spacing."""


def scored(values: Floats, groups: Integers, how: Scores = "auto") -> Bools:
    """Which columns to score.

    `auto`: those in which at least 10 values differ, and whose skewness is beyond 0.75 or whose excess kurtosis above
    2, both of the values and of what the value before does not explain. A Gaussian column of 100 rows stays as it is;
    one that wanders looks skewed over any finite time, but its steps do not.

    Args:
        values: (rows, q) with NaN for missing.
        groups: (rows,) rows of one group follow each other in time.
    """
    if how == "never":
        return np.zeros(values.shape[1], dtype=bool)
    varied = np.array([len(np.unique(column[~np.isnan(column)])) >= FEWEST_VALUES for column in values.T], dtype=bool)
    return varied if how == "always" else varied & _tailed(values) & _tailed(_steps(values, groups))


def _tailed(values: Floats) -> Bools:
    skewness, kurtosis = moments(values)
    return np.asarray((np.abs(skewness) > SKEWNESS) | (kurtosis > EXCESS_KURTOSIS))


def _steps(values: Floats, groups: Integers) -> Floats:
    """(rows, q) residuals of each column's own autoregression of one lag; the values where few rows follow another."""
    rows = np.flatnonzero(positions(groups) > 0)
    if len(rows) < len(values) / 2:
        return values
    z = values - np.nanmean(values, axis=0)
    now, before = z[rows], z[rows - 1]
    known = ~np.isnan(now) & ~np.isnan(before)
    now, before = np.where(known, now, 0.0), np.where(known, before, 0.0)
    square = (before**2).sum(axis=0)
    slope = np.divide((now * before).sum(axis=0), square, out=np.zeros_like(square), where=square > 0)
    return np.where(known, now - slope * before, np.nan)


def moments(values: Floats) -> tuple[Floats, Floats]:
    """Skewness and excess kurtosis of each column, (q,) each; 0 where a column does not vary."""
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0.0).sum(axis=0) / n, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n)
    z = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    return (z**3).sum(axis=0) / n, np.where(scale > 0, (z**4).sum(axis=0) / n - 3.0, 0.0)


def normal_scores(values: Floats) -> Floats:
    """(rows, q) scores by column; equal values share the mean of their ranks, NaN stays NaN."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0, nan_policy="omit")
    return np.asarray(ndtri(ranks / (np.sum(~np.isnan(values), axis=0) + 1.0)))
