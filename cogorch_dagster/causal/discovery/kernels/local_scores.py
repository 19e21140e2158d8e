"""Scores of a variable given its parents, compiled: Gaussian from a correlation matrix, discrete from counts.

Higher is better. A search adds one parent at a time, so that `grow` scores all candidates at once. Not here: which
parents are tried (`boss`, `backward`).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.graphs.graph import Booleans

_SMALLEST = 1e-12
_MOST_CELLS = 1 << 16


class Terms(NamedTuple):
    """What a score is computed from.

    Attributes:
        discrete: whether `codes` are counted; else the correlation matrix is taken.
        correlation: (q, q).
        starts: (p + 1,) variable v owns the columns starts[v] .. starts[v + 1] - 1.
        rows: n of the score.
        penalty: times the penalty of the BIC; of discrete data the equivalent sample size of the BDeu if negative.
        codes: (p, m) of the m different rows, 0 .. levels - 1.
        weights: (m,) how often each of them occurs.
        levels: (p,).
    """

    discrete: bool
    correlation: Floats
    starts: Integers
    rows: float
    penalty: float
    codes: NDArray[np.int32]
    weights: Floats
    levels: Integers


@compiled
def local_score(terms: Any, v: int, parents: Integers) -> float:
    """Score of v given the parents."""
    if terms.discrete:
        return _discrete(terms, v, parents)
    return _gaussian(terms, v, parents)


@compiled
def grow(terms: Any, v: int, parents: Integers, allowed: Booleans, found: Floats) -> None:
    """Write into `found` (p,) the score of v given the parents and one of the allowed variables more, else -inf."""
    if terms.discrete:
        _grow_discrete(terms, v, parents, allowed, found)
    else:
        _grow_gaussian(terms, v, parents, allowed, found)


@compiled
def _columns(starts: Integers, variables: Integers) -> Integers:
    count = 0
    for v in variables:
        count += starts[v + 1] - starts[v]
    columns = np.empty(count, np.int64)
    k = 0
    for v in variables:
        for c in range(starts[v], starts[v + 1]):
            columns[k] = c
            k += 1
    return columns


@compiled
def _half_log_determinant(matrix: Floats, skip: int) -> float:
    """Sum of the logs of Cholesky's diagonal from row `skip` on; the matrix is overwritten."""
    total = 0.0
    for i in range(len(matrix)):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                value = np.sqrt(max(value, _SMALLEST))
                if i >= skip:
                    total += np.log(value)
                matrix[i, i] = value
            else:
                matrix[i, j] = value / matrix[j, j]
    return total


@compiled
def _gaussian(terms: Any, v: int, parents: Integers) -> float:
    starts = terms.starts
    given = _columns(starts, parents)
    size, k = starts[v + 1] - starts[v], len(given)
    matrix = np.empty((k + size, k + size))
    for i in range(k + size):
        row = given[i] if i < k else starts[v] + i - k
        for j in range(i + 1):
            matrix[i, j] = terms.correlation[row, given[j] if j < k else starts[v] + j - k]
    spread = _half_log_determinant(matrix, k)
    return float(-terms.rows * spread - 0.5 * terms.penalty * np.log(terms.rows) * size * k)


@compiled
def _grow_gaussian(terms: Any, v: int, parents: Integers, allowed: Booleans, found: Floats) -> None:
    """Partial covariances given the parents from one Cholesky factor, then one small determinant a candidate."""
    correlation, starts = terms.correlation, terms.starts
    given = _columns(starts, parents)
    k, q, p = len(given), len(correlation), len(starts) - 1
    # half[i] is row i of L^-1 R, so that half' half is what the parents explain.
    half = np.empty((k, q))
    for i in range(k):
        c = given[i]
        for b in range(q):
            value = correlation[c, b]
            for j in range(i):
                value -= half[j, c] * half[j, b]
            half[i, b] = value
        pivot = np.sqrt(max(half[i, c], _SMALLEST))
        for b in range(q):
            half[i, b] /= pivot
    size = starts[v + 1] - starts[v]
    cost = 0.5 * terms.penalty * np.log(terms.rows) * size
    first = starts[v]
    for x in range(p):
        found[x] = -np.inf
        if not allowed[x]:
            continue
        width = starts[x + 1] - starts[x]
        if width == 1 and size == 1:
            c = starts[x]
            own, other, shared = correlation[first, first], correlation[c, c], correlation[c, first]
            for i in range(k):
                own -= half[i, first] * half[i, first]
                other -= half[i, c] * half[i, c]
                shared -= half[i, c] * half[i, first]
            left = own - shared * shared / max(other, _SMALLEST)
            found[x] = -0.5 * terms.rows * np.log(max(left, _SMALLEST)) - cost * (k + 1)
            continue
        matrix = np.empty((width + size, width + size))
        for a in range(width + size):
            ca = starts[x] + a if a < width else first + a - width
            for b in range(a + 1):
                cb = starts[x] + b if b < width else first + b - width
                value = correlation[ca, cb]
                for i in range(k):
                    value -= half[i, ca] * half[i, cb]
                matrix[a, b] = value
        found[x] = -terms.rows * _half_log_determinant(matrix, width) - cost * (k + width)


@compiled
def _configurations(terms: Any, parents: Integers, numbers: Integers) -> int:
    """Number the parents' joint values row by row and return how many are possible, 0 if they are too many to count."""
    count = 1
    for row in range(len(numbers)):
        numbers[row] = 0
    for x in parents:
        count *= terms.levels[x]
        if count > _MOST_CELLS:
            return 0
        for row in range(len(numbers)):
            numbers[row] = numbers[row] * terms.levels[x] + terms.codes[x, row]
    return count


@compiled
def _counted(terms: Any, v: int, numbers: Integers, count: int) -> float:
    """Score of v where the parents have the joint values `numbers`, 0 .. count - 1."""
    size = terms.levels[v]
    table = np.zeros((count, size))
    for row in range(len(numbers)):
        table[numbers[row], terms.codes[v, row]] += terms.weights[row]
    if terms.penalty < 0:
        return _bdeu(table, -terms.penalty)
    total = 0.0
    for config in range(count):
        inside = 0.0
        for k in range(size):
            if table[config, k] > 0:
                inside += table[config, k]
                total += table[config, k] * np.log(table[config, k])
        if inside > 0:
            total -= inside * np.log(inside)
    return float(total - 0.5 * terms.penalty * np.log(terms.rows) * (size - 1) * count)


@compiled
def _bdeu(table: Floats, sample: float) -> float:
    """Heckerman, Geiger and Chickering 1995, equation 28 with equal prior counts."""
    count, size = table.shape
    total = 0.0
    alpha = sample / count
    each = alpha / size
    for config in range(count):
        inside = 0.0
        for k in range(size):
            if table[config, k] > 0:
                inside += table[config, k]
                total += math.lgamma(each + table[config, k]) - math.lgamma(each)
        if inside > 0:
            total += math.lgamma(alpha) - math.lgamma(alpha + inside)
    return total


@compiled
def _discrete(terms: Any, v: int, parents: Integers) -> float:
    numbers = np.empty(terms.codes.shape[1], np.int64)
    count = _configurations(terms, parents, numbers)
    return _counted(terms, v, numbers, count) if count > 0 else -np.inf


@compiled
def _grow_discrete(terms: Any, v: int, parents: Integers, allowed: Booleans, found: Floats) -> None:
    m = terms.codes.shape[1]
    numbers, joined = np.empty(m, np.int64), np.empty(m, np.int64)
    count = _configurations(terms, parents, numbers)
    for x in range(len(terms.levels)):
        levels = terms.levels[x]
        found[x] = -np.inf
        if not allowed[x] or count == 0 or count * levels > _MOST_CELLS:
            continue
        for row in range(m):
            joined[row] = numbers[row] * levels + terms.codes[x, row]
        found[x] = _counted(terms, v, joined, count * levels)
