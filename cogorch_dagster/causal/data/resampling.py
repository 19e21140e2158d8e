"""How often each row counts in a bootstrap draw: row by row, or in blocks where rows follow each other in time.

Blocks are circular within their group (Politis and Romano 1992), so that every row has the same chance.
"""

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, Integers
from cogorch_dagster.errors import InvalidInput

# A block is at most this share of the rows, or too few blocks are left to draw from.
_LONGEST = 1 / 8


def block_length(series: Floats, groups: Integers) -> int:
    """Rows to a block for a circular block bootstrap of the mean; 1 where rows do not depend on those before.

    The optimum of Politis and White (2004) for a first-order autoregression: with autocorrelation r,
    (6 r² / (1 - r²)²)^(1/3) n^(1/3), with the largest r. Within two standard errors of 0 it counts as none.

    Args:
        series: (rows, s) what the mean is taken of, such as the scores of an estimate; NaN is missing.
        groups: (rows,) neighbours count only within a group.
    """
    rows = len(series)
    after = np.flatnonzero(groups[1:] == groups[:-1]) + 1
    if len(after) < 3 or not series.shape[1]:
        return 1
    known = ~np.isnan(series)
    mean = np.where(known, series, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, series - mean, 0.0)
    pairs = (known[after] & known[after - 1]).sum(axis=0)
    variance = (centred**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    covariance = (centred[after] * centred[after - 1]).sum(axis=0) / np.maximum(pairs, 1)
    r = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 0)
    r = np.where(r > 2 / np.sqrt(np.maximum(pairs, 1)), np.minimum(r, 0.99), 0.0)
    most = float(r.max())
    length = (6 * most**2 / (1 - most**2) ** 2) ** (1 / 3) * rows ** (1 / 3)
    longest_group = int(np.bincount(np.unique(groups, return_inverse=True)[1]).max())
    return int(np.clip(round(length), 1, max(1, min(longest_group, int(rows * _LONGEST)))))


def bootstrap_counts(groups: Integers, draws: int, block: int, seed: int) -> Floats:
    """(draws, rows) how often each row was drawn; each draw counts as many rows as there are.

    Raises:
        InvalidInput: fewer than 1 draw, or a block outside of 1 to the number of rows.
    """
    rows = len(groups)
    if draws < 1:
        raise InvalidInput(f"{draws} draws; give at least 1, some hundreds for an interval")
    if not 1 <= block <= rows:
        raise InvalidInput(f"a block of {block} rows; give 1 to {rows}")
    rng = np.random.default_rng(seed)
    return np.stack([drawn(groups, block, rng) for _ in range(draws)])


def drawn(groups: Integers, block: int, rng: np.random.Generator) -> Floats:
    """(rows,) how often each row is drawn, as many in all as there are, in blocks of rows of one group."""
    rows = len(groups)
    if block <= 1:
        return np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)
    begins = np.append(np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1)), rows)
    starts = rng.integers(0, rows, -(-rows // block))
    group = np.searchsorted(begins, starts, side="right") - 1
    first, size = begins[group], begins[group + 1] - begins[group]
    places = first[:, None] + ((starts - first)[:, None] + np.arange(block)) % size[:, None]
    return np.bincount(places.reshape(-1)[:rows], minlength=rows).astype(np.float64)
