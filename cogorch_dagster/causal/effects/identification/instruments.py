"""Instruments: variables that move the treatment and reach the outcome only through it, given others.

Conditional instruments (Brito and Pearl 2002; van der Zander, Textor and Liskiewicz 2015) for the total effect. They
identify it if effects are linear; by the graph alone they do not.
"""

from itertools import islice

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits
from cogorch_dagster.causal.effects.identification.separators import minimal_separators

ASSUMES = "the effect of the treatment is linear and the same for all"
_MOST_TRIED = 8


def find_instruments(graph: Admg, treatment: int, outcome: int) -> tuple[Set, Set] | None:
    """Instruments that are valid given one and the same set, and that set: the smallest, then the most instruments.

    Conditioning sets are minimal separators without descendants of the treatment, some of them where there are many.
    """
    t, y = 1 << treatment, 1 << outcome
    allowed = graph.everything & ~(graph.descendants(t) | y)
    # What the outcome is where the treatment is held at 0: its causal paths are cut.
    held = graph.without_edges(treatment, graph.ancestors(y, ~t))
    tried: dict[Set, None] = {0: None}
    for each in bits(allowed):
        for given in islice(minimal_separators(held, 1 << each, y, allowed & ~(1 << each)), _MOST_TRIED):
            tried[given] = None
    best: tuple[Set, Set] | None = None
    for given in sorted(tried, key=int.bit_count):
        if best is not None and given.bit_count() > best[1].bit_count():
            break
        found = _valid(graph, held, t, y, allowed & ~given, given)
        if found and (best is None or found.bit_count() > best[0].bit_count()):
            best = found, given
    return best


def valid(graph: Admg, treatment: int, outcome: int, instrument: int, given: Set) -> bool:
    """Whether one variable is an instrument given a set."""
    t, y = 1 << treatment, 1 << outcome
    allowed = graph.everything & ~(graph.descendants(t) | y)
    held = graph.without_edges(treatment, graph.ancestors(y, ~t))
    candidate = 1 << instrument & ~given
    return not given & ~allowed and bool(_valid(graph, held, t, y, candidate & allowed, given))


def _valid(graph: Admg, held: Admg, t: Set, y: Set, candidates: Set, given: Set) -> Set:
    """Candidates that are instruments given the set, without those that move the treatment only through others."""
    found = candidates & graph.reached(t, given) & ~held.reached(y, given)
    for each in bits(found):
        others = found & ~(1 << each)
        if others and graph.separated(1 << each, t, given | others):
            found = others
    return found
