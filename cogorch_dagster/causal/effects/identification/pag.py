"""Adjustment in a PAG: valid in every graph with hidden causes that the PAG stands for.

The generalised adjustment criterion (Perkovic, Textor, Kalisch and Maathuis 2018): each possibly causal path leaves
the treatment by a visible arrow (Zhang 2008), and the set blocks the others, which one MAG of the class shows.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from cogorch_dagster.causal.effects.identification.adjustment import MOST_ALTERNATIVES
from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits
from cogorch_dagster.causal.effects.identification.partial import PossibleCauses
from cogorch_dagster.causal.effects.identification.separators import largest_separator, minimal_separators
from cogorch_dagster.causal.graphs.equivalence import consistent_extension
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark


@dataclass(frozen=True)
class PagQuestion:
    """What decides the question.

    Attributes:
        causal: variables on possibly causal paths, the outcome among them; 0 where the treatment is no cause.
        unclear: neighbours of the treatment on such paths whose edge is no visible arrow from it.
        allowed: variables that a valid set may have.
        graph: a MAG of the class without the first arrows of the causal paths.
    """

    causal: Set
    unclear: Set
    allowed: Set
    graph: Admg

    @classmethod
    def of(cls, graph: Graph, treatment: int, outcome: int) -> "PagQuestion":
        t, y = 1 << treatment, 1 << outcome
        possible = PossibleCauses.of(graph)
        causal = possible.descendants(possible.out[treatment], ~t) & possible.ancestors(y, ~t)
        first = possible.out[treatment] & causal
        unclear = sum(1 << v for v in bits(first) if not visible(graph, treatment, v))
        allowed = ((1 << len(graph.names)) - 1) & ~(possible.descendants(causal) | t | y)
        return cls(causal, unclear, allowed, a_mag(graph).without_edges(treatment, causal))


def visible(graph: Graph, a: int, b: int) -> bool:
    """Whether a -> b has no hidden common cause in any graph of the class (Zhang 2008, definition 8)."""
    if not graph.directed[a, b]:
        return False
    into = graph.marks == Mark.ARROW
    outside = ~graph.skeleton[b]
    outside[b] = False
    # Back from a over colliders that are parents of b, until a variable that is not adjacent to b.
    seen, todo = {a}, [a]
    while todo:
        here = todo.pop()
        for before in np.flatnonzero(into[:, here]).tolist():
            if outside[before]:
                return True
            if before not in seen and into[here, before] and graph.directed[before, b]:
                seen.add(before)
                todo.append(before)
    return False


def a_mag(graph: Graph) -> Admg:
    """A maximal ancestral graph of the class: o-> becomes ->, circle edges a DAG without new colliders (Zhang 2008).

    Raises:
        ValueError: the circle edges cannot be directed so: the marks are no PAG.
    """
    circles = (graph.marks == Mark.CIRCLE) & (graph.marks.T == Mark.CIRCLE)
    directed = _circles_directed(circles)
    headless = graph.marks.T != Mark.ARROW
    directed |= (graph.marks == Mark.ARROW) & headless
    directed |= (graph.marks == Mark.CIRCLE) & (graph.marks.T == Mark.TAIL)
    return Admg.of(graph.names, directed, graph.bidirected)


def _circles_directed(circles: Booleans) -> Booleans:
    found = consistent_extension(np.where(circles, Mark.TAIL, Mark.NONE).astype(np.int8))
    if found is None:
        raise ValueError("the circle edges of a PAG have a cycle of four or more without a chord")
    return found


def adjustment_in_pag(question: PagQuestion, treatment: int, outcome: int) -> tuple[Set, list[Set]] | None:
    """A valid set, the minimal one nearest to the outcome of least size, and others; None where none is valid."""
    t, y = 1 << treatment, 1 << outcome
    if question.unclear or largest_separator(question.graph, t, y, question.allowed) is None:
        return None
    found = sorted(
        islice(minimal_separators(question.graph, t, y, question.allowed), MOST_ALTERNATIVES + 1), key=int.bit_count
    )
    return found[0], found[1:]
