"""Equivalence classes of graphs without hidden causes: the graphs that an effect has to be judged in.

The total effect needs no more than the directions at the treatment (IDA: Maathuis, Kalisch and Buehlmann 2009; with
knowledge: Perkovic, Kalisch and Maathuis 2017); other effects need whole members of the class.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from cogorch_dagster.causal.effects.identification.admg import bits
from cogorch_dagster.causal.effects.identification.partial import PossibleCauses
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks
from cogorch_dagster.causal.graphs.separation import is_acyclic

MOST_NEIGHBOURS = 10
MOST_MEMBERS = 200


def deciding_edges(graph: Graph, treatment: int, outcome: int) -> list[int]:
    """Neighbours v of the treatment, direction unknown, through which it may cause the outcome.

    Where there are none, the effect is the same function of the data in all members (amenability, Perkovic 2020).
    """
    possible = PossibleCauses.of(graph)
    reaching = possible.ancestors(1 << outcome, ~(1 << treatment))
    return [int(v) for v in np.flatnonzero(graph.undirected[treatment]) if reaching >> int(v) & 1]


def local_members(graph: Graph, treatment: int) -> Iterator[Booleans]:
    """One DAG for each way to direct the edges at the treatment that occurs in the class; (p, p).

    Raises:
        ValueError: more than `MOST_NEIGHBOURS` undirected edges at the treatment.
    """
    around = np.flatnonzero(graph.undirected[treatment])
    if len(around) > MOST_NEIGHBOURS:
        raise ValueError("too many undirected edges")
    parents = np.flatnonzero(graph.directed[:, treatment])
    for size in range(len(around) + 1):
        for chosen in combinations(around.tolist(), size):
            # Two parents that are not adjacent would be a collider that the class does not have.
            both = [*chosen, *parents.tolist()]
            if any(not graph.marks[a, b] for a in chosen for b in both if a != b):
                continue
            marks = graph.marks.copy()
            marks[treatment, around] = Mark.ARROW
            marks[chosen, treatment], marks[treatment, chosen] = Mark.ARROW, Mark.TAIL
            found = _extension(marks, graph)
            if found is not None:
                yield found


def member(graph: Graph) -> Booleans | None:
    """Any DAG of the class, (p, p); None where the class is empty."""
    return _extension(graph.marks, graph)


def members(graph: Graph) -> list[Booleans] | None:
    """All DAGs of the class, each (p, p); None where there are more than `MOST_MEMBERS`."""
    found: list[Booleans] = []
    todo: list[Marks] = [graph.marks]
    while todo:
        marks = todo.pop()
        undirected = np.argwhere(np.triu(_undirected(marks)))
        if not len(undirected):
            directed = _directed(marks)
            if is_acyclic(directed) and _same_colliders(directed, graph):
                found.append(directed)
            if len(found) > MOST_MEMBERS:
                return None
            continue
        i, j = undirected[0]
        for a, b in ((j, i), (i, j)):
            required = np.zeros_like(graph.directed)
            required[a, b] = True
            closed = meek(marks, required)
            # Only branches that hold a member are followed.
            if _extension(closed, graph) is not None:
                todo.append(closed)
    return found


def relevant(graph: Graph, wanted: int) -> Graph:
    """The graph over the possible ancestors of a set: what lies outside causes none of it in any member."""
    kept = list(bits(PossibleCauses.of(graph).ancestors(wanted)))
    return Graph(tuple(graph.names[each] for each in kept), graph.marks[np.ix_(kept, kept)], graph.kind)


def _extension(marks: Marks, graph: Graph) -> Booleans | None:
    found = consistent_extension(marks)
    return found if found is not None and _same_colliders(found, graph) else None


def _same_colliders(directed: Booleans, graph: Graph) -> bool:
    return np.array_equal(_collider_ends(directed, graph.skeleton), _collider_ends(graph.directed, graph.skeleton))


def _collider_ends(directed: Booleans, skeleton: Booleans) -> Booleans:
    """Edges i -> k that have a j -> k with i and j apart; graphs of one skeleton share them or differ in a collider."""
    apart = (~skeleton & ~np.eye(len(directed), dtype=bool)).astype(np.float32)
    return np.asarray(directed & ((apart @ directed.astype(np.float32)) > 0))


def _directed(marks: Marks) -> Booleans:
    return Graph(tuple(map(str, range(len(marks)))), marks, "cpdag").directed


def _undirected(marks: Marks) -> Booleans:
    return Graph(tuple(map(str, range(len(marks)))), marks, "cpdag").undirected
