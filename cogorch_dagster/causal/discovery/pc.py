"""The PC algorithm: edges from tests of conditional independence, directions from colliders (Spirtes et al. 2000).

Order-independent (PC-stable, Colombo and Maathuis 2014), with a majority rule for colliders. It takes it that no
common cause is hidden; where that is in doubt there is `fci`.
"""

import numpy as np

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.constraint_skeleton import (
    Skeleton,
    canvassed,
    colliders,
    limits,
    search,
    with_common_neighbour,
)
from cogorch_dagster.causal.discovery.independence import surprise
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, cpdag, marks_of, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import ancestors, is_acyclic, topological_order

Triple = tuple[int, int, int]

_SHARE = 2 / 3


def pc(
    statistics: SufficientStatistics,
    *,
    alpha: float = 0.01,
    knowledge: Knowledge | None = None,
    stable: bool = True,
    max_condition: int | None = None,
) -> Graph:
    """The equivalence class that the tests and the knowledge allow; its directed edges form no cycle.

    A pair that knowledge forbids both ways has no edge, a required edge is never tested. Sets are drawn from the
    neighbours of either variable that knowledge lets be its causes. An unshielded triple is a collider unless two
    thirds of the sets that separate its ends have its middle in them. Colliders are taken in the order of that share,
    then of the p-value at which the ends separate, then of their names; one that contradicts those before, or
    knowledge, or closes a cycle is passed over. Meek's rules do the rest. With contradictory tests the class may have
    no member (see `with_member`).

    Args:
        alpha: significance level, above 0 and below 1; an edge stays when all p-values are at most this.
        stable: whether the skeleton is the same in every order of the variables.
        max_condition: most members of a separating set, None for no limit.

    Raises:
        InvalidInput: alpha or `max_condition` is out of range, or the knowledge contradicts itself.
    """
    names = statistics.variables
    knowledge = knowledge or Knowledge()
    knowledge.check(names)
    forbidden, required = knowledge.forbidden_matrix(names), knowledge.required_matrix(names)
    barred = forbidden & ~np.eye(len(names), dtype=bool)
    limit = limits(barred, False, max_condition)
    found = search(statistics, ~(forbidden & forbidden.T), required | required.T, limit, alpha, stable=stable)
    found = canvassed(statistics, found, with_common_neighbour(found.adjacent), limit, alpha)
    known = found.adjacent & (required | (forbidden.T & ~forbidden))
    return Graph(names, _oriented(found, known, _ranked(statistics, found), required, forbidden), "cpdag")


def with_member(graph: Graph, knowledge: Knowledge) -> Graph:
    """The graph itself if its class has a member; else the class of a DAG with its skeleton and directed edges.

    What tests that contradict one another leave undirected then follows the order of what they direct.

    Args:
        graph: as `pc` found it with this knowledge.
    """
    if consistent_extension(graph.marks) is not None:
        return graph
    rank = np.argsort(topological_order(graph.directed))
    directed = graph.skeleton & (rank[:, None] < rank[None, :])
    required, forbidden = knowledge.required_matrix(graph.names), knowledge.forbidden_matrix(graph.names)
    return Graph(graph.names, cpdag(directed, required, forbidden), "cpdag")


def _ranked(statistics: SufficientStatistics, found: Skeleton) -> list[Triple]:
    """Colliders, those whose middle is in the fewest separating sets first; equal ones by name, not by place."""
    doubt, names = surprise(statistics, found.statistics), statistics.variables

    def rank(triple: Triple) -> tuple[float, float, str, list[str]]:
        a, b, c = triple
        return float(found.shares[a, c, b]), float(doubt[a, c]), names[b], sorted((names[a], names[c]))

    return sorted(colliders(found, _SHARE), key=rank)


def _oriented(
    found: Skeleton, known: Booleans, triples: list[Triple], required: Booleans, forbidden: Booleans
) -> Marks:
    while True:
        directed, used = _with_colliders(known, triples)
        undirected = found.adjacent & ~directed & ~directed.T
        marks = meek(marks_of(directed, undirected), required, forbidden)
        if is_acyclic((marks == Mark.ARROW) & (marks.T == Mark.TAIL)):
            return marks
        if not used:
            return _without_cycles(found, known)
        triples = used[:-1]


def _without_cycles(found: Skeleton, known: Booleans) -> Marks:
    """The known directions and those without which they would close a cycle; the rest stays open.

    For tests that contradict the knowledge so far that no graph has this skeleton: without colliders.
    """
    directed = known.copy()
    while True:
        undirected = found.adjacent & ~directed & ~directed.T
        follows = undirected & ancestors(directed)
        if not follows.any():
            return marks_of(directed, undirected)
        directed |= follows


def _with_colliders(known: Booleans, triples: list[Triple]) -> tuple[Booleans, list[Triple]]:
    """The known directions and those of colliders, one after the other, that contradict none before; and these."""
    directed = known.copy()
    reach = np.eye(len(known), dtype=bool)
    for i, j in np.argwhere(known):
        reach |= np.outer(reach[:, i], reach[j])
    used = []
    for a, b, c in triples:
        if reach[b, a] or reach[b, c]:
            continue
        used.append((a, b, c))
        for outer in (a, c):
            directed[outer, b] = True
            reach |= np.outer(reach[:, outer], reach[b])
    return directed, used
