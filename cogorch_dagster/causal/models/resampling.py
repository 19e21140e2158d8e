"""How often each row counts in a bootstrap draw: row by row, or in blocks where rows follow each other in time.

Blocks are circular within their group (Politis and Romano 1992), so that every row has the same chance.
"""

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

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
    centred = np.where(known, series - np.nanmean(series, axis=0), 0.0)
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
    blocks = -(-rows // block)
    starts = rng.integers(rows, size=(draws, blocks))
    edges = np.flatnonzero(np.diff(groups)) + 1
    first = np.concatenate([[0], edges])
    size = np.diff(np.concatenate([first, [rows]]))
    of_row = np.repeat(np.arange(len(first)), size)
    begin, length = first[of_row[starts]], size[of_row[starts]]
    offset = (starts - begin)[:, :, None] + np.arange(block)
    drawn = (begin[:, :, None] + offset % length[:, :, None]).reshape(draws, -1)[:, :rows]
    flat = drawn + np.arange(draws)[:, None] * rows
    return np.bincount(flat.ravel(), minlength=draws * rows).reshape(draws, rows).astype(np.float64)
