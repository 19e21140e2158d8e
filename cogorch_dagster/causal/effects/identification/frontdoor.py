"""The front door: mediators that take all of the effect and share no open back-door path with either end.

Pearl (1995), here within levels of causes W of the treatment or outcome, which are no descendants of the treatment.
"""

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits


def front_door(graph: Admg, treatment: int, outcome: int) -> tuple[Set, Set] | None:
    """Mediators and W, both small: none of them can be left out; None where there are none.

    W is tried empty first, then as all causes of either that are no descendants of the treatment.
    """
    t, y = 1 << treatment, 1 << outcome
    between = graph.descendants(t) & graph.ancestors(y) & ~(t | y)
    if graph.children[treatment] & y or not between:
        return None
    for covariates in dict.fromkeys((0, graph.ancestors(t | y) & ~graph.descendants(t))):
        mediators = _largest(graph, t, y, between, covariates)
        if mediators is not None:
            return _reduced(graph, treatment, outcome, mediators, covariates)
    return None


def valid(graph: Admg, treatment: int, outcome: int, mediators: Set, covariates: Set) -> bool:
    """Whether the front-door formula holds for mediators that are descendants of the treatment."""
    t, y = 1 << treatment, 1 << outcome
    if covariates & (graph.descendants(t) | y) or graph.descendants(t, ~mediators) & y:
        return False
    open_to_mediators = graph.without_arrows(out_of=t).reached(t, covariates) & mediators
    return not open_to_mediators and graph.without_arrows(out_of=mediators).separated(mediators, y, covariates | t)


def _reduced(graph: Admg, treatment: int, outcome: int, mediators: Set, covariates: Set) -> tuple[Set, Set]:
    """Without each that the others can do without."""
    for each in bits(mediators):
        if valid(graph, treatment, outcome, mediators & ~(1 << each), covariates):
            mediators &= ~(1 << each)
    for each in bits(covariates):
        if valid(graph, treatment, outcome, mediators, covariates & ~(1 << each)):
            covariates &= ~(1 << each)
    return mediators, covariates


def _largest(graph: Admg, t: Set, y: Set, between: Set, covariates: Set) -> Set | None:
    """All mediators that can be in a front-door set, or None if they leave a causal path (Jeong et al. 2022)."""
    mediators = between & ~graph.without_arrows(out_of=t).reached(t, covariates)
    while mediators:
        confounded = graph.without_arrows(out_of=mediators).reached(y, covariates | t) & mediators
        if not confounded:
            break
        # Fewer mediators keep more arrows, so that what is confounded now stays so.
        mediators &= ~confounded
    return mediators if mediators and not graph.descendants(t, ~mediators) & y else None
