"""The FCI algorithm: what tests alone say of causes where some may be hidden (Spirtes, Glymour and Scheines 2000).

Complete orientation rules by Zhang (2008). `guided_fci` begins with a score-based search and errs less.
"""

import numpy as np

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.constraint_skeleton import (
    canvassed,
    colliders,
    later,
    limits,
    search,
    with_common_neighbour,
    without_possible,
)
from cogorch_dagster.causal.discovery.pag import closed, collide, known_marks
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge

_SHARE = 0.5


def fci(
    statistics: SufficientStatistics,
    *,
    alpha: float = 0.01,
    knowledge: Knowledge | None = None,
    stable: bool = True,
    max_condition: int | None = None,
    selection: bool = False,
) -> Graph:
    """The partial ancestral graph that the tests and the knowledge allow.

    The skeleton is that of PC-stable, less the edges that sets from Possible-D-SEP separate. An unshielded triple is
    a collider unless half of the sets of neighbours that separate its ends have its middle in them. Variables of
    later tiers than both of a pair are in none of its sets. A pair forbidden both ways may be i <-> j.

    Args:
        alpha: significance level, above 0 and below 1.
        stable: whether the skeleton is the same in every order of the variables.
        max_condition: most members of a separating set, None for no limit but 4 from Possible-D-SEP.
        selection: whether the rows may have been selected by effects of the variables (R5 to R7).

    Raises:
        InvalidInput: alpha or `max_condition` is out of range, or the knowledge contradicts itself.
    """
    names = statistics.variables
    knowledge = knowledge or Knowledge()
    knowledge.check(names)
    required = knowledge.required_matrix(names)
    kept = required | required.T
    limit = limits(later(knowledge, names), True, max_condition)
    found = search(statistics, ~np.eye(len(names), dtype=bool), kept, limit, alpha, stable=stable)
    found = canvassed(statistics, found, with_common_neighbour(found.adjacent), limit, alpha)
    marks = known_marks(found.adjacent, knowledge, names)
    collide(marks, colliders(found, _SHARE))
    found = without_possible(statistics, found, marks, kept, limit, alpha)
    found = canvassed(statistics, found, with_common_neighbour(found.adjacent), limit, alpha)
    marks = known_marks(found.adjacent, knowledge, names)
    collide(marks, colliders(found, _SHARE))
    return Graph(names, closed(marks, found.sets, selection=selection), "pag")
