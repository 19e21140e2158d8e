"""Variables that are set together: they depend on each other, though neither causes the other.

Shares of arms and parameters of one version are such. A graph without an edge between them would say that they are
independent, and then that an effect of one needs no adjustment for the other; a tie says that they share a cause.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge

Floats = NDArray[np.float64]
Tie = tuple[str, str]

ALPHA = 0.01


def ties(
    graph: Graph,
    knowledge: Knowledge,
    columns: Sequence[Sequence[int]],
    covariance: Floats,
    effective_rows: float,
) -> tuple[Tie, ...]:
    """Pairs of which neither may cause the other, and which depend on each other given the parents of both.

    Args:
        columns: of each variable of the graph, in the covariance (q, q); a discrete variable has several.
        effective_rows: independent rows behind the covariance.
    """
    from scipy.special import ndtri

    forbidden = knowledge.forbidden_matrix(graph.names)
    pairs = np.argwhere(np.triu(forbidden & forbidden.T & ~graph.skeleton, 1))
    found = []
    for i, j in pairs:
        given = [int(k) for k in np.flatnonzero(graph.directed[:, i] | graph.directed[:, j])]
        held = [k for variable in given for k in columns[variable]]
        r = _largest(covariance, columns[i], columns[j], held)
        degrees = max(effective_rows - len(held) - 3.0, 1.0)
        # Several columns are several tests.
        level = ALPHA / (len(columns[i]) * len(columns[j]))
        if np.arctanh(min(r, 1 - 1e-12)) * degrees**0.5 > -ndtri(level / 2):
            found.append((graph.names[i], graph.names[j]))
    return tuple(found)


def _largest(covariance: Floats, a: Sequence[int], b: Sequence[int], given: Sequence[int]) -> float:
    """The largest partial correlation of a column of one with a column of the other, in absolute value."""
    at = [*a, *b]
    left = covariance[np.ix_(at, at)]
    if given:
        across = covariance[np.ix_(given, at)]
        inner = covariance[np.ix_(given, given)]
        left = left - across.T @ np.linalg.pinv(inner, rcond=1e-10, hermitian=True) @ across
    scale = np.sqrt(np.maximum(np.diag(left), 1e-300))
    between = (left / np.outer(scale, scale))[: len(a), len(a) :]
    return float(np.abs(between).max())
