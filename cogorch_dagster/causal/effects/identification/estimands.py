"""Estimands with their formulas as text."""

from dataclasses import dataclass, replace

from cogorch_dagster.causal.effects.identification import formula, instruments
from cogorch_dagster.causal.effects.identification.admg import Admg, Set
from cogorch_dagster.causal.effects.query import Effect, Estimand


@dataclass(frozen=True)
class Question:
    """An effect that is asked for in a mixed graph; treatment and outcome by place."""

    graph: Admg
    treatment: int
    outcome: int
    effect: Effect = "total"
    mediators: Set = 0

    @property
    def t(self) -> Set:
        return 1 << self.treatment

    @property
    def y(self) -> Set:
        return 1 << self.outcome

    @property
    def ends(self) -> tuple[str, str]:
        return self.graph.names[self.treatment], self.graph.names[self.outcome]


def zero(question: Question) -> Estimand:
    t, y = question.ends
    return Estimand("zero", t, y, formula=f"P({y} | do({t})) = P({y})", effect=question.effect)


def no_path(question: Question) -> Estimand:
    """Of a direct or indirect effect that has no path."""
    t, y = question.ends
    how = "without the mediators" if question.effect != "indirect" else "through mediators"
    told = f"0: no directed path from {t} to {y} {how}"
    return Estimand("zero", t, y, formula=told, effect=question.effect)


def backdoor(question: Question, adjustment: Set, others: list[Set]) -> Estimand:
    graph = question.graph
    held = graph.named(question.mediators) if question.effect == "controlled" else ()
    bare = Estimand("backdoor", *question.ends, mediators=held, effect=question.effect)
    return adjusted(bare, graph.named(adjustment), tuple(graph.named(each) for each in others))


def adjusted(estimand: Estimand, members: tuple[str, ...], alternatives: tuple[tuple[str, ...], ...]) -> Estimand:
    """The same effect by another set."""
    treatments, y = (estimand.treatment, *estimand.mediators), estimand.outcome
    body = f"P({y} | {_list((*treatments, *members))})"
    told = f"P({y} | do({_list(treatments)})) = {_summed(members, body)}"
    return replace(estimand, adjustment=members, formula=told, alternatives=alternatives)


def frontdoor(question: Question, mediators: Set, covariates: Set) -> Estimand:
    graph, (t, y) = question.graph, question.ends
    m, w = graph.named(mediators), graph.named(covariates)
    again = f"{t}'"
    weight = f"P({again} | {_list(w)})" if w else f"P({again})"
    inner = f"P({_list(m)} | {_list((t, *w))}) sum_{{{again}}} P({y} | {_list((*m, again, *w))}) {weight}"
    over = f"sum_{{{_list((*w, *m))}}} "
    told = f"P({y} | do({t})) = {over}{f'P({_list(w)}) ' if w else ''}{inner}"
    return Estimand("frontdoor", t, y, adjustment=w, mediators=m, formula=told, effect=question.effect)


def instrument(question: Question, found: Set, given: Set) -> Estimand:
    graph, (t, y) = question.graph, question.ends
    z, w = graph.named(found), graph.named(given)
    condition = f" | {_list(w)}" if w else ""
    ratio = f"Cov({y}, {z[0]}{condition}) / Cov({t}, {z[0]}{condition})"
    told = ratio if len(z) == 1 else f"two-stage least squares of {y} on {t} by {_list(z)}{condition}"
    return Estimand(
        "instrument",
        t,
        y,
        adjustment=w,
        instruments=z,
        formula=told,
        effect=question.effect,
        assumes=instruments.ASSUMES,
    )


def mediation(question: Question, covariates: Set) -> Estimand:
    """The natural effect of a change of the treatment from t0 to t1."""
    graph, (t, y) = question.graph, question.ends
    m, w = graph.named(question.mediators), graph.named(covariates)
    given = f", {_list(w)}" if w else ""

    def outcome(at: str) -> str:
        return f"E[{y} | {t}={at}, {_list(m)}{given}]"

    def mediator(at: str) -> str:
        return f"P({_list(m)} | {t}={at}{given})"

    if question.effect == "direct":
        body = f"({outcome('t1')} - {outcome('t0')}) {mediator('t0')}"
    else:
        body = f"{outcome('t0')} ({mediator('t1')} - {mediator('t0')})"
    told = f"sum_{{{_list((*w, *m))}}} {body}{f' P({_list(w)})' if w else ''}"
    return Estimand("mediation", t, y, adjustment=w, mediators=m, formula=told, effect=question.effect)


def general(question: Question, found: formula.Formula) -> Estimand:
    graph, (t, y) = question.graph, question.ends
    held = graph.named(question.mediators) if question.effect == "controlled" else ()
    told = f"P({y} | do({_list((t, *held))})) = {formula.text(found, graph.names)}"
    return Estimand("general", t, y, mediators=held, formula=told, effect=question.effect)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _summed(members: tuple[str, ...], body: str) -> str:
    return f"sum_{{{_list(members)}}} {body} P({_list(members)})" if members else body
