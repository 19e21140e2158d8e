"""The picture of a graph: every box in its column, no edge lost, small enough for the event log."""

from io import BytesIO

import numpy as np
from PIL import Image

from assets.presentation import PLOT_LIMIT_BYTES, picture
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.versions.picture import graph_picture, wrapped

NAMES = ("load", "context:replicas", "queue_ms", "latency_ms", "reward")
CHAIN = Graph.from_edges(
    NAMES, [("load", "context:replicas"), ("context:replicas", "queue_ms"), ("queue_ms", "reward")]
)


def size(png: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(png)) as image:
        return image.size


def test_causes_stand_left_of_effects_and_the_same_graph_gives_the_same_picture() -> None:
    drawn = graph_picture(CHAIN, title="t")
    assert drawn == graph_picture(CHAIN, title="t")
    assert size(drawn)[0] > size(graph_picture(Graph.from_edges(NAMES, [("load", "reward")]), title="t"))[0]


def test_strength_and_doubt_are_seen() -> None:
    strengths, sure = np.zeros((5, 5)), np.ones((5, 5))
    strengths[0, 1] = 0.8
    plain = graph_picture(CHAIN, title="t", strengths=strengths, probabilities=sure)
    assert plain != graph_picture(CHAIN, title="t", strengths=-strengths, probabilities=sure)
    assert plain != graph_picture(CHAIN, title="t", strengths=strengths, probabilities=0.3 * sure)


def test_forty_variables_of_every_sort_fit_into_the_event_log() -> None:
    names = tuple(f"param:weights.model-{k}" for k in range(40))
    directed = [(names[k], names[k + 7]) for k in range(0, 33, 2)]
    graph = Graph.from_edges(
        names, directed, undirected=[(names[1], names[3])], bidirected=[(names[5], names[9])], kind="pag"
    )
    drawn = picture(graph_picture(graph, title="forty"), "forty")
    assert len(drawn.md_str or "") < PLOT_LIMIT_BYTES + 100


def test_names_are_broken_where_they_have_a_mark() -> None:
    assert wrapped("param:modelWeights.large").splitlines() == ["param:", "modelWeights.", "large"]
    assert all(len(line) <= 20 for line in wrapped("x" * 60).splitlines())


def test_one_variable_without_edges_is_a_picture_too() -> None:
    assert size(graph_picture(Graph.from_edges(("a",)), title="t"))[0] > 100
