"""Which variables no set separates, as searches by tests see it: the skeleton, and the sets that separated.

The loops over sets are compiled (`kernels/skeleton`); what the edges are made into then is in `pc` and `fci`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, SufficientStatistics
from cogorch_dagster.causal.discovery.independence import critical_values, first_columns
from cogorch_dagster.causal.graphs.graph import Booleans, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput

MOST_POSSIBLE = 4
"""Members of a set drawn from Possible-D-SEP at most; their number grows exponentially."""


@dataclass(frozen=True)
class Skeleton:
    """Attributes:
    adjacent: (p, p), symmetric.
    sets: (p, p, p), `sets[x, y]` the members of the set that separates x and y; of the weakest one once `canvassed`.
    statistics: (p, p), the statistic of that set; infinite where none is known.
    shares: (p, p, p), of the sets that separate x and y, the share with z in them.
    level: members of the largest sets tried among neighbours.
    """

    adjacent: Booleans
    sets: Booleans
    statistics: Floats
    shares: Floats
    level: int


@dataclass(frozen=True)
class Limits:
    """What keeps variables out of separating sets.

    Attributes:
        barred: (p, p), i is kept out of sets next to j.
        both: only what is barred next to both variables of a pair is kept out.
        most: members of a set.
    """

    barred: Booleans
    both: bool
    most: int


def limits(barred: Booleans, both: bool, max_condition: int | None) -> Limits:
    """Raises:
    InvalidInput: `max_condition` is negative.
    """
    if max_condition is not None and max_condition < 0:
        raise InvalidInput(f"max_condition {max_condition} must be at least 0, or None for no limit")
    count = len(barred)
    return Limits(barred, both, count if max_condition is None else min(max_condition, count))


def later(knowledge: Knowledge, names: Sequence[str]) -> Booleans:
    """(p, p); whether i is in a later tier than j, and so no cause of it, direct or not."""
    tier = {name: number for number, members in enumerate(knowledge.tiers) for name in members}
    at = np.array([tier.get(name, -1) for name in names])
    return np.asarray((at[:, None] > at[None, :]) & (at[None, :] >= 0))


def search(
    statistics: SufficientStatistics,
    adjacent: Booleans,
    kept: Booleans,
    limit: Limits,
    alpha: float,
    *,
    stable: bool = True,
) -> Skeleton:
    """Remove edges that sets of neighbours separate, from the edges given on, those `kept` excepted.

    Raises:
        InvalidInput: alpha is no probability between 0 and 1.
    """
    from cogorch_dagster.causal.discovery.kernels.skeleton import levels

    p = len(adjacent)
    left = adjacent.copy()
    sets, values = np.zeros((p, p, p), dtype=bool), np.full((p, p), np.inf)
    level = levels(
        statistics.correlation,
        first_columns(statistics),
        left,
        kept,
        limit.barred,
        limit.both,
        stable,
        limit.most,
        statistics.effective_rows,
        critical_values(statistics, alpha),
        sets,
        values,
    )
    return Skeleton(left, sets, values, sets.astype(np.float64), level)


def without_possible(
    statistics: SufficientStatistics, found: Skeleton, marks: Marks, kept: Booleans, limit: Limits, alpha: float
) -> Skeleton:
    """Remove edges that a set from Possible-D-SEP of either end separates, in the graph with these marks."""
    from cogorch_dagster.causal.discovery.kernels.constraint_orientation import possible_separators
    from cogorch_dagster.causal.discovery.kernels.skeleton import prune

    left, sets, values = found.adjacent.copy(), found.sets.copy(), found.statistics.copy()
    prune(
        statistics.correlation,
        first_columns(statistics),
        left,
        kept,
        possible_separators(marks),
        limit.barred,
        min(limit.most, MOST_POSSIBLE),
        statistics.effective_rows,
        critical_values(statistics, alpha),
        sets,
        values,
    )
    return Skeleton(left, sets, values, sets.astype(np.float64), found.level)


def canvassed(
    statistics: SufficientStatistics, found: Skeleton, wanted: Booleans, limit: Limits, alpha: float
) -> Skeleton:
    """For each wanted pair, the share of separating sets that each variable is in, and the set of largest p-value.

    Over all sets of neighbours of either variable as large as the search tried (majority rule, Colombo and Maathuis
    2014; PC-Max, Ramsey 2016).

    Args:
        wanted: (p, p), symmetric; pairs without an edge.
    """
    from cogorch_dagster.causal.discovery.kernels.skeleton import reconsider

    sets, values, shares = found.sets.copy(), found.statistics.copy(), found.shares.copy()
    reconsider(
        statistics.correlation,
        first_columns(statistics),
        found.adjacent,
        wanted,
        limit.barred,
        limit.both,
        min(max(found.level, 1), limit.most),
        statistics.effective_rows,
        critical_values(statistics, alpha),
        sets,
        values,
        shares,
    )
    return Skeleton(found.adjacent, sets, values, shares, found.level)


def unshielded(adjacent: Booleans) -> list[tuple[int, int, int]]:
    """Every (a, b, c), a < c, with edges a - b - c and none between a and c."""
    p = len(adjacent)
    found = []
    for b in range(p):
        around = np.flatnonzero(adjacent[b])
        apart = np.triu(~adjacent[np.ix_(around, around)], 1)
        found += [(int(around[i]), b, int(around[j])) for i, j in np.argwhere(apart)]
    return found


def with_common_neighbour(adjacent: Booleans) -> Booleans:
    """(p, p); pairs without an edge that have a neighbour in common."""
    shared = (adjacent.astype(np.float32) @ adjacent.astype(np.float32)) > 0
    return np.asarray(shared & ~adjacent & ~np.eye(len(adjacent), dtype=bool))


def colliders(found: Skeleton, share: float) -> list[tuple[int, int, int]]:
    """Unshielded triples whose middle is in less than this share of the sets that separate the ends."""
    return [(a, b, c) for a, b, c in unshielded(found.adjacent) if found.shares[a, c, b] < share]
