"""The test of conditional independence on a correlation matrix, and the search among sets for one that separates."""

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.constraint_linear import factorise
from cogorch_dagster.causal.graphs.graph import Booleans


@compiled
def gather(start: Integers, variable: int, columns: Floats, count: int) -> int:
    """Put the columns of a variable behind the first `count`; how many there are then."""
    for column in range(start[variable], start[variable + 1]):
        columns[count] = column
        count += 1
    return count


@compiled
def statistic(
    correlation: Floats, start: Integers, x: int, y: int, given: Integers, size: int, rows: float, work: Floats
) -> float:
    """The statistic of X against Y given the first `size` variables of `given`: chi-squared when independent.

    One column each: Fisher's z squared, (n - k - 3) atanh(r)^2, with 1 degree of freedom. Blocks of a and b columns:
    Bartlett's -(n - k - (a + b + 3) / 2) log Lambda, with a b. Infinite where rows are too few or columns depend
    linearly on others, so that such a set never passes for a separating one.

    Args:
        correlation: (q, q).
        start: (p + 1,), first column of each variable.
        work: (3, q, q), scratch.
    """
    factor, columns = work[0], work[2, 0]
    k = 0
    for s in range(size):
        k = gather(start, given[s], columns, k)
    with_x = gather(start, x, columns, k)
    total = gather(start, y, columns, with_x)
    one = total - k == 2
    free = rows - k - 3.0 if one else rows - k - (total - k + 3) / 2.0
    if free <= 0.0:
        return np.inf
    for i in range(total):
        here = int(columns[i])
        for j in range(i + 1):
            factor[i, j] = correlation[here, int(columns[j])]
    if not factorise(factor, total):
        return np.inf
    if one:
        common, alone = factor[with_x, k], factor[with_x, with_x]
        return float(free * np.arctanh(common / np.sqrt(common * common + alone * alone)) ** 2)
    return float(-free * log_lambda(factor, k, with_x, total, work[1]))


@compiled
def log_lambda(factor: Floats, k: int, with_x: int, total: int, second: Floats) -> float:
    """log |Y given Z and X| - log |Y given Z| from the factor of the columns of Z, X and Y, in this order."""
    for i in range(with_x, total):
        for j in range(with_x, i + 1):
            value = 0.0
            for t in range(k, j + 1):
                value += factor[i, t] * factor[j, t]
            second[i - with_x, j - with_x] = value
    if not factorise(second, total - with_x):
        return 0.0
    result = 0.0
    for i in range(with_x, total):
        result += 2.0 * np.log(factor[i, i] / second[i - with_x, i - with_x])
    return result


@compiled
def next_subset(chosen: Integers, size: int, count: int) -> bool:
    """The next `size` of 0 .. count - 1 in lexical order, in place; False after the last."""
    i = size - 1
    while i >= 0 and chosen[i] == count - size + i:
        i -= 1
    if i < 0:
        return False
    chosen[i] += 1
    for j in range(i + 1, size):
        chosen[j] = chosen[j - 1] + 1
    return True


@compiled
def first_separating(
    correlation: Floats,
    start: Integers,
    x: int,
    y: int,
    candidates: Integers,
    count: int,
    size: int,
    rows: float,
    critical: Floats,
    given: Integers,
    work: Floats,
) -> float:
    """The statistic of the first `size` candidates that separate X from Y, left in `given`; infinite if none do."""
    bound = critical[(start[x + 1] - start[x]) * (start[y + 1] - start[y])]
    chosen = np.arange(size)
    while True:
        for s in range(size):
            given[s] = candidates[chosen[s]]
        value = statistic(correlation, start, x, y, given, size, rows, work)
        if value < bound:
            return value
        if not next_subset(chosen, size, count):
            return np.inf


@compiled
def canvass(
    correlation: Floats,
    start: Integers,
    x: int,
    y: int,
    candidates: Integers,
    count: int,
    most: int,
    rows: float,
    critical: Floats,
    so_far: float,
    best: Booleans,
    votes: Integers,
    work: Floats,
) -> float:
    """The smallest statistic given any subset of at most `most` candidates, if below `so_far`; its set is in `best`.

    For each subset that separates, 1 is added to the votes of its members and to the last of `votes`, (p + 1,).
    """
    bound = critical[(start[x + 1] - start[x]) * (start[y + 1] - start[y])]
    given = np.zeros(max(count, 1), dtype=np.int64)
    for size in range(min(most, count) + 1):
        chosen = np.arange(size)
        while True:
            for s in range(size):
                given[s] = candidates[chosen[s]]
            value = statistic(correlation, start, x, y, given, size, rows, work)
            if value < bound:
                votes[-1] += 1
                for s in range(size):
                    votes[given[s]] += 1
            if value < so_far:
                so_far = value
                best[:] = False
                for s in range(size):
                    best[given[s]] = True
            if not next_subset(chosen, size, count):
                break
    return so_far
