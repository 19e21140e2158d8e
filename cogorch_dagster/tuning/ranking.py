"""Which trials of a search are good and which are bad, and what each weighs; of one objective or of several.

By ranks alone, so that the scale of a score is of no matter. Of several objectives the order is by nondomination and
crowding (Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm", section III), and no trial of the
front counts as bad while the front is less than half of all.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.intp]

# Good ones are so many times the root of all.
GOOD = 0.45


def ranking(values: Floats) -> tuple[Ranks, Ranks]:
    """Trials from best to worst, and the rank of each: 0 for those that none surpasses; equal ones share it.

    Of one objective by its value; of several by rank of nondomination, and within one those first that have most room
    around them.

    Args:
        values: [trials, objectives], finite, more is better.
    """
    if values.shape[1] == 1:
        _, ranks = np.unique(-values[:, 0], return_inverse=True)
        return np.argsort(ranks, kind="stable"), ranks.astype(np.intp)
    ranks = _fronts(values)
    room = np.zeros(len(values))
    for rank in np.unique(ranks):
        room[ranks == rank] = _crowding(values[ranks == rank])
    return np.lexsort((-room, ranks)), ranks


def split(ranks: Ranks) -> int:
    """How many of the trials are good, from their ranks in order: the front wholly, unless it is half of all."""
    front = min(int((ranks == 0).sum()), len(ranks) // 2)
    return max(int(np.ceil(GOOD * np.sqrt(len(ranks)))), front)


def good_weights(ranks: Ranks) -> Floats:
    """Of good trials in order, [trials], of mean 1: falling as the logarithm of the place; equal ranks share theirs.

    As Hansen (2016), equation 49, weighs the parents of CMA-ES.
    """
    count = len(ranks)
    if not count:
        return np.ones(0)
    shared = _shared(np.log(count + 1.0) - np.log(np.arange(1, count + 1)), ranks)
    return np.asarray(shared / shared.mean())


def bad_weights(ranks: Ranks) -> Floats:
    """Of bad trials in order, [trials], in (0, 1]: rising evenly to the worst, which weighs as a failed one does.

    Else what only just missed being good would drive the search from where it is good. Equal ranks share theirs.
    """
    return _shared(np.arange(1, len(ranks) + 1) / max(len(ranks), 1), ranks)


def _shared(weights: Floats, ranks: Ranks) -> Floats:
    """With the mean of each rank's."""
    _, group = np.unique(ranks, return_inverse=True)
    return np.asarray((np.bincount(group, weights) / np.bincount(group))[group])


def _fronts(values: Floats) -> Ranks:
    """The rank of nondomination of each, from 0: the front of what is left without the fronts before."""
    at_least = np.logical_and.reduce([column[:, None] >= column for column in values.T])
    surpasses = at_least & ~at_least.T
    ranks = np.full(len(values), -1)
    rank, by = 0, surpasses.sum(axis=0)
    while (left := ranks < 0).any():
        front = left & (by == 0)
        ranks[front] = rank
        by = by - surpasses[front].sum(axis=0)
        rank += 1
    return ranks


def _crowding(values: Floats) -> Floats:
    """How far the neighbours of each are apart, over the objectives; infinite at the ends."""
    found = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        inner = column[order]
        extent = inner[-1] - inner[0]
        found[order[[0, -1]]] = np.inf
        if extent > 0:
            found[order[1:-1]] += (inner[2:] - inner[:-2]) / extent
    return found
