"""causal-learn's PC for discrete data, a cross-check of the order search on counts."""

from typing import Any

import numpy as np

from cogorch_dagster.causal.discovery.score import DiscreteCounts
from cogorch_dagster.causal.graphs.graph import Graph, Mark, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge


def pc_discrete(counts: DiscreteCounts, *, alpha: float = 0.01, knowledge: Knowledge | None = None) -> Graph:
    """The class that PC with the G² test finds; of kind pag where tests contradict one another (a <-> b).

    Raises:
        InvalidInput: contradictory knowledge.
    """
    from causallearn.search.ConstraintBased.PC import pc

    known = knowledge or Knowledge()
    known.check(counts.variables)
    rows = np.repeat(counts.codes.T, counts.weights.astype(np.int64), axis=0)
    found = pc(rows, alpha, "gsq", background_knowledge=_knowledge(known, counts.variables), show_progress=False)
    marks = marks_of(found.G.graph)
    double = (marks == Mark.ARROW) & (marks.T == Mark.ARROW)
    return Graph(counts.variables, marks, "pag" if double.any() else "cpdag")


def marks_of(ends: Any) -> Marks:
    """Marks of causal-learn's matrix, where [j, i] is the end at j of the edge between i and j: 1 arrow, -1 tail."""
    ends = np.asarray(ends).T
    return np.select([ends == 1, ends == -1, ends == 2], [Mark.ARROW, Mark.TAIL, Mark.CIRCLE], 0).astype(np.int8)


def _knowledge(known: Knowledge, names: tuple[str, ...]) -> Any:
    from causallearn.graph.GraphNode import GraphNode
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

    # causal-learn names the columns X1, X2 ...
    nodes = [GraphNode(f"X{place + 1}") for place in range(len(names))]
    held = BackgroundKnowledge()
    forbidden, required = known.forbidden_matrix(names), known.required_matrix(names)
    for i, j in np.argwhere(forbidden & ~np.eye(len(names), dtype=bool)):
        held.add_forbidden_by_node(nodes[i], nodes[j])
    for i, j in np.argwhere(required):
        held.add_required_by_node(nodes[i], nodes[j])
    return held
