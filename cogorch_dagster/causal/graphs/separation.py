"""Ancestors, orders and separation in graphs with directed and bidirected edges.

m-separation in an acyclic directed mixed graph (Richardson 2003), which is d-separation where no edge is bidirected.
"""

from collections.abc import Iterable

import numpy as np

from cogorch_dagster.causal.graphs.graph import Booleans, Mark, Marks


def ancestors(directed: Booleans) -> Booleans:
    """(p, p); whether there is a directed path from i to j, of any length, 0 included."""
    reach = directed | np.eye(len(directed), dtype=bool)
    for _ in range(max(len(directed) - 1, 1).bit_length()):
        reach = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
    return np.asarray(reach)


def possible_ancestors(marks: Marks) -> Booleans:
    """(p, p); as `ancestors`, where an edge may lead on unless there is an arrowhead at its beginning."""
    return ancestors(np.asarray((marks > 0) & (marks.T != Mark.ARROW)))


def is_acyclic(directed: Booleans) -> bool:
    reach = ancestors(directed)
    return not bool((reach & reach.T & ~np.eye(len(directed), dtype=bool)).any() or directed.diagonal().any())


def topological_order(directed: Booleans) -> list[int]:
    """Causes before effects, the first variables first where the graph leaves it open.

    Raises:
        ValueError: the graph has a directed cycle.
    """
    left = directed.sum(axis=0)
    done = np.zeros(len(directed), dtype=bool)
    order: list[int] = []
    for _ in range(len(directed)):
        ready = np.flatnonzero(~done & (left == 0))
        if not len(ready):
            raise ValueError("the graph has a directed cycle")
        first = int(ready[0])
        order.append(first)
        done[first] = True
        left = left - directed[first]
    return order


def m_separated(marks: Marks, x: int | Iterable[int], y: int | Iterable[int], z: Iterable[int] = ()) -> bool:
    """Whether Z separates every variable of X from every one of Y.

    By search over (variable, how it was entered), which takes time linear in the edges (Koller and Friedman 2009,
    algorithm 3.1, here with bidirected edges).

    Args:
        marks: of a DAG or an ADMG.
        x, y, z: indices; X and Y without those in Z.
    """
    sources, targets, given = _set(x), _set(y), _set(z)
    directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
    opened: Booleans = np.asarray(ancestors(directed)[:, sorted(given)].any(axis=1))
    into = marks == Mark.ARROW
    # Entered through an arrowhead at the variable or not; a source may be left in every way.
    todo = [(v, int(w)) for v in sources - given for w in np.flatnonzero(marks[v])]
    seen: set[tuple[int, bool]] = set()
    while todo:
        came, here = todo.pop()
        head = bool(into[came, here])
        if (here, head) in seen:
            continue
        seen.add((here, head))
        if here in targets and here not in given:
            return False
        for after in np.flatnonzero(marks[here]):
            collider = head and bool(into[after, here])
            if opened[here] if collider else here not in given:
                todo.append((here, int(after)))
    return not (sources & targets - given)


def _set(given: int | Iterable[int]) -> set[int]:
    return {given} if isinstance(given, int | np.integer) else {int(each) for each in given}
