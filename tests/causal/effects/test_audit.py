"""dowhy, given the same query, agrees, and notices when an answer is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.effects.audit import audit
from cogorch_dagster.causal.effects.effect import effect
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput
from tests.causal.effects.synthetic import dataset, front_door, instrument, linear_backdoor


@pytest.mark.parametrize(
    ("build", "kind"), [(linear_backdoor, "backdoor"), (front_door, "frontdoor"), (instrument, "instrument")]
)
def test_dowhy_agrees_on_what_identifies_the_effect_and_on_its_size(build, kind, capfd) -> None:
    query = build(np.random.default_rng(0))
    found = audit(query.data, query.graph, effect(query.data, query.graph, "t", "y", simulations=0))
    assert found.kind == kind and found.agrees
    assert found.value == pytest.approx(found.ours, rel=0.3)
    assert capfd.readouterr() == ("", "")


def test_the_same_set_gives_the_same_number_and_a_wrong_answer_is_noticed() -> None:
    rng = np.random.default_rng(1)
    u = rng.normal(size=500)
    t = u + rng.normal(size=500)
    data = dataset(u=u, t=t, y=t + u + rng.normal(size=500))
    graph = Graph.from_edges(["u", "t", "y"], [("u", "t"), ("u", "y"), ("t", "y")])
    answer = effect(data, graph, "t", "y", simulations=0)
    found = audit(data, graph, answer)
    assert found.same_set and found.adjustment == ("u",)
    assert found.value == pytest.approx(found.ours, rel=1e-9)
    moved = replace(answer.estimate, value=answer.estimate.value + 0.01)
    assert not audit(data, graph, replace(answer, estimate=moved)).agrees


def test_neither_identifies_a_bow_and_both_see_where_no_path_leads() -> None:
    rng = np.random.default_rng(2)
    data = dataset(t=rng.normal(size=100), y=rng.normal(size=100))
    bow = Graph.from_edges(["u", "t", "y"], [("u", "t"), ("u", "y"), ("t", "y")])
    assert audit(data, bow, effect(data, bow, "t", "y")).agrees
    found = audit(data, bow, effect(data, bow, "y", "t"))
    assert found.kind == "zero" and found.agrees


def test_only_total_effects_in_graphs_that_dowhy_reads() -> None:
    data = dataset(t=np.arange(50) % 7.0, y=np.arange(50) % 5.0)
    graph = Graph.from_edges(["t", "y"], [("t", "y")])
    answer = effect(data, graph, "t", "y", simulations=0)
    with pytest.raises(InvalidInput, match="dag or admg"):
        audit(data, Graph.from_edges(["t", "y"], undirected=[("t", "y")], kind="cpdag"), answer)
    with pytest.raises(InvalidInput, match="total effects"):
        audit(data, graph, replace(answer, estimand=replace(answer.estimand, effect="direct")))
