"""Changing one edge of an ancestral graph, and whether it is one after that."""

from cogorch_dagster.causal.data.sufficient import Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.graphs.graph import Booleans, Marks

APART, FORTH, BACK, BOTH = 0, 1, 2, 3
"""States of a pair i, j: no edge, i -> j, i <- j, i <-> j."""

_ARROW, _TAIL = 2, 3


@compiled
def put(marks: Marks, i: int, j: int, state: int) -> None:
    """Give a pair a state."""
    if state == APART:
        marks[i, j] = marks[j, i] = 0
    else:
        marks[i, j] = _TAIL if state == BACK else _ARROW
        marks[j, i] = _TAIL if state == FORTH else _ARROW


@compiled
def state_of(marks: Marks, i: int, j: int) -> int:
    if marks[i, j] == 0:
        return APART
    if marks[i, j] == _TAIL:
        return BACK
    return FORTH if marks[j, i] == _TAIL else BOTH


@compiled
def reach(marks: Marks, source: int, backwards: bool, found: Booleans, stack: Integers) -> None:
    """Find the descendants of a variable, or its ancestors, and itself."""
    found[:] = False
    found[source] = True
    stack[0], top = source, 1
    while top > 0:
        top -= 1
        here = stack[top]
        for v in range(len(marks)):
            if found[v]:
                continue
            a, b = (v, here) if backwards else (here, v)
            if marks[a, b] == _ARROW and marks[b, a] == _TAIL:
                found[v] = True
                stack[top] = v
                top += 1


@compiled
def stays(marks: Marks, i: int, j: int, up: Booleans, down: Booleans, stack: Integers) -> bool:
    """Whether the edge between i and j lies on no directed cycle and on none of directed edges and one <->.

    `up`, `down` and `stack` are scratch of p, p and p + 1.
    """
    state = state_of(marks, i, j)
    if state == APART:
        return True
    a, b = (j, i) if state == BACK else (i, j)
    reach(marks, a, True, up, stack)
    reach(marks, b, False, down, stack)
    if state == BOTH:
        return not up[b] and not down[a]
    for u in range(len(marks)):
        if not up[u]:
            continue
        if down[u]:
            return False
        for v in range(len(marks)):
            if down[v] and marks[u, v] == _ARROW and marks[v, u] == _ARROW:
                return False
    return True
