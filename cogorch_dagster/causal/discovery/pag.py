"""Partial ancestral graphs: orienting edges where causes may be hidden, and the graph that a true one would give.

An arrowhead at j says that j is no cause of i, a tail that it is one, a circle that the data leave it open.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from cogorch_dagster.causal.discovery.constraint_skeleton import later, unshielded
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import ancestors, m_separated


def known_marks(adjacent: Booleans, knowledge: Knowledge, names: Sequence[str]) -> Marks:
    """Circles at both ends of every edge, but for what knowledge says.

    Where i -> j is forbidden, by itself or by the tiers, i is taken for no cause of j at all and the edge has an
    arrowhead at i; forbidden both ways it is i <-> j. A required edge has its tail and its arrowhead.
    """
    marks = np.where(adjacent, np.int8(Mark.CIRCLE), np.int8(Mark.NONE))
    forbidden = knowledge.forbidden_matrix(names) | later(knowledge, names)
    required = knowledge.required_matrix(names) & adjacent
    marks[forbidden.T & adjacent] = Mark.ARROW
    marks[required.T] = Mark.TAIL
    marks[required] = Mark.ARROW
    return marks


def collide(marks: Marks, colliders: Iterable[tuple[int, int, int]]) -> None:
    """R0: make a *-> b <-* c of each (a, b, c), in place, unless knowledge has a tail there."""
    for a, b, c in colliders:
        if marks[a, b] != Mark.TAIL and marks[c, b] != Mark.TAIL:
            marks[a, b] = marks[c, b] = Mark.ARROW


def closed(marks: Marks, sets: Booleans, *, selection: bool = False) -> Marks:
    """The marks with all that follows by R1 to R4 and R8 to R10, and with `selection` by R5 to R7 (Zhang 2008).

    Args:
        sets: (p, p, p), `sets[x, y]` the members of a set that separates x and y, for those without an edge.
        selection: whether the rows may have been selected by effects of the variables.
    """
    from cogorch_dagster.causal.discovery.kernels.constraint_orientation import close

    result = marks.copy()
    close(result, sets, selection)
    return result


def mag_of(graph: Graph, observed: Sequence[str] | None = None) -> Graph:
    """The maximal ancestral graph over the observed variables of a DAG or an ADMG (Richardson and Spirtes 2002).

    Two variables are joined when their observed ancestors do not separate them; an end has a tail when the variable
    there is an ancestor of the other.
    """
    names = tuple(graph.names if observed is None else observed)
    places = [graph.index(name) for name in names]
    reach = ancestors(graph.directed)
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    for i, x in enumerate(places):
        for j, y in enumerate(places[:i]):
            if not m_separated(graph.marks, x, y, [z for z in places if z not in {x, y} and reach[z, [x, y]].any()]):
                marks[i, j] = Mark.TAIL if reach[y, x] else Mark.ARROW
                marks[j, i] = Mark.TAIL if reach[x, y] else Mark.ARROW
    return Graph(names, marks, "admg")


def pag_of(mag: Graph, knowledge: Knowledge | None = None, *, selection: bool = False) -> Graph:
    """The class of a maximal ancestral graph: the marks that all its members have; with knowledge, what follows too."""
    sets = separating_ancestors(mag)
    into = mag.marks == Mark.ARROW
    marks = known_marks(mag.skeleton, knowledge or Knowledge(), mag.names)
    collide(marks, ((a, b, c) for a, b, c in unshielded(mag.skeleton) if into[a, b] and into[c, b]))
    return Graph(mag.names, closed(marks, sets, selection=selection), "pag")


def separating_ancestors(mag: Graph) -> Booleans:
    """(p, p, p); for x and y without an edge, the ancestors of either, which separate them in such a graph."""
    reach = ancestors(mag.directed)
    sets = np.asarray(reach.T[:, None, :] | reach.T[None, :, :])
    places = np.arange(len(mag.names))
    sets[places, :, places] = False
    sets[:, places, places] = False
    return sets
