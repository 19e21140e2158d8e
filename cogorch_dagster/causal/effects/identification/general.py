"""Identification by any formula: decides for every mixed graph whether P(y | do(t)) follows from the data.

The algorithm ID (Tian and Pearl 2002; Shpitser and Pearl 2006), which is sound and complete: where it stops, a hedge
proves that two models of this graph agree on the data and differ in the effect.
"""

from dataclasses import dataclass

from cogorch_dagster.causal.effects.identification import formula
from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits, union
from cogorch_dagster.causal.effects.identification.formula import Conditional, Formula, Ratio


@dataclass(frozen=True)
class Hedge:
    """Two sets that hidden common causes hold together, one with treatments and the other, within it, without.

    Attributes:
        larger: with some treatments; all its members cause one in `smaller`.
        smaller: its members cause the outcome, past the treatments.
    """

    larger: Set
    smaller: Set


# For each variable of a set S its factor: their product is Q[S], and each sums to one over its variable.
_Factors = dict[int, Formula]


def identify_distribution(graph: Admg, treatments: Set, outcome: Set) -> Formula | Hedge:
    """P(outcome | do(treatments)) as a formula of the distribution of the data, or the hedge against it.

    The formula's free variables are the outcome, treatments, and sometimes others whose values make no difference.
    """
    causes = graph.ancestors(outcome)
    needed = graph.ancestors(outcome, causes & ~treatments)
    order = [each for each in graph.order() if causes >> each & 1]
    factors = _observed(graph, order, causes)
    found: _Factors = {}
    districts = graph.districts(causes)
    for part in graph.districts(needed):
        district = next(each for each in districts if each & part)
        result = _identify(graph, order, part, district, {each: factors[each] for each in bits(district)})
        if isinstance(result, Hedge):
            return result
        found |= result
    places = sorted(found, key=order.index, reverse=True)
    parts = [found[each] for each in places]
    return formula.summed(needed & ~outcome, parts, dict(enumerate(places)))


def _observed(graph: Admg, order: list[int], within: Set) -> _Factors:
    """P(v | its Markov pillow): the parents and the district, with parents, among what comes before."""
    found: _Factors = {}
    before = 0
    for each in order:
        before |= 1 << each
        part = graph.district(1 << each, before & within)
        found[each] = Conditional(each, (part | union(graph.parents, part)) & ~(1 << each))
    return found


def _identify(graph: Admg, order: list[int], part: Set, district: Set, factors: _Factors) -> _Factors | Hedge:
    """Factors of Q[part] from those of Q[district] (Tian and Pearl 2002, algorithm Identify)."""
    while True:
        ancestral = graph.ancestors(part, district)
        if ancestral == district and part != district:
            return Hedge(district, part)
        factors = _marginal(order, ancestral, district, factors)
        if ancestral == part:
            return factors
        district = graph.district(part, ancestral)
        factors = {each: factors[each] for each in bits(district)}


def _marginal(order: list[int], kept: Set, district: Set, factors: _Factors) -> _Factors:
    """Factors of Q[kept], the sum of Q[district] over the rest, where `kept` is ancestral in it."""
    found: _Factors = {}
    gone, before = 0, []
    for each in (v for v in order if district >> v & 1):
        before.append(each)
        if not kept >> each & 1:
            gone |= 1 << each
            continue
        found[each] = _given_before(gone, before, factors)
    return found


def _given_before(gone: Set, before: list[int], factors: _Factors) -> Formula:
    """The last factor once earlier ones are summed over: sum of the product with it over the sum without."""
    last = before[-1]
    # Of the summed variables and the factors only those count that hang together with the last factor.
    linked: set[int] = set()
    reach = factors[last].free & gone
    while True:
        more = {v for v in before[:-1] if v not in linked and (factors[v].free & reach or reach >> v & 1)}
        if not more:
            break
        linked |= more
        for v in more:
            reach |= factors[v].free & gone
    if not reach:
        return factors[last]
    places = sorted(linked, reverse=True, key=before.index)
    below = [factors[v] for v in places]
    top = formula.summed(reach, [factors[last], *below], dict(enumerate([last, *places])))
    bottom = formula.summed(reach, below, dict(enumerate(places)))
    return top if bottom == formula.Product(()) else Ratio(top, bottom)
