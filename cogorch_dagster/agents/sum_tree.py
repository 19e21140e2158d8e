"""A tree of sums, for drawing an index with a probability proportional to its value, many at once.

Each node has 64 children, so that a million leaves need four levels, and a level is one operation on an array [k, 64]
instead of six steps of a binary tree. Sums are taken anew from the children whenever one of them changes: they do not
drift, and it does no harm when an index is named twice. What the values mean belongs in `replay.py`.
"""

from itertools import pairwise

from torch import Tensor, arange, device, float64, int64, searchsorted, zeros

CHILDREN = 64
# The largest float64 below 1: a target that rounding pushed up to the sum of a node is brought back under it.
BELOW_ONE = 1 - 2**-53


class SumTree:
    """Values of `leaves` indices, float64, at first 0; not negative and finite, which is the caller's affair."""

    def __init__(self, leaves: int, where: device) -> None:
        self.levels: list[Tensor] = []  # leaves first; each padded with zeros to a multiple of CHILDREN
        nodes = leaves
        while not self.levels or nodes > 1:
            groups = -(-nodes // CHILDREN)
            self.levels.append(zeros(groups, CHILDREN, dtype=float64, device=where))
            nodes = groups

    @property
    def total(self) -> Tensor:
        """The sum of all values, float64 []."""
        return self.levels[-1].sum()

    def values(self, at: Tensor) -> Tensor:
        """The values of the indices int64 [k], float64 [k]."""
        return self.levels[0].view(-1)[at]

    def set(self, at: Tensor, values: Tensor) -> None:
        """Give the indices int64 [k] the values float64 [k]; of an index that is named twice, one value counts."""
        self.levels[0].view(-1)[at] = values
        for below, above in pairwise(self.levels):
            at = at // CHILDREN
            above.view(-1)[at] = below[at].sum(-1)

    def set_range(self, start: int, stop: int, value: Tensor) -> None:
        """Give the indices from `start` until before `stop` one value, float64 []."""
        self.levels[0].view(-1)[start:stop] = value
        for below, above in pairwise(self.levels):
            start, stop = start // CHILDREN, (stop - 1) // CHILDREN + 1
            above.view(-1)[start:stop] = below[start:stop].sum(-1)

    def find(self, targets: Tensor) -> Tensor:
        """For each target float64 [k] in [0, total), the index at which the running sum exceeds it, int64 [k].

        An index of value 0 is never found, unless all are 0.
        """
        node = targets.new_zeros(len(targets), dtype=int64)
        rows = arange(len(targets), device=targets.device)
        for level in reversed(self.levels):
            # Whichever is less to add up: all groups of the level, or those asked for.
            sums = level.cumsum(-1)[node] if len(level) < len(targets) else level[node].cumsum(-1)
            targets = targets.minimum(sums[:, -1] * BELOW_ONE)
            child = searchsorted(sums, targets[:, None], right=True)[:, 0].clamp_(max=CHILDREN - 1)
            targets = targets - sums[rows, child - 1].where(child > 0, 0.0)
            node = node * CHILDREN + child
        return node
