"""The answer in one mixed graph: by the methods in the order of preference, or why not."""

from collections.abc import Sequence

from cogorch_dagster.causal.effects.identification import estimands, mediation, refusals
from cogorch_dagster.causal.effects.identification.adjustment import efficient_set
from cogorch_dagster.causal.effects.identification.admg import Set
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.frontdoor import front_door
from cogorch_dagster.causal.effects.identification.general import Hedge, identify_distribution
from cogorch_dagster.causal.effects.identification.instruments import find_instruments
from cogorch_dagster.causal.effects.identification.selection import (
    adjustment_under_selection,
    spoiled_by,
)
from cogorch_dagster.causal.effects.query import Estimand, Method, NotIdentified

One = Estimand | NotIdentified


def answer(question: Question, kept: Set, methods: Sequence[Method]) -> One:
    """Of any effect; `kept` are the children that `with_selection` has added to the graph."""
    if not question.graph.descendants(question.t) & question.y:
        return estimands.zero(question)
    if question.effect == "total":
        return _under_selection(question, kept) if kept else _total(question, methods)
    if not question.mediators:
        return _without_mediators(question, kept, methods)
    if question.effect != "indirect" and not _has_path_past(question):
        return estimands.no_path(question)
    if kept:
        return refusals.selected_for_other(question, kept)
    return _controlled(question) if question.effect == "controlled" else _natural(question)


def _total(question: Question, methods: Sequence[Method]) -> One:
    graph, hedge = question.graph, None
    for method in methods:
        if method == "backdoor" and (found := efficient_set(graph, question.t, question.y)) is not None:
            return estimands.backdoor(question, *found)
        if method == "frontdoor" and (door := front_door(graph, question.treatment, question.outcome)) is not None:
            return estimands.frontdoor(question, *door)
        if method == "instrument":
            instruments = find_instruments(graph, question.treatment, question.outcome)
            if instruments is not None:
                return estimands.instrument(question, *instruments)
        if method == "general":
            result = identify_distribution(graph, question.t, question.y)
            if not isinstance(result, Hedge):
                return estimands.general(question, result)
            hedge = result
    if hedge is None:
        return refusals.without_formula(question, tuple(methods))
    return refusals.confounded(question, hedge, question.t)


def _under_selection(question: Question, kept: Set) -> One:
    ends = (question.treatment, question.outcome)
    found = adjustment_under_selection(question.graph, kept, *ends)
    if found is not None:
        return estimands.backdoor(question, *found)
    return refusals.selected_on(question, kept, spoiled_by(question.graph, kept, *ends))


def _without_mediators(question: Question, kept: Set, methods: Sequence[Method]) -> One:
    """All of the effect is direct."""
    if question.effect == "indirect":
        return estimands.no_path(question)
    if kept:
        return refusals.selected_for_other(question, kept)
    return _total(question, methods)


def _has_path_past(question: Question) -> bool:
    graph = question.graph
    return bool(graph.descendants(question.t, ~question.mediators) & question.y)


def _controlled(question: Question) -> One:
    """With treatment and mediators set together."""
    treatments = question.t | question.mediators
    found = efficient_set(question.graph, treatments, question.y)
    if found is not None:
        return estimands.backdoor(question, *found)
    result = identify_distribution(question.graph, treatments, question.y)
    if isinstance(result, Hedge):
        return refusals.confounded(question, result, treatments)
    return estimands.general(question, result)


def _natural(question: Question) -> One:
    found = mediation.covariates(question.graph, question.treatment, question.outcome, question.mediators)
    return refusals.mediator_confounded(question) if found is None else estimands.mediation(question, found)
