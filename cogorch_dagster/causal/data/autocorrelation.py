"""Rows that resemble the rows before them: how many independent rows they are worth, and their innovations.

Two series that depend on their own past are correlated by chance more often than a test for independent rows allows.
Either the test is told of fewer rows (Bayley and Hammersley 1946), or each row is replaced by what the rows before do
not explain: the residual of a vector autoregression, in which the dependence within a moment is unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, Integers
from cogorch_dagster.causal.data.missing import em_moments

Handling = Literal["auto", "prewhiten", "effective", "none"]

WORTH = 0.8
"""`auto` prewhitens when the rows are worth less than this share of independent ones."""

MOST_LAGS = 5
_LONGEST = 100
_ROWS_PER_COLUMN = 5


@dataclass(frozen=True, eq=False)
class History:
    """The rows that have `lags` rows before them in their group.

    Attributes:
        rows: (m,) which they are.
        values: (m, q lags) the rows before, the nearest first.
    """

    lags: int
    rows: Integers
    values: Floats


def positions(groups: Integers) -> Integers:
    """(rows,) the place of each row in its group, from 0."""
    rows = np.arange(len(groups))
    begins = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    return np.asarray(rows - np.repeat(begins, np.diff(np.append(begins, len(groups)))))


def longest(groups: Integers) -> int:
    """Rows of the longest group."""
    return int(positions(groups).max(initial=-1)) + 1


def history(values: Floats, groups: Integers, lags: int, ahead: int | None = None) -> History:
    """The rows before each row; of rows with `ahead` (else `lags`) rows before them."""
    rows = np.flatnonzero(positions(groups) >= (lags if ahead is None else ahead))
    before = [values[rows - lag] for lag in range(1, lags + 1)]
    return History(lags, rows, np.concatenate(before, axis=1) if before else np.empty((len(rows), 0)))


def worth(residuals: Floats, groups: Integers) -> float:
    """The share of independent rows that the rows are worth, for the pair of columns where it is least; 0 to 1.

    n_eff / n = 1 / (1 + 2 Σ_k (1 - k/n) r_i(k) r_j(k)), over autocorrelations that differ from 0 by two errors.

    Args:
        residuals: (rows, q) of each column given all others; NaN is left out.
    """
    r = autocorrelations(residuals, groups)
    if r.shape[1] == 0:
        return 1.0
    n = len(residuals)
    weight = 2.0 * (1.0 - np.arange(1, r.shape[1] + 1) / n)
    inflation = 1.0 + (r * weight) @ r.T
    if len(r) > 1:
        np.fill_diagonal(inflation, 1.0)
    return float(min(1.0, 1.0 / inflation.max()))


def autocorrelations(values: Floats, groups: Integers) -> Floats:
    """(q, lags) up to a tenth of the longest group, 100 at most; 0 from the first that is within two errors of 0."""
    place = positions(groups)
    z = values - np.nanmean(values, axis=0)
    known = ~np.isnan(z)
    z = np.where(known, z, 0.0)
    variance = (z**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    columns = []
    going = variance > 0
    for lag in range(1, min(longest(groups) // 10, _LONGEST) + 1):
        rows = np.flatnonzero(place >= lag)
        pairs = (known[rows] & known[rows - lag]).sum(axis=0)
        products = (z[rows] * z[rows - lag]).sum(axis=0)
        r = np.divide(products, pairs * variance, out=np.zeros(len(variance)), where=(pairs > 0) & going)
        going = going & (np.abs(r) > 2.0 / np.sqrt(np.maximum(pairs, 1)))
        if not going.any():
            break
        columns.append(np.where(going, r, 0.0))
    return np.stack(columns, axis=1) if columns else np.zeros((values.shape[1], 0))


def given_all_others(values: Floats, covariance: Floats) -> Floats:
    """(rows, q) what the other columns of the same row do not explain of each, from the precision matrix."""
    precision = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    centred = values - np.nanmean(values, axis=0)
    explained = np.where(np.isnan(centred), 0.0, centred) @ precision
    return np.where(np.isnan(centred), np.nan, explained)


def order(values: Floats, groups: Integers) -> int:
    """Lags of the autoregression, 1 to 5, by BIC over the same rows; 0 when there are too few rows for one lag.

    With missing values the first that the next lag does not improve on.
    """
    q = values.shape[1]
    place = positions(groups)
    # More lags take more columns and leave fewer rows.
    most = max(
        (lags for lags in range(1, MOST_LAGS + 1) if (place >= lags).sum() >= _ROWS_PER_COLUMN * q * lags), default=0
    )
    if most == 0:
        return 0
    past = history(values, groups, most)
    sizes = _sizes(values, past) if np.isnan(values).any() else _complete_sizes(values, past)
    n = len(past.rows)
    best, lowest = 0, np.inf
    for lags, size in enumerate(sizes, start=1):
        score = n * size + q * q * lags * np.log(n)
        if score < lowest:
            best, lowest = lags, score
        elif np.isnan(values).any():
            # Another lag by EM costs more than the rest of the preparation.
            break
    return best


def _complete_sizes(values: Floats, past: History) -> Iterator[float]:
    """ln det of the covariance of the residuals for 1 .. `past.lags` lags; one decomposition serves all."""
    now, q = values[past.rows], values.shape[1]
    basis = np.linalg.qr(_design(past))[0]
    left = now - basis[:, :1] @ (basis[:, :1].T @ now)
    for lags in range(1, past.lags + 1):
        part = basis[:, 1 + q * (lags - 1) : 1 + q * lags]
        left = left - part @ (part.T @ left)
        triangle = np.linalg.qr(left / np.sqrt(len(now)), mode="r")
        yield 2.0 * float(np.log(np.maximum(np.abs(np.diag(triangle)), 1e-150)).sum())


def _sizes(values: Floats, past: History) -> Iterator[float]:
    """The same with missing values, from joint moments of no more lags than are asked for."""
    now, q = values[past.rows], values.shape[1]
    for lags in range(1, past.lags + 1):
        joint = em_moments(np.concatenate([now, past.values[:, : q * lags]], axis=1)).covariance
        least = 1e-12 * np.diag(np.diag(joint)[:q])
        yield float(np.linalg.slogdet(conditional_covariance(joint, q) + least)[1])


def conditional_covariance(joint: Floats, q: int) -> Floats:
    """(q, q) of the first q columns given the others."""
    cross = joint[q:, :q]
    found = joint[:q, :q] - cross.T @ np.linalg.pinv(joint[q:, q:], rcond=1e-12, hermitian=True) @ cross
    return np.asarray((found + found.T) / 2)


def innovations(values: Floats, past: History) -> Floats:
    """(m, q) residuals of the least-squares regression of complete rows on their history, with a constant."""
    # Not by normal equations: where effects add up over time, levels are all but collinear.
    basis = np.linalg.qr(_design(past))[0]
    now = values[past.rows]
    return np.asarray(now - basis @ (basis.T @ now))


def _design(past: History) -> Floats:
    return np.column_stack([np.ones(len(past.rows)), past.values])
