"""The one entry: what it answers is exact, what it refuses cannot be had, and refusals say why."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.admg import bits, projected
from cogorch_dagster.causal.effects.identification.general import Hedge, identify_distribution
from cogorch_dagster.causal.effects.identification.identify import identify
from cogorch_dagster.causal.effects.query import Estimand, IdentifiedRange, NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput
from tests.causal.effects.identification.exact import LinearModel, linear_value, pairs, random_admg

LAW = settings(max_examples=150, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


@LAW
@given(SEEDS)
def test_total_effects_are_exact_in_linear_models_and_refusals_are_proofs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = random_admg(rng, 6, 0.45, 0.1)
    names = drawn.names
    graph = Graph.from_edges(names, [(names[i], names[j]) for j in range(6) for i in bits(drawn.parents[j])])
    latents = [(names[a], names[b]) for a, b in pairs(drawn)]
    t, y, u = (int(v) for v in rng.permutation(6)[:3])
    found = identify(graph, names[t], names[y], latents=latents, unobserved=[names[u]])
    small = projected(drawn, 1 << u)
    ends = 1 << small.names.index(names[t]), 1 << small.names.index(names[y])
    hedge = identify_distribution(small, *ends)
    if isinstance(found, NotIdentified):
        assert found.proven
        assert isinstance(hedge, Hedge)
        assert found.detail
        assert f"randomise {names[t]}" in found.remedy
        # What is said to help does: measuring the hidden variable, if it is named.
        again = identify(graph, names[t], names[y], latents=latents)
        assert (f"measure {names[u]}" in found.remedy) == isinstance(again, Estimand)
        return
    assert isinstance(found, Estimand)
    assert found.kind == "instrument" or not isinstance(hedge, Hedge)
    assert names[u] not in {*found.adjustment, *found.mediators, *found.instruments}
    if found.kind == "general":
        assert found.formula.startswith(f"P({names[y]} | do({names[t]})) = ")
        return
    for _ in range(2):
        model = LinearModel.of(drawn, rng)
        value = linear_value(found, names, model.covariance)
        assert value == pytest.approx(model.total(t, y), abs=1e-6)
        for other in found.alternatives:
            value = linear_value(replace(found, adjustment=other), names, model.covariance)
            assert value == pytest.approx(model.total(t, y), abs=1e-6)


@LAW
@given(SEEDS)
def test_controlled_effects_are_exact_in_linear_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = random_admg(rng, 5, 0.55, 0.1)
    names = drawn.names
    graph = Graph.from_edges(names, [(names[i], names[j]) for j in range(5) for i in bits(drawn.parents[j])])
    latents = [(names[a], names[b]) for a, b in pairs(drawn)]
    t, y = (int(v) for v in rng.permutation(5)[:2])
    between = drawn.descendants(1 << t) & drawn.ancestors(1 << y) & ~(1 << t | 1 << y)
    found = identify(graph, names[t], names[y], latents=latents, effect="controlled")
    model = LinearModel.of(drawn, rng)
    if isinstance(found, Estimand) and found.kind not in ("general", "instrument"):
        value = linear_value(found, names, model.covariance)
        assert value == pytest.approx(model.past(t, y, list(bits(between))), abs=1e-7)


AUTOSCALER = Graph.from_edges(
    ("load", "replicas", "queue", "latency", "cost"),
    [
        ("load", "replicas"),
        ("load", "queue"),
        ("replicas", "queue"),
        ("queue", "latency"),
        ("replicas", "cost"),
        ("load", "latency"),
    ],
)


def test_the_autoscaler_adjusts_for_load_and_never_for_queue_or_cost() -> None:
    found = identify(AUTOSCALER, "replicas", "latency")
    assert isinstance(found, Estimand)
    assert (found.kind, found.adjustment) == ("backdoor", ("load",))
    assert found.formula == "P(latency | do(replicas)) = sum_{load} P(latency | replicas, load) P(load)"


def test_without_load_it_is_refused_with_the_path_and_the_remedy() -> None:
    found = identify(AUTOSCALER, "replicas", "latency", unobserved=["load"])
    assert isinstance(found, NotIdentified)
    assert (found.reason, found.proven) == ("hidden_confounder", True)
    assert found.blame == ("replicas <- load (hidden) -> latency",)
    assert found.blame[0] in found.detail
    assert found.remedy == "measure load, or randomise replicas"


def test_a_bow_is_refused_and_an_instrument_answers_it_by_an_assumption() -> None:
    bow = Graph.from_edges("zty", [("z", "t"), ("t", "y")])
    found = identify(bow, "t", "y", latents=[("t", "y")], methods=["backdoor", "frontdoor", "general"])
    assert isinstance(found, NotIdentified)
    assert found.proven
    assert found.remedy == "measure what causes both t and y, or randomise t"
    found = identify(bow, "t", "y", latents=[{"y", "t"}])
    assert isinstance(found, Estimand)
    assert (found.kind, found.instruments) == ("instrument", ("z",))
    assert "linear" in found.assumes
    found = identify(bow, "t", "y", latents=[("t", "y")], methods=["backdoor", "frontdoor"])
    assert isinstance(found, NotIdentified)
    assert not found.proven


def test_m_bias_needs_no_adjustment() -> None:
    graph = Graph.from_edges("tycuv", [("u", "t"), ("u", "c"), ("v", "c"), ("v", "y"), ("t", "y")])
    found = identify(graph, "t", "y", unobserved=["u", "v"])
    assert isinstance(found, Estimand)
    assert (found.kind, found.adjustment, found.alternatives) == ("backdoor", (), ())


def test_an_outcome_that_is_no_effect_has_none_whatever_is_hidden_or_selected() -> None:
    for arguments in ({}, {"latents": [("cost", "latency")]}, {"selected": ["load"]}, {"effect": "direct"}):
        found = identify(AUTOSCALER, "cost", "latency", **arguments)  # type: ignore[arg-type]
        assert isinstance(found, Estimand)
        assert found.kind == "zero"


@pytest.mark.parametrize("selected", ["latency", "load", "cost"])
def test_selection_that_spoils_the_answer_is_named(selected: str) -> None:
    found = identify(AUTOSCALER, "replicas", "latency", selected=[selected])
    assert isinstance(found, NotIdentified)
    assert found.reason == "selection"
    assert selected in found.detail
    assert selected in found.remedy


def test_selection_by_a_variable_without_data_still_counts() -> None:
    graph = Graph.from_edges("tys", [("t", "y"), ("y", "s")])
    found = identify(graph, "t", "y", selected=["s"], unobserved=["s"])
    assert isinstance(found, NotIdentified)
    assert found.reason == "selection"
    harmless = Graph.from_edges("tys", [("t", "y"), ("s", "t")])
    found = identify(harmless, "t", "y", selected=["s"], unobserved=["s"])
    assert isinstance(found, Estimand)


def test_direct_and_indirect_effects_and_their_traps() -> None:
    graph = Graph.from_edges("tmyw", [("t", "m"), ("m", "y"), ("t", "y"), ("w", "t"), ("w", "y")])
    direct = identify(graph, "t", "y", effect="direct")
    assert isinstance(direct, Estimand)
    assert (direct.kind, direct.mediators, direct.adjustment) == ("mediation", ("m",), ("w",))
    assert direct.formula == "sum_{w, m} (E[y | t=t1, m, w] - E[y | t=t0, m, w]) P(m | t=t0, w) P(w)"
    indirect = identify(graph, "t", "y", effect="indirect")
    assert isinstance(indirect, Estimand)
    assert indirect.formula == "sum_{w, m} E[y | t=t0, m, w] (P(m | t=t1, w) - P(m | t=t0, w)) P(w)"
    # A hidden cause of mediator and outcome.
    trapped = identify(graph, "t", "y", effect="direct", latents=[("m", "y")])
    assert isinstance(trapped, NotIdentified)
    assert (trapped.reason, trapped.blame) == ("mediator", ("m <-> y",))
    # The total effect does not mind.
    total = identify(graph, "t", "y", latents=[("m", "y")])
    assert isinstance(total, Estimand)
    assert total.adjustment == ("w",)


def test_a_mediator_joined_to_the_outcome_by_an_effect_of_the_treatment_is_named() -> None:
    graph = Graph.from_edges("tlmy", [("t", "l"), ("l", "m"), ("l", "y"), ("m", "y"), ("t", "y")])
    found = identify(graph, "t", "y", effect="indirect", mediators=["m"])
    assert isinstance(found, NotIdentified)
    assert found.reason == "mediator"
    assert "l, itself an effect of t" in found.detail
    assert "count l among the mediators" in found.remedy
    both = identify(graph, "t", "y", effect="indirect")
    assert isinstance(both, Estimand)
    assert both.mediators == ("l", "m")
    # With the mediator held fixed there is a formula, of l as an effect of t and a confounder of m.
    controlled = identify(graph, "t", "y", effect="controlled", mediators=["m"])
    assert isinstance(controlled, Estimand)
    assert (controlled.kind, controlled.formula) == ("general", "P(y | do(t, m)) = sum_{l} P(y | t, l, m) P(l | t)")


def test_a_controlled_effect_needs_the_mediator_randomised_too() -> None:
    graph = Graph.from_edges("tmy", [("t", "m"), ("m", "y"), ("t", "y")])
    found = identify(graph, "t", "y", effect="controlled", latents=[("m", "y")])
    assert isinstance(found, NotIdentified)
    assert found.proven
    assert found.remedy == "measure what causes both m and y, or randomise t and m"


def test_without_mediators_all_is_direct() -> None:
    graph = Graph.from_edges("ty", [("t", "y")])
    direct, indirect = (identify(graph, "t", "y", effect=each) for each in ("direct", "indirect"))
    assert isinstance(direct, Estimand)
    assert (direct.kind, direct.effect) == ("backdoor", "direct")
    assert isinstance(indirect, Estimand)
    assert indirect.kind == "zero"
    chain = Graph.from_edges("tmy", [("t", "m"), ("m", "y")])
    direct = identify(chain, "t", "y", effect="direct")
    assert isinstance(direct, Estimand)
    assert direct.kind == "zero"


def test_a_class_of_graphs_with_hidden_causes_is_asked_member_by_member() -> None:
    graph = Graph.from_edges("abcd", [("c", "d")], undirected=[("a", "b")], kind="cpdag")
    found = identify(graph, "c", "d", latents=[("c", "d")])
    assert isinstance(found, NotIdentified)
    chain = Graph.from_edges("abc", undirected=[("a", "b"), ("b", "c")], kind="cpdag")
    found = identify(chain, "b", "c", unobserved=["a"])
    assert isinstance(found, IdentifiedRange)
    assert found.edges == ("a -- b", "b -- c")
    # The same set does in each member: no range.
    wide = Graph.from_edges("abty", [("a", "t"), ("b", "t"), ("t", "y"), ("a", "y"), ("b", "y")], kind="cpdag")
    joined = Graph.from_edges("abcty", [*((e.a, e.b) for e in wide.edges())], undirected=[("a", "c")], kind="cpdag")
    found = identify(joined, "t", "y", selected=["c"], unobserved=["c"])
    assert isinstance(found, NotIdentified)
    assert found.reason == "selection"
    found = identify(joined, "t", "y", unobserved=["c"])
    assert isinstance(found, Estimand)
    assert found.adjustment == ("a", "b")


def test_ends_without_data_are_named() -> None:
    found = identify(AUTOSCALER, "replicas", "latency", unobserved=["latency"])
    assert isinstance(found, NotIdentified)
    assert (found.reason, found.remedy) == ("unmeasured", "measure latency")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"treatment": "speed"}, "no variable is named 'speed'"),
        ({"treatment": "latency"}, "both latency"),
        ({"selected": ["speed"]}, "no variable is named 'speed'"),
        ({"effect": "partial"}, "no effect is called 'partial'"),
        ({"methods": ["magic"]}, r"methods \['magic'\]"),
        ({"methods": []}, "must be some of"),
        ({"latents": [("load",)]}, "two different names"),
        ({"mediators": ["cost"], "effect": "direct"}, "cost is not on a directed path"),
        ({"mediators": ["latency"], "effect": "direct"}, "are no mediators"),
    ],
)
def test_bad_questions_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        identify(AUTOSCALER, **{"treatment": "replicas", "outcome": "latency", **arguments})  # type: ignore[arg-type]


def test_a_cycle_is_named() -> None:
    with pytest.raises(InvalidInput, match="directed cycle"):
        identify(Graph.from_edges("abc", [("a", "b"), ("b", "c"), ("c", "a")]), "a", "b")


def test_the_same_question_has_the_same_answer_to_the_letter() -> None:
    graph = Graph.from_edges("tyabc", [("a", "t"), ("a", "b"), ("b", "y"), ("c", "t"), ("c", "y"), ("t", "y")])
    first, second = (identify(graph, "t", "y") for _ in range(2))
    assert repr(first) == repr(second)
    assert isinstance(first, Estimand)
    assert first.adjustment == ("b", "c")
    assert first.alternatives == (("a", "c"),)
