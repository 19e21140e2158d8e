"""Two versions of a graph held against each other: which edges came, went or turned, and whether by more than chance.

An edge that appears in one of two graphs may have been in doubt in both. What counts is how far its probability moved,
which each version has from its own bootstrap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.graphs.graph import Edge, Graph, Mark
from cogorch_dagster.causal.versions.version import CausalVersion

# An edge was there, or was not, beyond doubt.
SURE, ABSENT = 0.9, 0.1


@dataclass(frozen=True)
class EdgeChange:
    """A pair of variables whose edge differs.

    Attributes:
        before, after: the edge as text, None where there is none.
        probability_before, probability_after: that the two are joined.
        sure: the bootstrap of one version excludes what the other one found.
    """

    a: str
    b: str
    before: str | None
    after: str | None
    probability_before: float
    probability_after: float
    sure: bool


@dataclass(frozen=True)
class Comparison:
    """Two versions over the variables that both have.

    Attributes:
        changes: of edges, sure ones first, then by how far the probability moved.
        came, went: variables that only the newer, only the older has.
        distance: structural Hamming distance.
        pairs: that were compared.
        alike: both were found in the same way; otherwise edges may differ for that alone.
    """

    old: str
    new: str
    changes: tuple[EdgeChange, ...]
    came: tuple[str, ...]
    went: tuple[str, ...]
    distance: int
    pairs: int
    alike: bool

    @property
    def stable(self) -> bool:
        """No edge changed beyond what the bootstrap of either version leaves open."""
        return not any(each.sure for each in self.changes)

    @property
    def verdict(self) -> str:
        """In a few words."""
        otherwise = "" if self.alike else " (found with other settings, knowledge or buckets)"
        if not self.changes:
            return f"the same edges{otherwise}"
        sure = sum(each.sure for each in self.changes)
        told = f"{sure} of them for sure" if sure else "none of them for sure"
        return f"{len(self.changes)} of {self.pairs} pairs differ, {told}{otherwise}"


def compared(old: CausalVersion, new: CausalVersion) -> Comparison:
    """What changed from one version to a newer one."""
    names = [name for name in new.graph.names if name in old.graph.names]
    changes = []
    for place, a in enumerate(names):
        for b in names[place + 1 :]:
            before, after = edge_between(old.graph, a, b), edge_between(new.graph, a, b)
            if _text(before) != _text(after):
                changes.append(_change(old, new, a, b, before, after))
    changes.sort(
        key=lambda each: (not each.sure, -abs(each.probability_after - each.probability_before), each.a, each.b)
    )
    return Comparison(
        old=old.digest,
        new=new.digest,
        changes=tuple(changes),
        came=tuple(name for name in new.graph.names if name not in old.graph.names),
        went=tuple(name for name in old.graph.names if name not in new.graph.names),
        distance=len(changes),
        pairs=len(names) * (len(names) - 1) // 2,
        alike=(old.settings, old.given, old.width_s) == (new.settings, new.given, new.width_s),
    )


def edge_between(graph: Graph, a: str, b: str) -> Edge | None:
    """The edge of two variables, a directed one from its cause on; None where there is none."""
    if not graph.adjacent(a, b):
        return None
    return next(edge for edge in graph.edges() if {edge.a, edge.b} == {a, b})


def _change(
    old: CausalVersion, new: CausalVersion, a: str, b: str, before: Edge | None, after: Edge | None
) -> EdgeChange:
    was, now = (_probability(each, each.probabilities.adjacent, a, b) for each in (old, new))
    # The direction that one version found is the opposite of what the other is sure of.
    turned = _against(before, new) or _against(after, old)
    moved = (was >= SURE and now <= ABSENT) or (was <= ABSENT and now >= SURE)
    return EdgeChange(a, b, _text(before), _text(after), was, now, bool(moved or turned))


def _text(edge: Edge | None) -> str | None:
    return None if edge is None else edge.text


def _against(edge: Edge | None, other: CausalVersion) -> bool:
    """Whether another version is sure of the opposite of a directed edge."""
    if edge is None or (edge.at_a, edge.at_b) != (Mark.TAIL, Mark.ARROW):
        return False
    return _probability(other, other.probabilities.directed, edge.b, edge.a) >= SURE


def _probability(version: CausalVersion, matrix: NDArray[np.float64], a: str, b: str) -> float:
    return float(matrix[version.graph.index(a), version.graph.index(b)])
