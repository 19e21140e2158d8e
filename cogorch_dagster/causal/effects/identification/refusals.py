"""Why an effect is not identified, in sentences: what is to blame and what would help."""

from dataclasses import replace

from cogorch_dagster.causal.effects.identification import mediation
from cogorch_dagster.causal.effects.identification.adjustment import Adjustment
from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.general import Hedge, identify_distribution
from cogorch_dagster.causal.effects.identification.paths import open_path
from cogorch_dagster.causal.effects.identification.selection import KEPT
from cogorch_dagster.causal.effects.query import Effect, NotIdentified

_MOST_PAIRS = 30


def confounded(question: Question, hedge: Hedge, treatments: Set) -> NotIdentified:
    """Of a hedge: no formula exists."""
    graph, (t, y) = question.graph, question.ends
    path = _open_backdoor(graph, treatments, question.y)
    larger, smaller = graph.named(hedge.larger), graph.named(hedge.smaller)
    if path is not None:
        detail = f"the path {path} is open whatever is adjusted for, and no other formula gives the effect"
    else:
        detail = f"no formula gives the effect of {t} on {y}"
    detail += f"; the hedge of {{{', '.join(larger)}}} and {{{', '.join(smaller)}}}, joined by hidden causes, proves it"
    pairs = _pairs_that_help(graph, treatments, question.y, hedge)
    randomise = f"randomise {' and '.join((t, *graph.named(treatments & ~question.t)))}"
    remedy = f"{_measure(graph, pairs)}or {randomise}" if pairs else randomise
    blame = (path,) if path is not None else tuple(_pair(graph, *each) for each in pairs)
    return NotIdentified(t, y, "hidden_confounder", detail, remedy, True, blame, question.effect)


def without_formula(question: Question, methods: tuple[str, ...]) -> NotIdentified:
    """Of methods that were asked for and do not apply, where another would."""
    t, y = question.ends
    path = _open_backdoor(question.graph, question.t, question.y)
    why = f"the path {path} is open whatever is adjusted for" if path is not None else "their criteria are not met"
    detail = f"{', '.join(methods)} do not identify the effect of {t} on {y}: {why}"
    blame = (path,) if path is not None else ()
    remedy = f"allow every method, measure what the path hides, or randomise {t}"
    return NotIdentified(t, y, "hidden_confounder", detail, remedy, False, blame, question.effect)


def selected_on(question: Question, kept: Set, spoiling: str | None) -> NotIdentified:
    graph, (t, y) = question.graph, question.ends
    by = ", ".join(_selecting(graph, kept))
    if spoiling is not None:
        detail = f"rows are kept depending on {by}, which tells of {y} even if {t} is set: {spoiling}"
    else:
        path = open_path(graph.without_arrows(out_of=question.t), question.treatment, question.y, kept)
        spoiling = path if path is not None else f"{t} -> ... -> {by}"
        detail = f"rows are kept depending on {by}, and no adjustment closes {spoiling} among the rows that are kept"
    remedy = f"collect rows whatever {by} is, or randomise {t} and keep every row"
    return NotIdentified(t, y, "selection", detail, remedy, False, (spoiling,), question.effect)


def selected_for_other(question: Question, kept: Set) -> NotIdentified:
    t, y = question.ends
    by = _selecting(question.graph, kept)
    detail = (
        f"rows are kept depending on {', '.join(by)}; the {question.effect} effect of {t} on {y} has no criterion here "
        "that allows for that"
    )
    remedy = f"collect rows whatever {', '.join(by)} is, or ask for the total effect"
    return NotIdentified(t, y, "selection", detail, remedy, False, by, question.effect)


def mediator_confounded(question: Question) -> NotIdentified:
    """Of a natural effect without covariates that would do."""
    graph, (t, y) = question.graph, question.ends
    allowed = graph.ancestors(question.t | question.y | question.mediators) & ~graph.descendants(question.t)
    cut = graph.without_arrows(out_of=question.t | question.mediators)
    path = next(
        (
            found
            for each in (*bits(question.mediators), question.treatment)
            if (found := open_path(cut, each, question.y, allowed)) is not None
        ),
        None,
    )
    if path is None:
        path = open_path(graph.without_arrows(out_of=question.t), question.treatment, question.mediators, allowed)
    told = path if path is not None else f"{t} ... {y}"
    between = mediation.between(graph, question.treatment, question.outcome) & ~question.mediators
    named = [each for each in bits(between) if graph.names[each] in told.split()]
    if named:
        why = f"{graph.names[named[0]]}, itself an effect of {t}, joins mediator and {y}: {told}"
        remedy = f"count {graph.names[named[0]]} among the mediators, or ask for the controlled effect"
    else:
        why = f"the path {told} is open whatever is adjusted for"
        remedy = "measure the common cause on that path, or ask for the total effect"
    detail = f"mediators {', '.join(graph.named(question.mediators))} do not separate direct from indirect: {why}"
    return NotIdentified(t, y, "mediator", detail, remedy, False, (told,), question.effect)


def unmeasured(treatment: str, outcome: str, name: str, effect: Effect) -> NotIdentified:
    role = "treatment" if name == treatment else "outcome" if name == outcome else "mediator"
    detail = f"the {role} {name} has no data"
    return NotIdentified(treatment, outcome, "unmeasured", detail, f"measure {name}", False, (name,), effect)


def _selecting(graph: Admg, kept: Set) -> tuple[str, ...]:
    return tuple(each.removeprefix(KEPT) for each in graph.named(kept))


def _open_backdoor(graph: Admg, treatments: Set, outcome: Set) -> str | None:
    question = Adjustment.of(graph, treatments, outcome)
    most = graph.ancestors(treatments | outcome) & question.allowed
    for each in bits(treatments):
        found = open_path(question.graph, each, outcome, most | treatments & ~(1 << each))
        if found is not None:
            return found
    return None


def _pairs_that_help(graph: Admg, treatments: Set, outcome: Set, hedge: Hedge) -> list[tuple[int, int]]:
    """Pairs of the hedge each of which, were their nameless common cause measured, would make the effect identified."""
    pairs = [
        (a, b)
        for a in bits(hedge.larger)
        for b in bits(graph.spouses[a] & hedge.larger)
        if a < b and not graph.hidden.get((a, b))
    ]
    return [
        each
        for each in pairs[:_MOST_PAIRS]
        if not isinstance(identify_distribution(_without_pair(graph, *each), treatments, outcome), Hedge)
    ]


def _without_pair(graph: Admg, a: int, b: int) -> Admg:
    spouses = list(graph.spouses)
    spouses[a] &= ~(1 << b)
    spouses[b] &= ~(1 << a)
    return replace(graph, spouses=tuple(spouses))


def _measure(graph: Admg, pairs: list[tuple[int, int]]) -> str:
    told = [f"what causes both {graph.names[a]} and {graph.names[b]}" for a, b in pairs]
    return f"measure {' or '.join(told)}, "


def _pair(graph: Admg, a: int, b: int) -> str:
    return f"{graph.names[a]} <-> {graph.names[b]}"
