"""Edges that may point one way or the other: what may cause what in a class of graphs (CPDAG, MPDAG, PAG)."""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.effects.identification.admg import Set, as_set, closure
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark


@dataclass(frozen=True)
class PossibleCauses:
    """`into[j]`: each i for which i -> j in some graph, by the marks of this edge alone; `out` the other way."""

    out: tuple[Set, ...]
    into: tuple[Set, ...]

    @classmethod
    def of(cls, graph: Graph) -> "PossibleCauses":
        possible = possibly_directed(graph)
        return cls(_sets(possible), _sets(possible.T))

    def descendants(self, members: Set, within: Set = -1) -> Set:
        """What possibly directed paths in `within` lead to: at least what the members cause in some graph."""
        return closure(self.out, members, within)

    def ancestors(self, members: Set, within: Set = -1) -> Set:
        """What possibly directed paths in `within` lead from."""
        return closure(self.into, members, within)


def possibly_directed(graph: Graph) -> Booleans:
    """(p, p); whether the edge between i and j may be i -> j."""
    if graph.kind == "pag":
        no_head_at_i = (graph.marks.T == Mark.CIRCLE) | (graph.marks.T == Mark.TAIL)
        return np.asarray(no_head_at_i & ((graph.marks == Mark.CIRCLE) | (graph.marks == Mark.ARROW)))
    return np.asarray(graph.directed | graph.undirected)


def _sets(matrix: Booleans) -> tuple[Set, ...]:
    return tuple(as_set(np.flatnonzero(row).tolist()) for row in matrix)
