"""Best order score search, compiled (Andrews, Ramsey, Sanchez-Romero, Camchong and Kummerfeld 2023, algorithm 1).

Each variable in turn is put where the order scores best, until none moves. The trees of parents outlive restarts.
"""

from typing import Any

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.grow_shrink import NODES, SAME, plant, reset, trace
from cogorch_dagster.causal.graphs.graph import Booleans


@compiled
def search(
    terms: Any, allowed: Booleans, required: Booleans, before: Booleans, orders: Integers, nodes: int = NODES
) -> tuple[Integers, Booleans, float, Floats]:
    """The best order over all starting orders.

    Args:
        terms: of the local scores.
        allowed: (p, p); whether i may be a parent of j.
        required: (p, p); whether i is a parent of j whatever the score. A subset of `before`.
        before: (p, p), transitive; whether i stands before j in every order.
        orders: (restarts, p), each a permutation that respects `before`; overwritten by what each ends in.
        nodes: of all trees together; when they are used up, the trees begin anew.

    Returns:
        the order, its parents (p, p) as a matrix of directed edges, its score, and the scores of all restarts.
    """
    p = len(allowed)
    trees = plant(p, nodes)
    reset(trees, terms, required)
    best, best_score = 0, -np.inf
    scores = np.empty(len(orders))
    for start in range(len(orders)):
        order = orders[start]
        improved = True
        while improved:
            improved = False
            for v in orders[start].copy():
                if _move(trees, terms, allowed, required, before, order, v):
                    improved = True
        scores[start] = _total(trees, terms, allowed, required, order)
        if scores[start] > best_score + SAME:
            best, best_score = start, scores[start]
    order = orders[best].copy()
    return order, _parents(trees, terms, allowed, required, order), best_score, scores


@compiled
def _move(
    trees: Any, terms: Any, allowed: Booleans, required: Booleans, before: Booleans, order: Integers, v: int
) -> bool:
    """Put v where the score of the order is best, and say whether it moved."""
    p = len(order)
    at, low, high = _places(before, order, v)
    if high - low < 2:
        return False
    prefix = np.zeros(p, np.bool_)
    for place in range(low):
        prefix[order[place]] = True
    totals = np.empty(high + 1)
    running = 0.0
    for place in range(low, high + 1):
        totals[place] = running + trees.shrunk[trace(trees, terms, allowed, required, v, prefix)]
        if place < high and order[place] != v:
            running += trees.shrunk[trace(trees, terms, allowed, required, order[place], prefix)]
            prefix[order[place]] = True
    prefix[v] = True
    running = 0.0
    best = high
    for place in range(high - 1, low - 1, -1):
        w = order[place]
        if w != v:
            prefix[w] = False
            running += trees.shrunk[trace(trees, terms, allowed, required, w, prefix)]
        totals[place] += running
        if totals[place] > totals[best]:
            best = place
    if totals[at] + SAME >= totals[best]:
        return False
    for place in range(at, best - 1):
        order[place] = order[place + 1]
    for place in range(at, best, -1):
        order[place] = order[place - 1]
    order[best if best < at else best - 1] = v
    return True


@compiled
def _places(before: Booleans, order: Integers, v: int) -> tuple[int, int, int]:
    """Where v stands, and from where to before where it may."""
    at, low, high = 0, 0, len(order)
    for place in range(len(order)):
        w = order[place]
        if w == v:
            at = place
        elif before[w, v]:
            low = place + 1
        elif before[v, w] and high == len(order):
            high = place
    return at, low, high


@compiled
def _total(trees: Any, terms: Any, allowed: Booleans, required: Booleans, order: Integers) -> float:
    prefix = np.zeros(len(order), np.bool_)
    total = 0.0
    for v in order:
        total += trees.shrunk[trace(trees, terms, allowed, required, v, prefix)]
        prefix[v] = True
    return total


@compiled
def _parents(trees: Any, terms: Any, allowed: Booleans, required: Booleans, order: Integers) -> Booleans:
    p = len(order)
    prefix = np.zeros(p, np.bool_)
    directed = np.zeros((p, p), np.bool_)
    for v in order:
        node = trace(trees, terms, allowed, required, v, prefix)
        for x in range(p):
            directed[x, v] = (trees.kept[node, x >> 6] >> np.uint64(x & 63)) & np.uint64(1)
        prefix[v] = True
    return directed
