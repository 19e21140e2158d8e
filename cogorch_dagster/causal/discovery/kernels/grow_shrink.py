"""Grow-shrink trees, compiled: the parents that growing and shrinking choose for a variable from a set of predecessors.

One tree a variable remembers them (Andrews et al. 2023, algorithms 2 to 4), so that most predecessors cost a walk of a
few steps. Not here: the search over orders (`boss`).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.local_scores import grow, local_score
from cogorch_dagster.causal.graphs.graph import Booleans

SAME = 1e-7
"""Scores that differ by less are equal."""

NODES = 1 << 17

_CHOICES_A_NODE = 8


class Trees(NamedTuple):
    """Grow-shrink trees in arrays; node v < p is the root of variable v.

    Attributes:
        used: (2,) nodes and choices in use.
        grown: (nodes,) score of the parents on the way to a node.
        shrunk: (nodes,) score after shrinking, NaN before it is computed.
        kept: (nodes, words) bits of the parents that shrinking keeps.
        first, choices: (nodes,) the node's choices, first -1 before it is grown.
        variable, child, score: (choices,) a parent that improves the score, best first, its node (-1: none yet) and
            the score with it.
    """

    used: Integers
    grown: Floats
    shrunk: Floats
    kept: NDArray[np.uint64]
    first: NDArray[np.int32]
    choices: NDArray[np.int32]
    variable: NDArray[np.int32]
    child: NDArray[np.int32]
    score: Floats


@compiled
def plant(p: int, nodes: int) -> Any:
    """Empty trees with room for so many nodes, and for a few walks at the least."""
    words = (p + 63) // 64
    nodes = max(nodes, 4 * p)
    choices = max(_CHOICES_A_NODE * nodes, 4 * p * p)
    return Trees(
        np.zeros(2, np.int64),
        np.empty(nodes),
        np.empty(nodes),
        np.empty((nodes, words), np.uint64),
        np.empty(nodes, np.int32),
        np.empty(nodes, np.int32),
        np.empty(choices, np.int32),
        np.empty(choices, np.int32),
        np.empty(choices),
    )


@compiled
def reset(trees: Any, terms: Any, required: Booleans) -> None:
    """Roots alone, each with the required parents."""
    trees.used[:] = 0
    path = np.empty(len(required), np.int64)
    for v in range(len(required)):
        depth = _forced(required, v, path)
        _add_node(trees, local_score(terms, v, path[:depth]))


@compiled
def _forced(required: Booleans, v: int, path: Integers) -> int:
    """Write the required parents of v into the path and return how many they are."""
    depth = 0
    for x in range(len(required)):
        if required[x, v]:
            path[depth] = x
            depth += 1
    return depth


@compiled
def _add_node(trees: Any, score: float) -> int:
    node = int(trees.used[0])
    trees.used[0] += 1
    trees.grown[node] = score
    trees.shrunk[node] = np.nan
    trees.first[node] = -1
    trees.choices[node] = 0
    return node


@compiled
def trace(trees: Any, terms: Any, allowed: Booleans, required: Booleans, v: int, prefix: Booleans) -> int:
    """The node of the parents that growing and shrinking choose for v among the prefix."""
    p = len(prefix)
    if trees.used[0] + p >= len(trees.grown) or trees.used[1] + p * p >= len(trees.variable):
        reset(trees, terms, required)
    path = np.empty(p, np.int64)
    depth = _forced(required, v, path)
    # Of the choices that came first and are not in the prefix, none can come again.
    passed = np.zeros(p, np.bool_)
    node = v
    while True:
        if trees.first[node] < 0:
            _grow_node(trees, terms, allowed, v, node, path[:depth], passed)
        start = trees.first[node]
        found = -1
        for choice in range(start, start + trees.choices[node]):
            x = trees.variable[choice]
            passed[x] = True
            if prefix[x]:
                found = choice
                break
        if found < 0:
            break
        path[depth] = trees.variable[found]
        depth += 1
        if trees.child[found] < 0:
            trees.child[found] = _add_node(trees, trees.score[found])
        node = trees.child[found]
    if np.isnan(trees.shrunk[node]):
        _shrink_node(trees, terms, required, v, node, path[:depth])
    return node


@compiled
def _grow_node(trees: Any, terms: Any, allowed: Booleans, v: int, node: int, path: Integers, passed: Booleans) -> None:
    p = len(passed)
    open_ = np.empty(p, np.bool_)
    for x in range(p):
        open_[x] = allowed[x, v] and not passed[x]
    for x in path:
        open_[x] = False
    scores = np.empty(p)
    grow(terms, v, path, open_, scores)
    start = trees.used[1]
    count = 0
    for x in range(p):
        if scores[x] <= trees.grown[node] + SAME:
            continue
        # Insertion keeps the best first, and the lower number first among equals.
        place = start + count
        while place > start and trees.score[place - 1] < scores[x]:
            trees.score[place] = trees.score[place - 1]
            trees.variable[place] = trees.variable[place - 1]
            place -= 1
        trees.score[place] = scores[x]
        trees.variable[place] = x
        trees.child[start + count] = -1
        count += 1
    trees.first[node] = start
    trees.choices[node] = count
    trees.used[1] += count


@compiled
def _shrink_node(trees: Any, terms: Any, required: Booleans, v: int, node: int, path: Integers) -> None:
    parents, without = path.copy(), np.empty(len(path), np.int64)
    size = len(path)
    best = trees.grown[node]
    while True:
        drop = -1
        # The last to come in improved the score given the others; it cannot go first.
        for k in range(size if size < len(path) else size - 1):
            if required[parents[k], v]:
                continue
            _copy_without(parents, k, size, without)
            score = local_score(terms, v, without[: size - 1])
            if score > best + SAME:
                best, drop = score, k
        if drop < 0:
            break
        _copy_without(parents, drop, size, parents)
        size -= 1
    trees.shrunk[node] = best
    for word in range(trees.kept.shape[1]):
        trees.kept[node, word] = 0
    for x in parents[:size]:
        trees.kept[node, x >> 6] |= np.uint64(1) << np.uint64(x & 63)


@compiled
def _copy_without(source: Integers, place: int, size: int, target: Integers) -> None:
    for k in range(size - 1):
        target[k] = source[k] if k < place else source[k + 1]
