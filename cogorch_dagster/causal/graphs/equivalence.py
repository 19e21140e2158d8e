"""Equivalence classes of directed acyclic graphs: Meek's rules, the class of a graph, and a member of a class.

Knowledge of edges that must or must not be makes a class smaller; what remains is a maximally oriented graph (MPDAG).
"""

import numpy as np

from cogorch_dagster.causal.graphs.graph import Booleans, Mark, Marks


def marks_of(directed: Booleans, undirected: Booleans | None = None) -> Marks:
    """Marks of directed edges i -> j and of undirected ones."""
    marks = np.zeros(directed.shape, dtype=np.int8)
    marks[directed] = Mark.ARROW
    marks[directed.T] = Mark.TAIL
    if undirected is not None:
        marks[undirected] = Mark.TAIL
    return marks


def cpdag(directed: Booleans, required: Booleans | None = None, forbidden: Booleans | None = None) -> Marks:
    """Marks of the class of a DAG: skeleton, unshielded colliders, and what follows (Verma and Pearl 1990, Meek 1995).

    Args:
        directed: (p, p), acyclic.
        required, forbidden: (p, p); i -> j is known to be, or not to be. Edges against it are left as they are.
    """
    skeleton = directed | directed.T
    # i -> k <- j with i and j apart: the edge i -> k takes part in a collider if such a j exists.
    apart = ~skeleton & ~np.eye(len(directed), dtype=bool)
    fixed = directed & ((apart.astype(np.float32) @ directed.astype(np.float32)) > 0)
    undirected = (directed & ~fixed) | (directed & ~fixed).T
    return meek(marks_of(fixed, undirected), required, forbidden)


def meek(marks: Marks, required: Booleans | None = None, forbidden: Booleans | None = None) -> Marks:
    """Marks with every orientation that follows, by the rules R1 to R4 (Meek 1995), knowledge first.

    An undirected edge whose both directions are forbidden stays as it is, and so does one whose both directions follow,
    which happens where the marks contradict one another.
    """
    directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
    undirected = (marks == Mark.TAIL) & (marks.T == Mark.TAIL)
    other = np.where(directed | directed.T | undirected, 0, marks)
    known = np.zeros_like(directed)
    if required is not None:
        known |= required & ~required.T
    if forbidden is not None:
        known |= forbidden.T & ~forbidden
    while True:
        for i, j in np.argwhere(known & undirected):
            if undirected[i, j]:
                _orient(directed, undirected, int(i), int(j))
        if not undirected.any():
            break
        follows = _follows(directed, undirected) & undirected
        # What follows in both directions contradicts itself: neither stands, whichever variable comes first.
        follows &= ~follows.T
        if not follows.any():
            break
        for i, j in np.argwhere(follows):
            _orient(directed, undirected, int(i), int(j))
    result = marks_of(directed, undirected)
    result[other > 0] = other[other > 0]
    return result


def consistent_extension(marks: Marks) -> Booleans | None:
    """A DAG of the class, (p, p), or None where it has none (Dor and Tarsi 1992)."""
    directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
    undirected = (marks == Mark.TAIL) & (marks.T == Mark.TAIL)
    result: Booleans = directed.copy()
    # Sets of variables as integers: the search is many small set operations.
    children, neighbours, joined = _as_sets(directed), _as_sets(undirected), _as_sets(marks > 0)
    left = (1 << len(marks)) - 1
    while left:
        for x in range(len(marks)):
            if not left >> x & 1 or children[x] & left:
                continue
            open_ends = [n for n in range(len(marks)) if neighbours[x] & left & 1 << n]
            if all(not joined[x] & left & ~(joined[n] | 1 << n) for n in open_ends):
                result[open_ends, x] = True
                left &= ~(1 << x)
                break
        else:
            return None
    return result


def _as_sets(matrix: Booleans) -> list[int]:
    """Each row as an integer with bit j for column j."""
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(matrix, axis=1, bitorder="little")]


def _orient(directed: Booleans, undirected: Booleans, i: int, j: int) -> None:
    directed[i, j] = True
    undirected[i, j] = undirected[j, i] = False


def _follows(directed: Booleans, undirected: Booleans) -> Booleans:
    """(p, p); edges i -- j that a rule makes i -> j."""
    d, u = directed.astype(np.float32), undirected.astype(np.float32)
    apart = ~(directed | directed.T | undirected)
    np.fill_diagonal(apart, False)
    # R1: k -> i -- j with k and j apart.
    first = (d.T @ apart.astype(np.float32)) > 0
    # R2: i -> k -> j.
    second = (d @ d) > 0
    found = np.asarray(first | second)
    for i, j in np.argwhere(undirected & ~found):
        both = undirected[i] & directed[:, j]
        members = np.flatnonzero(both)
        # R3: i -- k -> j and i -- l -> j with k and l apart.
        if len(members) > 1 and apart[np.ix_(members, members)].any():
            found[i, j] = True
            continue
        # R4: i -- k -> l -> j, with k and j apart, and i and l joined.
        joined = (u[i] > 0) | directed[i] | directed[:, i]
        for k in np.flatnonzero(undirected[i] & apart[:, j]):
            if (directed[k] & directed[:, j] & joined).any():
                found[i, j] = True
                break
    return found
