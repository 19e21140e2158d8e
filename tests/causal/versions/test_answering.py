"""An answer that rests on a guessed direction is none."""

from dataclasses import replace
from functools import cache

from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph, Mark
from cogorch_dagster.causal.models import intervention
from cogorch_dagster.causal.versions import building
from cogorch_dagster.causal.versions.answering import counterfactual, what_if
from cogorch_dagster.causal.versions.version import CausalVersion
from tests.causal.samples import autoscaled


@cache
def version() -> CausalVersion:
    return building.build(autoscaled(), settings=DiscoverySettings(resamples=10))


def open_at(cause: str, effect: str) -> CausalVersion:
    """The graph with a circle at both ends of one edge."""
    marks = version().graph.marks.copy()
    i, j = version().graph.index(cause), version().graph.index(effect)
    marks[i, j] = marks[j, i] = Mark.CIRCLE
    return replace(version(), graph=Graph(version().graph.names, marks, "pag"))


def test_a_graph_without_open_ends_answers_as_its_model() -> None:
    asked = ({"context:replicas": 8.0}, ["latency_ms", "load"])
    assert what_if(version(), asked[0], outcomes=asked[1]) == intervention.what_if(
        version().model, asked[0], outcomes=asked[1]
    )


def test_against_the_guess_nothing_is_known_and_with_it_the_model_speaks() -> None:
    opened = open_at("load", "context:replicas")
    (backward,) = what_if(opened, {"context:replicas": 8.0}, outcomes=["load"])
    assert isinstance(backward, NotIdentified) and backward.reason == "edge_unoriented"
    assert "whether context:replicas causes load" in backward.detail
    (silent,) = counterfactual(opened, {"load": 100.0}, {"context:replicas": 8.0}, outcomes=["load"])
    assert isinstance(silent, NotIdentified)
    (onward,) = what_if(opened, {"context:replicas": 8.0}, outcomes=["latency_ms"])
    assert not isinstance(onward, NotIdentified) and onward.change < 0
    (untouched,) = what_if(opened, {"reward": 0.5}, outcomes=["load"])
    assert not isinstance(untouched, NotIdentified) and untouched.change == 0.0
