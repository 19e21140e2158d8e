"""One question, one answer: dispatches on the kind of graph and of effect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from cogorch_dagster.causal.effects.identification import classes, mediation, mixed, refusals
from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits, projected
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.partial import PossibleCauses
from cogorch_dagster.causal.effects.identification.selection import KEPT, with_selection
from cogorch_dagster.causal.effects.query import Answer, Effect, Estimand, Method, NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput

METHODS: tuple[Method, ...] = ("backdoor", "frontdoor", "instrument", "general")
_MOST_ADVICE = 20


@dataclass(frozen=True)
class _Query:
    """The arguments of `identify` but the graph."""

    treatment: str
    outcome: str
    selected: tuple[str, ...]
    effect: Effect
    mediators: tuple[str, ...]
    unobserved: tuple[str, ...]
    latents: tuple[frozenset[str], ...]
    methods: tuple[Method, ...]

    @property
    def named(self) -> set[str]:
        pairs = {name for each in self.latents for name in each}
        return {self.treatment, self.outcome, *self.selected, *self.mediators, *self.unobserved, *pairs}

    @property
    def plain(self) -> bool:
        return self.effect == "total" and not (self.selected or self.unobserved or self.latents)


def identify(
    graph: Graph,
    treatment: str,
    outcome: str,
    *,
    selected: Sequence[str] = (),
    effect: Effect = "total",
    mediators: Sequence[str] = (),
    unobserved: Sequence[str] = (),
    latents: Iterable[Iterable[str]] = (),
    methods: Sequence[Method] = METHODS,
) -> Answer:
    """Whether the graph and data without intervention determine an effect, and how.

    Args:
        graph: of any kind. In a PAG only total effects are judged, and by adjustment alone.
        selected: variables on whose values it depended whether a row is in the data. The effect asked for is that of
            everybody, not of those that were kept.
        effect: "total"; "direct" or "indirect", the natural effects past or through the mediators; "controlled", the
            direct effect with the mediators held fixed.
        mediators: of direct, indirect and controlled effects; all between treatment and outcome where empty.
        unobserved: variables of the graph without data.
        latents: pairs {a, b} with a hidden common cause besides the graph's edges (`Knowledge.latents`).
        methods: in the order of preference; the first that identifies a total effect is the answer. Without "general"
            a refusal is no proof. In a CPDAG whose variables are all measured adjustment decides, whatever is allowed.

    Raises:
        InvalidInput: no such variable, treatment and outcome are the same, an unknown effect or method, a mediator
            that is not between the two, a directed cycle, or a class of graphs without a member.
    """
    query = _Query(
        treatment,
        outcome,
        tuple(selected),
        effect,
        tuple(mediators),
        tuple(unobserved),
        tuple(frozenset(each) for each in latents),
        tuple(methods),
    )
    _check(graph, query)
    if graph.kind == "pag":
        return _in_pag(graph, query)
    if graph.kind == "cpdag" and graph.undirected.any():
        query = _relevant(graph, query)
        if query.plain:
            return classes.total_in_mpdag(graph, treatment, outcome)
        needed = {*query.selected, *query.mediators}
        return classes.in_members(
            graph, treatment, outcome, effect, needed, lambda member: _in_mixed(member, query, strict=False)
        )
    return _in_mixed(graph, query, strict=True)


def _relevant(graph: Graph, query: _Query) -> _Query:
    """Without hidden variables and pairs that cause neither end in any member of the class."""
    wanted = _set(graph.names, {query.treatment, query.outcome, *query.selected, *query.mediators})
    causes = {graph.names[each] for each in bits(PossibleCauses.of(graph).ancestors(wanted))}
    return replace(
        query,
        unobserved=tuple(each for each in query.unobserved if each in causes),
        latents=tuple(each for each in query.latents if each <= causes),
    )


def _in_mixed(graph: Graph, query: _Query, *, strict: bool, advise: bool = True) -> Estimand | NotIdentified:
    """In a DAG or ADMG; `strict` where a mediator that is not between the two is an error."""
    if not is_acyclic(graph.directed):
        raise InvalidInput("the graph has a directed cycle; an effect needs a graph without")
    for name in (query.treatment, query.outcome, *query.mediators):
        if name in query.unobserved:
            return refusals.unmeasured(query.treatment, query.outcome, name, query.effect)
    whole = Admg.of(graph.names, graph.directed, _bidirected(graph, query))
    # The children come before the projection, as a row may have been kept by what is not measured.
    if query.selected:
        whole, _ = with_selection(whole, _set(graph.names, query.selected))
    hidden = [name for name in query.unobserved if name in graph.names]
    measured = projected(whole, _set(graph.names, hidden)) if hidden else whole
    kept = _set(measured.names, [KEPT + each for each in query.selected])
    t, y = measured.names.index(query.treatment), measured.names.index(query.outcome)
    mediators = 0
    if query.effect != "total":
        between = mediation.between(measured, t, y)
        mediators = _set(measured.names, query.mediators) if query.mediators else between
        if strict and mediators & ~between and measured.descendants(1 << t) >> y & 1:
            name = measured.named(mediators & ~between)[0]
            raise InvalidInput(
                f"{name} is not on a directed path from {query.treatment} to {query.outcome}; name mediators that are, "
                "or none for all"
            )
        mediators &= between
    found = mixed.answer(Question(measured, t, y, query.effect, mediators), kept, query.methods)
    if isinstance(found, NotIdentified) and hidden and advise:
        return _with_advice(found, graph, query, hidden)
    return found


def _with_advice(refusal: NotIdentified, graph: Graph, query: _Query, hidden: Sequence[str]) -> NotIdentified:
    """With the variables of the graph each of which, were it measured, would identify the effect."""
    helpful = []
    for name in hidden[:_MOST_ADVICE]:
        fewer = replace(query, unobserved=tuple(each for each in query.unobserved if each != name))
        if isinstance(_in_mixed(graph, fewer, strict=False, advise=False), Estimand):
            helpful.append(name)
    if not helpful:
        return refusal
    return replace(refusal, remedy=f"measure {' or '.join(helpful)}, or {refusal.remedy}")


def _in_pag(graph: Graph, query: _Query) -> Estimand | NotIdentified:
    found = classes.total_in_pag(graph, query.treatment, query.outcome)
    if query.plain or (isinstance(found, Estimand) and found.kind == "zero"):
        return found
    asked = [name for name in ("selected", "unobserved", "latents") if getattr(query, name)]
    what = f"with {' and '.join(asked)}" if asked else f"of the {query.effect} effect"
    raise InvalidInput(f"a PAG has no criterion for a question {what}; ask for the total effect, or of an ADMG")


def _bidirected(graph: Graph, query: _Query) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if not query.latents:
        return graph.bidirected
    found = graph.bidirected.copy()
    for pair in query.latents:
        if pair <= set(graph.names):
            i, j = (graph.index(each) for each in pair)
            found[i, j] = found[j, i] = True
    return found


def _set(names: Sequence[str], members: Iterable[str]) -> Set:
    place = {name: number for number, name in enumerate(names)}
    found = 0
    for each in members:
        found |= 1 << place[each]
    return found


def _check(graph: Graph, query: _Query) -> None:
    for name in sorted(query.named):
        graph.index(name)
    if query.treatment == query.outcome:
        raise InvalidInput(f"treatment and outcome are both {query.treatment}; ask of two different variables")
    if query.effect not in get_args(Effect):
        raise InvalidInput(f"no effect is called {query.effect!r}; effects: {', '.join(get_args(Effect))}")
    strange = [each for each in query.methods if each not in get_args(Method)]
    if strange or not query.methods:
        raise InvalidInput(f"methods {list(query.methods)} must be some of {', '.join(get_args(Method))}")
    if any(len(pair) != 2 for pair in query.latents):
        raise InvalidInput("an entry of `latents` is two different names {a, b}")
    if {query.treatment, query.outcome} & set(query.mediators):
        raise InvalidInput("treatment and outcome are no mediators; name variables between them")
