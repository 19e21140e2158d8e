"""Natural direct and indirect effects: past the mediators, and through them.

The mediation formula of Pearl (2001), given W that confounds neither of treatment, mediators and outcome. A common
cause of mediator and outcome that is hidden, or itself an effect of the treatment, rules it out.
"""

from itertools import combinations

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, as_set, bits

_MOST_TRIED = 2000


def between(graph: Admg, treatment: int, outcome: int) -> Set:
    """All variables on directed paths from treatment to outcome, without these."""
    t, y = 1 << treatment, 1 << outcome
    return graph.descendants(t) & graph.ancestors(y) & ~(t | y)


def covariates(graph: Admg, treatment: int, outcome: int, mediators: Set) -> Set | None:
    """A set W for the mediation formula of which no member can be left out; None where none was found."""
    t, y = 1 << treatment, 1 << outcome
    allowed = graph.ancestors(t | y | mediators) & ~graph.descendants(t)
    found = allowed if valid(graph, treatment, outcome, mediators, allowed) else None
    if found is None:
        found = _searched(graph, treatment, outcome, mediators, allowed)
    if found is None:
        return None
    for each in bits(found):
        if valid(graph, treatment, outcome, mediators, found & ~(1 << each)):
            found &= ~(1 << each)
    return found


def valid(graph: Admg, treatment: int, outcome: int, mediators: Set, members: Set) -> bool:
    """Pearl's conditions: given W, no open back-door path from treatment and mediators to the outcome (A), nor from
    treatment to mediators (B); W has no effect of the treatment."""
    t, y = 1 << treatment, 1 << outcome
    if members & (graph.descendants(t) | y | mediators):
        return False
    if graph.without_arrows(out_of=t | mediators).reached(t | mediators, members) & y:
        return False
    return not graph.without_arrows(out_of=t).reached(t, members) & mediators


def _searched(graph: Admg, treatment: int, outcome: int, mediators: Set, allowed: Set) -> Set | None:
    """The first valid set of those with fewest members, up to a bound on how many are tried."""
    pool = list(bits(allowed))
    tried = 0
    for size in range(len(pool)):
        for each in combinations(pool, size):
            tried += 1
            if tried > _MOST_TRIED:
                return None
            members = as_set(each)
            if valid(graph, treatment, outcome, mediators, members):
                return members
    return None
