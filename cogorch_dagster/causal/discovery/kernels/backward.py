"""The best deletion of greedy equivalence search, compiled (Chickering 2002, definition 13 and corollary 18)."""

from typing import Any

import numpy as np

from cogorch_dagster.causal.data.sufficient import Integers
from cogorch_dagster.causal.discovery.kernels.compiled import compiled
from cogorch_dagster.causal.discovery.kernels.local_scores import local_score
from cogorch_dagster.causal.graphs.graph import Booleans

_MOST_SHARED = 12


@compiled
def best_deletion(
    terms: Any, directed: Booleans, undirected: Booleans, fixed: Booleans
) -> tuple[float, int, int, Integers]:
    """The deletion of an edge x -> y or x -- y of an equivalence class that gains most.

    Args:
        directed, undirected: (p, p) of the class.
        fixed: (p, p); x -> y is not to be deleted.

    Returns:
        what is gained, 0 if no deletion gains; x and y; and the shared neighbours H towards which x and y point then.
    """
    p = len(directed)
    gain, best_x, best_y = 0.0, -1, -1
    best = np.empty(0, np.int64)
    shared, parents = np.empty(p, np.int64), np.empty(p, np.int64)
    for y in range(p):
        for x in range(p):
            if fixed[x, y] or fixed[y, x] or not (directed[x, y] or undirected[x, y]):
                continue
            count = 0
            for z in range(p):
                if undirected[z, y] and (directed[x, z] or directed[z, x] or undirected[x, z]):
                    shared[count] = z
                    count += 1
            for kept in range(1 << min(count, _MOST_SHARED)):
                if not _is_clique(directed, undirected, shared, count, kept):
                    continue
                size = 0
                for z in range(p):
                    if directed[z, y] and z != x:
                        parents[size] = z
                        size += 1
                for k in range(count):
                    if kept >> k & 1:
                        parents[size] = shared[k]
                        size += 1
                before = local_score(terms, y, np.append(parents[:size], x))
                found = local_score(terms, y, parents[:size]) - before
                if found > gain + 1e-7:
                    gain, best_x, best_y = found, x, y
                    best = np.array([shared[k] for k in range(count) if not kept >> k & 1], dtype=np.int64)
    return gain, best_x, best_y, best


@compiled
def _is_clique(directed: Booleans, undirected: Booleans, shared: Integers, count: int, kept: int) -> bool:
    for a in range(count):
        for b in range(a):
            if not (kept >> a & 1 and kept >> b & 1):
                continue
            i, j = shared[a], shared[b]
            if not (directed[i, j] or directed[j, i] or undirected[i, j]):
                return False
    return True
