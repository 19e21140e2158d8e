"""Adjustment in acyclic mixed graphs: which sets are valid, and which of them estimate most precisely.

The generalised adjustment criterion (Perkovic, Textor, Kalisch and Maathuis 2018), sound and complete, checked by
separation in the proper back-door graph (van der Zander, Liskiewicz and Textor 2014). Treatments may be several.
"""

from dataclasses import dataclass
from itertools import islice

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits, union
from cogorch_dagster.causal.effects.identification.separators import largest_separator, minimal_separators

MOST_ALTERNATIVES = 8
_MOST_TRIED = 32


@dataclass(frozen=True)
class Adjustment:
    """What decides whether a set is valid.

    Attributes:
        graph: the proper back-door graph, without the first arrow of each causal path.
        causal: variables on causal paths that leave the treatments at once, the outcome among them.
        allowed: variables that a valid set may have.
    """

    graph: Admg
    treatments: Set
    outcome: Set
    causal: Set
    allowed: Set

    @classmethod
    def of(cls, graph: Admg, treatments: Set, outcome: Set) -> "Adjustment":
        below = graph.descendants(union(graph.children, treatments), ~treatments)
        causal = below & graph.ancestors(outcome, ~treatments)
        forbidden = graph.descendants(causal) | treatments | outcome
        proper = graph
        for each in bits(treatments):
            proper = proper.without_edges(each, causal)
        return cls(proper, treatments, outcome, causal, graph.everything & ~forbidden)

    def valid(self, members: Set) -> bool:
        return not members & ~self.allowed and self.graph.separated(self.treatments, self.outcome, members)

    def optimal(self, graph: Admg) -> Set:
        """The parents of the causal variables that are no descendants of these (Henckel, Perkovic, Maathuis 2022).

        Of all valid sets the one of least asymptotic variance, in a graph without hidden causes; elsewhere it need not
        be valid.
        """
        return union(graph.parents, self.causal) & self.allowed

    def minimal(self) -> list[Set]:
        """Minimal valid sets, smallest first, the one next to the outcome before others of its size."""
        found = minimal_separators(self.graph, self.treatments, self.outcome, self.allowed)
        return sorted(islice(found, _MOST_TRIED), key=int.bit_count)


def efficient_set(graph: Admg, treatments: Set, outcome: Set) -> tuple[Set, list[Set]] | None:
    """A valid set, the optimal one where that is valid, and minimal ones; None where none is valid."""
    question = Adjustment.of(graph, treatments, outcome)
    if largest_separator(question.graph, treatments, outcome, question.allowed) is None:
        return None
    minimal = question.minimal()
    best = question.optimal(graph)
    if not question.valid(best):
        best = minimal[0]
    return best, [each for each in minimal if each != best][:MOST_ALTERNATIVES]
