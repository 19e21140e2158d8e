"""Distances count pairs, scores count marks."""

import pytest

from cogorch_dagster.causal.graphs.comparison import (
    Scores,
    arrowhead_scores,
    bidirected_scores,
    directed_scores,
    shd,
    skeleton_scores,
)
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput

NAMES = ("a", "b", "c", "d")
TRUTH = Graph.from_edges(NAMES, [("a", "b"), ("b", "c")], bidirected=[("c", "d")], kind="pag")
# Missing b -> c, a - b undirected, c -> d instead of <->, and a -> d that is not.
FOUND = Graph.from_edges(NAMES, [("c", "d"), ("a", "d")], undirected=[("a", "b")], kind="pag")


def test_a_graph_is_at_no_distance_from_itself() -> None:
    assert shd(TRUTH, TRUTH) == 0
    for scores in (skeleton_scores, arrowhead_scores, directed_scores, bidirected_scores):
        assert scores(TRUTH, TRUTH).f1 == 1.0


def test_each_pair_that_differs_counts_once() -> None:
    assert shd(FOUND, TRUTH) == shd(TRUTH, FOUND) == 4
    reversed_edge = Graph.from_edges(NAMES, [("b", "a"), ("b", "c")], bidirected=[("c", "d")], kind="pag")
    assert shd(reversed_edge, TRUTH) == 1


def test_scores_count_what_they_name() -> None:
    assert skeleton_scores(FOUND, TRUTH) == Scores(2, 3, 3)
    # True arrowheads at b, c, c and d; found ones at d (from c, right) and d (from a, wrong).
    assert arrowhead_scores(FOUND, TRUTH) == Scores(1, 2, 4)
    assert directed_scores(FOUND, TRUTH) == Scores(0, 2, 2)
    assert bidirected_scores(FOUND, TRUTH) == Scores(0, 0, 1)


def test_precision_recall_and_f1() -> None:
    scores = Scores(3, 4, 6)
    assert (scores.precision, scores.recall, scores.f1) == (0.75, 0.5, 0.6)
    assert (Scores(0, 0, 5).precision, Scores(0, 0, 5).recall) == (1.0, 0.0)
    assert (Scores(0, 5, 0).precision, Scores(0, 5, 0).recall) == (0.0, 1.0)
    assert Scores(0, 0, 0).f1 == 1.0


def test_other_variables_are_refused() -> None:
    with pytest.raises(InvalidInput, match="same variables"):
        shd(TRUTH, Graph.from_edges(("b", "a", "c", "d")))
