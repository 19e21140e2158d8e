"""Best order score search: the order of the variables whose grow-shrunk parents score best, and its equivalence class.

Andrews, Ramsey, Sanchez-Romero, Camchong and Kummerfeld 2023 (Fast Scalable and Accurate Discovery of DAGs Using the
Best Order Score Search and Grow-Shrink Trees). The search over orders is restarted, and a backward equivalence search
ends it. Knowledge holds throughout: tiers and required edges in the order, forbidden edges in the choice of parents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cogorch_dagster.causal.discovery.score import Evidence, terms_of, total_score
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, cpdag, marks_of, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import ancestors, is_acyclic, topological_order
from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    from cogorch_dagster.causal.data.sufficient import Integers
    from cogorch_dagster.causal.discovery.kernels.local_scores import Terms

PENALTY = 2.0
RESTARTS = 10
_MOST_RESTARTS = 10_000
_MOST_DELETIONS = 1000


@dataclass(frozen=True)
class BossResult:
    """What the search found.

    Attributes:
        graph: the equivalence class under the knowledge (CPDAG or MPDAG).
        dag: a member of it.
        score: of every member; higher is better.
        scores: what the search over orders ended at, from each start.
    """

    graph: Graph
    dag: Graph
    score: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Constraints:
    """Knowledge as the search takes it, (p, p) each.

    Attributes:
        allowed: i may be a parent of j.
        required: i is one.
        before: i stands before j in every order; transitive.
    """

    allowed: Booleans
    required: Booleans
    before: Booleans


def boss(
    evidence: Evidence,
    *,
    knowledge: Knowledge | None = None,
    restarts: int = RESTARTS,
    penalty: float = PENALTY,
    sample: float | None = None,
    seed: int = 0,
) -> BossResult:
    """The best equivalence class over all starts; the first start is the order of the variables.

    Args:
        evidence: correlations, or counts of discrete rows.
        restarts: from how many orders, 1 to 10,000.
        penalty: times the penalty of the BIC.
        sample: for counts: the BDeu with this equivalent sample size instead of the BIC.
        seed: of the other starting orders.

    Raises:
        InvalidInput: an argument out of its range, or contradictory knowledge.
    """
    from cogorch_dagster.causal.discovery.kernels.boss import search

    if not 1 <= restarts <= _MOST_RESTARTS:
        raise InvalidInput(f"{restarts} restarts must lie between 1 and {_MOST_RESTARTS:,}")
    names = evidence.variables
    terms = terms_of(evidence, penalty, sample)
    held = constraints_of(knowledge or Knowledge(), names)
    orders = starting_orders(held.before, restarts, seed)
    _, directed, score, scores = search(terms, held.allowed, held.required, held.before, orders)
    directed, score = _without_superfluous(terms, held, directed, score)
    graph = Graph(names, cpdag(directed, held.required, ~held.allowed), "cpdag")
    return BossResult(graph, Graph(names, marks_of(directed), "dag"), score, tuple(float(each) for each in scores))


def constraints_of(knowledge: Knowledge, names: tuple[str, ...]) -> Constraints:
    """The knowledge about these variables.

    Raises:
        InvalidInput: contradictory knowledge.
    """
    knowledge.check(names)
    required = knowledge.required_matrix(names)
    tier = {name: number for number, members in enumerate(knowledge.tiers) for name in members}
    at = np.array([tier.get(name, -1) for name in names])
    before = ancestors(required | ((at[:, None] >= 0) & (at[:, None] < at[None, :])))
    np.fill_diagonal(before, False)
    if not is_acyclic(before):
        raise InvalidInput("required edges lead from a later tier to an earlier one; take one of them out")
    return Constraints(~knowledge.forbidden_matrix(names), required, before)


def starting_orders(before: Booleans, restarts: int, seed: int) -> Integers:
    """(restarts, p) orders that respect `before`, all but the first random."""
    rng = np.random.default_rng(seed)
    p = len(before)
    orders = np.empty((restarts, p), dtype=np.int64)
    for start in range(restarts):
        shuffled = np.arange(p) if start == 0 else rng.permutation(p)
        if before.any():
            shuffled = shuffled[topological_order(before[np.ix_(shuffled, shuffled)])]
        orders[start] = shuffled
    return orders


def _without_superfluous(terms: Terms, held: Constraints, directed: Booleans, score: float) -> tuple[Booleans, float]:
    """Backward equivalence search: delete edges one by one while the score rises."""
    from cogorch_dagster.causal.discovery.kernels.backward import best_deletion

    for _ in range(_MOST_DELETIONS):
        marks = cpdag(directed, held.required, ~held.allowed)
        arrows, lines = marks == Mark.ARROW, (marks == Mark.TAIL) & (marks.T == Mark.TAIL)
        gain, x, y, towards = best_deletion(terms, arrows, lines, held.required)
        if gain <= 0:
            break
        smaller = consistent_extension(meek(_deleted(marks, x, y, towards), held.required, ~held.allowed))
        # Knowledge may leave no member, or one that is not what the deletion promised.
        if smaller is None or (smaller & ~held.allowed).any():
            break
        found = total_score(terms, smaller)
        if found <= score:
            break
        directed, score = smaller, found
    return directed, score


def _deleted(marks: Marks, x: int, y: int, towards: Integers) -> Marks:
    result = marks.copy()
    result[x, y] = result[y, x] = 0
    for h in towards:
        for end in (x, y):
            if result[end, h] == result[h, end] == Mark.TAIL:
                result[end, h] = Mark.ARROW
    return result
