"""Directed acyclic graphs that an equivalence class stands for, all of them or as many as one can afford."""

import numpy as np

from cogorch_dagster.causal.graphs.equivalence import consistent_extension, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput

# Random orders tried for each member that is wanted, in classes that are too large to list.
_TRIES = 4


def members(graph: Graph, most: int, seed: int) -> tuple[tuple[Booleans, ...], bool]:
    """(p, p) adjacencies of members, a consistent extension first, and whether they are the whole class.

    An undirected edge of a maximally oriented graph can be turned either way; the rules then say what follows (Meek
    1995). Where there are more than `most` members, random turns find some of them.

    Raises:
        InvalidInput: the graph has circles (PAG), a directed cycle, or is a class without a member.
    """
    if graph.kind == "pag":
        raise InvalidInput(
            "a structural model needs a direction for each edge, and a graph of kind pag leaves circles open; "
            "settle them by knowledge and pass a graph of kind admg"
        )
    if not is_acyclic(graph.directed):
        raise InvalidInput("the graph has a directed cycle; a structural model needs an acyclic graph")
    if graph.kind != "cpdag":
        return (graph.directed,), True
    first = consistent_extension(graph.marks)
    if first is None:
        raise InvalidInput("the graph is no equivalence class: none of its members is acyclic without new colliders")
    listed = _listed(meek(graph.marks), most)
    complete = listed is not None
    rest = listed if listed is not None else _sampled(meek(graph.marks), most, seed)
    found = {first.tobytes(): first}
    for each in rest:
        if len(found) < most:
            found.setdefault(each.tobytes(), each)
    return tuple(found.values()), complete


def _listed(marks: Marks, most: int) -> list[Booleans] | None:
    """Every member, or None as soon as there are more than `most`."""
    found: list[Booleans] = []
    todo = [marks]
    while todo:
        here = todo.pop()
        open_edges = np.argwhere(np.triu((here == Mark.TAIL) & (here.T == Mark.TAIL)))
        if not len(open_edges):
            found.append(_directed(here))
        else:
            i, j = (int(k) for k in open_edges[0])
            todo += [_turned(here, i, j), _turned(here, j, i)]
        # Each open graph has a member of its own, so that those waiting count as well.
        if len(found) + len(todo) > most:
            return None
    return found


def _sampled(marks: Marks, most: int, seed: int) -> list[Booleans]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_TRIES * most):
        here = marks
        while len(open_edges := np.argwhere((here == Mark.TAIL) & (here.T == Mark.TAIL))):
            i, j = (int(k) for k in open_edges[rng.integers(len(open_edges))])
            here = _turned(here, i, j)
        found.append(_directed(here))
    return found


def _turned(marks: Marks, i: int, j: int) -> Marks:
    changed = marks.copy()
    changed[i, j] = Mark.ARROW
    return meek(changed)


def _directed(marks: Marks) -> Booleans:
    return np.asarray((marks == Mark.ARROW) & (marks.T == Mark.TAIL))
