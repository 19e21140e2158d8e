"""Which pairs no set separates: the levels of PC-stable, sets of possible d-separation, and the weakest statistics."""

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.constraint_test import canvass, first_separating
from cogorch_dagster.causal.graphs.graph import Booleans


@compiled
def collect(allowed: Booleans, barred: Booleans, both: bool, x: int, y: int, candidates: Integers) -> int:
    """Put the variables that a set for (X, Y) may be drawn from into `candidates`; how many.

    Args:
        allowed: (p,).
        barred: (p, p), whether i is kept out of sets next to j.
        both: keep out only what is barred next to both X and Y.
    """
    count = 0
    for z in range(len(allowed)):
        if allowed[z] and z not in (x, y) and not (barred[z, x] and (not both or barred[z, y])):
            candidates[count] = z
            count += 1
    return count


@compiled
def levels(
    correlation: Floats,
    start: Integers,
    adjacent: Booleans,
    kept: Booleans,
    barred: Booleans,
    both: bool,
    stable: bool,
    most: int,
    rows: float,
    critical: Floats,
    sets: Booleans,
    statistics: Floats,
) -> int:
    """Remove each edge that a set of neighbours separates, sets of 0, 1, 2 ... members; the level it ended at.

    With `stable`, neighbours are those at the start of the level (Colombo and Maathuis 2014, algorithm 4.1), which
    makes the result the same in every order of the variables.

    Args:
        adjacent: (p, p), changed in place.
        kept: (p, p), edges that stay.
        most: of members in a set.
        critical: bound of the statistic by degrees of freedom.
        sets: (p, p, p), `sets[x, y]` becomes the members of the set that separated x and y.
        statistics: (p, p), becomes the statistic of that set.
    """
    p = len(adjacent)
    work = np.zeros((3, len(correlation), len(correlation)))
    candidates = np.zeros(p, dtype=np.int64)
    given = np.zeros(p, dtype=np.int64)
    for size in range(most + 1):
        before = adjacent.copy()
        tried = False
        for x in range(p):
            for y in range(p):
                if not adjacent[x, y]:
                    continue
                count = collect(before[x] if stable else adjacent[x], barred, both, x, y, candidates)
                if count < size:
                    continue
                tried = True
                if kept[x, y]:
                    continue
                value = first_separating(correlation, start, x, y, candidates, count, size, rows, critical, given, work)
                if value < np.inf:
                    adjacent[x, y] = adjacent[y, x] = False
                    statistics[x, y] = statistics[y, x] = value
                    for s in range(size):
                        sets[x, y, given[s]] = sets[y, x, given[s]] = True
        if not tried:
            return max(size - 1, 0)
    return most


@compiled
def prune(
    correlation: Floats,
    start: Integers,
    adjacent: Booleans,
    kept: Booleans,
    pools: Booleans,
    barred: Booleans,
    most: int,
    rows: float,
    critical: Floats,
    sets: Booleans,
    statistics: Floats,
) -> None:
    """Remove each edge x - y that at most `most` members of `pools[x]` or of `pools[y]` separate, smallest sets first.

    `adjacent`, `sets` and `statistics` are changed in place; pools, (p, p), do not change as edges go.
    """
    p = len(adjacent)
    work = np.zeros((3, len(correlation), len(correlation)))
    candidates = np.zeros(p, dtype=np.int64)
    given = np.zeros(p, dtype=np.int64)
    for size in range(most + 1):
        for x in range(p):
            for y in range(p):
                if not adjacent[x, y] or kept[x, y]:
                    continue
                count = collect(pools[x], barred, True, x, y, candidates)
                if count < size:
                    continue
                value = first_separating(correlation, start, x, y, candidates, count, size, rows, critical, given, work)
                if value < np.inf:
                    adjacent[x, y] = adjacent[y, x] = False
                    statistics[x, y] = statistics[y, x] = value
                    for s in range(size):
                        sets[x, y, given[s]] = sets[y, x, given[s]] = True


@compiled
def reconsider(
    correlation: Floats,
    start: Integers,
    adjacent: Booleans,
    wanted: Booleans,
    barred: Booleans,
    both: bool,
    most: int,
    rows: float,
    critical: Floats,
    sets: Booleans,
    statistics: Floats,
    shares: Floats,
) -> None:
    """For each wanted pair, what all sets of neighbours of either one say, up to `most` members.

    Args:
        wanted: (p, p), read above the diagonal; pairs without an edge.
        sets: (p, p, p), replaced by the one of the weakest statistic where any set separates.
        statistics: (p, p), that of the set in `sets`, infinite where there is none; replaced likewise.
        shares: (p, p, p), becomes the share of the separating sets of x and y that z is in; where no set of present
            neighbours separates, 1: nothing speaks for a collider.
    """
    p = len(adjacent)
    work = np.zeros((3, len(correlation), len(correlation)))
    candidates = np.zeros(p, dtype=np.int64)
    votes = np.zeros(p + 1, dtype=np.int64)
    for x in range(p):
        for y in range(x + 1, p):
            if not wanted[x, y]:
                continue
            # Not from the set of the search: which it found first depends on the order of the variables.
            best, value = np.zeros(p, dtype=np.bool_), np.inf
            votes[:] = 0
            for anchor, other in ((x, y), (y, x)):
                count = collect(adjacent[anchor], barred, both, anchor, other, candidates)
                value = canvass(
                    correlation, start, x, y, candidates, count, most, rows, critical, value, best, votes, work
                )
            if votes[p] == 0:
                best[:], value = sets[x, y], statistics[x, y]
            statistics[x, y] = statistics[y, x] = value
            sets[x, y] = best
            sets[y, x] = best
            for z in range(p):
                share = votes[z] / votes[p] if votes[p] > 0 else 1.0
                shares[x, y, z] = shares[y, x, z] = share
