"""The likelihood of a district of a Gaussian ancestral graph: variables joined by <-> paths, given their parents.

By residual iterative conditional fitting (Drton, Eichler and Richardson 2009). A graph's likelihood is the product of
those of its districts.
"""

from typing import NamedTuple

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.constraint_linear import factorise, solve
from cogorch_dagster.causal.graphs.graph import Booleans, Marks

_ARROW, _TAIL = 2, 3
_SINGULAR = 1e-10
_ROUNDS = 200
_SAME = 1e-7


class District(NamedTuple):
    """A district of d columns and its fit.

    Attributes:
        columns: (d,) in the correlation matrix.
        parents, parent_count: (d, q) and (d,); columns that are parents of each.
        joined: (d, d); whether two have a free covariance of their noise: spouses, and columns of one variable.
        weights: (d, q) of parents.
        noise: (d, d) covariance of the noise.
        crossed: (d, q) covariances between residuals and columns.
        residual: (d, d) covariances between residuals.
    """

    columns: Integers
    parents: Integers
    parent_count: Integers
    joined: Booleans
    weights: Floats
    noise: Floats
    crossed: Floats
    residual: Floats


@compiled
def district_likelihood(
    correlation: Floats, start: Integers, marks: Marks, members: Integers, size: int, rows: float
) -> float:
    """Twice the largest log-likelihood of a district given its parents, without the constant; -inf if singular.

    Args:
        correlation: (q, q).
        start: (p + 1,), first column of each variable.
        marks: (p, p), of an ancestral graph with directed and bidirected edges.
        members: the first `size` are the variables of the district.
    """
    q = len(correlation)
    here = empty_district(start, marks, members, size, q)
    count = len(here.columns)
    normal, right = np.zeros((q + count, q + count)), np.zeros(q + count)
    for r in range(count):
        own = regress(correlation, here, r, here.parent_count[r], normal, right)
        if own < _SINGULAR:
            return -np.inf
        here.noise[r, r] = own
        for i in range(here.parent_count[r]):
            here.weights[r, here.parents[r, i]] = right[i]
    if count == 1:
        return float(-rows * np.log(here.noise[0, 0]))
    for r in range(count):
        cross(correlation, here, r)
    for r in range(count):
        correlate(here, r)
    before = np.inf
    for _ in range(_ROUNDS):
        for r in range(count):
            if not refit(correlation, here, r, normal, right):
                return -np.inf
        now = loss(here)
        if not before - now > _SAME:
            break
        before = now
    return float(-rows * min(before, now))


@compiled
def empty_district(start: Integers, marks: Marks, members: Integers, size: int, q: int) -> District:
    p = len(marks)
    count = 0
    for t in range(size):
        m = members[t]
        count += start[m + 1] - start[m]
    columns, owner = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    parents, parent_count = np.zeros((count, q), dtype=np.int64), np.zeros(count, dtype=np.int64)
    r = 0
    for t in range(size):
        m = members[t]
        for column in range(start[m], start[m + 1]):
            columns[r], owner[r] = column, m
            for u in range(p):
                if marks[u, m] == _ARROW and marks[m, u] == _TAIL:
                    for parent in range(start[u], start[u + 1]):
                        parents[r, parent_count[r]] = parent
                        parent_count[r] += 1
            r += 1
    joined = np.zeros((count, count), dtype=np.bool_)
    for r in range(count):
        for s in range(count):
            a, b = owner[r], owner[s]
            joined[r, s] = r != s and (a == b or (marks[a, b] == _ARROW and marks[b, a] == _ARROW))
    return District(
        columns,
        parents,
        parent_count,
        joined,
        np.zeros((count, q)),
        np.zeros((count, count)),
        np.zeros((count, q)),
        np.zeros((count, count)),
    )


@compiled
def regress(correlation: Floats, here: District, r: int, size: int, normal: Floats, right: Floats) -> float:
    """Regress column r on its parents and on what rows of `normal` and `right` from these on hold; -1 if singular.

    Args:
        size: regressors in all.
        normal: covariances of the regressors; those among parents are put in.
        right: theirs with column r, likewise; becomes the coefficients.

    Returns:
        The residual variance.
    """
    for i in range(here.parent_count[r]):
        right[i] = correlation[here.parents[r, i], here.columns[r]]
        for j in range(i + 1):
            normal[i, j] = correlation[here.parents[r, i], here.parents[r, j]]
    with_r = right.copy()
    if not factorise(normal, size):
        return -1.0
    solve(normal, size, right)
    own = correlation[here.columns[r], here.columns[r]]
    for i in range(size):
        own -= right[i] * with_r[i]
    return float(own)


@compiled
def cross(correlation: Floats, here: District, r: int) -> None:
    """Bring row r of `crossed` up to date."""
    for v in range(len(correlation)):
        value = correlation[here.columns[r], v]
        for i in range(here.parent_count[r]):
            value -= here.weights[r, here.parents[r, i]] * correlation[here.parents[r, i], v]
        here.crossed[r, v] = value


@compiled
def correlate(here: District, r: int) -> None:
    """Bring row and column r of `residual` up to date."""
    for s in range(len(here.columns)):
        value = here.crossed[r, here.columns[s]]
        for i in range(here.parent_count[s]):
            value -= here.weights[s, here.parents[s, i]] * here.crossed[r, here.parents[s, i]]
        here.residual[r, s] = here.residual[s, r] = value


@compiled
def inverse_without(here: District, r: int, result: Floats) -> bool:
    """Put the inverse of the noise covariance of all but r into `result`, zeros for r; False if singular."""
    count = len(here.columns)
    rest = np.zeros(count, dtype=np.int64)
    for s in range(count - 1):
        rest[s] = s if s < r else s + 1
    factor, unit = np.zeros((count, count)), np.zeros(count)
    for i in range(count - 1):
        for j in range(i + 1):
            factor[i, j] = here.noise[rest[i], rest[j]]
    if not factorise(factor, count - 1):
        return False
    for i in range(count - 1):
        for j in range(count):
            unit[j] = 0.0
        unit[i] = 1.0
        solve(factor, count - 1, unit)
        for j in range(count - 1):
            result[rest[i], rest[j]] = unit[j]
    return True


@compiled
def regressors(here: District, r: int, inverse: Floats, normal: Floats, right: Floats) -> int:
    """Put the covariances of r's pseudo-variables behind its parents' rows of `normal` and `right`; regressors in all.

    The pseudo-variables are the inverse noise covariance of the others times their residuals, the rows of those that
    are joined to r; their coefficients will be the noise covariances.
    """
    with_columns, with_residuals = product(inverse, here.crossed), product(inverse, here.residual)
    among = product(with_residuals, inverse)
    width = here.parent_count[r]
    total = width
    for s in range(len(here.columns)):
        if not here.joined[r, s]:
            continue
        for j in range(width):
            normal[total, j] = with_columns[s, here.parents[r, j]]
        j = width
        for t in range(s + 1):
            if here.joined[r, t]:
                normal[total, j] = among[s, t]
                j += 1
        right[total] = with_columns[s, here.columns[r]]
        total += 1
    return int(total)


@compiled
def refit(correlation: Floats, here: District, r: int, normal: Floats, right: Floats) -> bool:
    """Fit column r, to its parents and its spouses' pseudo-variables, with the others held; False if singular."""
    count, width = len(here.columns), here.parent_count[r]
    inverse = np.zeros((count, count))
    if not inverse_without(here, r, inverse):
        return False
    total = regressors(here, r, inverse, normal, right)
    own = regress(correlation, here, r, total, normal, right)
    if own < _SINGULAR:
        return False
    for i in range(width):
        here.weights[r, here.parents[r, i]] = right[i]
    i = width
    for s in range(count):
        if here.joined[r, s]:
            here.noise[r, s] = here.noise[s, r] = right[i]
            i += 1
    for s in range(count):
        for t in range(count):
            if here.joined[r, s] and here.joined[r, t]:
                own += here.noise[r, s] * inverse[s, t] * here.noise[r, t]
    here.noise[r, r] = own
    cross(correlation, here, r)
    correlate(here, r)
    return True


@compiled
def product(a: Floats, b: Floats) -> Floats:
    result = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for t in range(a.shape[1]):
            for j in range(b.shape[1]):
                result[i, j] += a[i, t] * b[t, j]
    return result


@compiled
def loss(here: District) -> float:
    """log |noise| + trace(noise^-1 residual) - d, which the fit makes small; infinite if singular."""
    count = len(here.columns)
    factor = here.noise.copy()
    if not factorise(factor, count):
        return np.inf
    column = np.zeros(count)
    value = -float(count)
    for i in range(count):
        value += 2.0 * np.log(factor[i, i])
        for j in range(count):
            column[j] = here.residual[i, j]
        solve(factor, count, column)
        value += column[i]
    return value
