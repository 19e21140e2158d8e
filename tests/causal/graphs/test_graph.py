"""A graph keeps its marks, reads them back from plain JSON, and refuses those that its kind does not have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.graphs.graph import Graph, Mark
from cogorch_dagster.errors import InvalidInput

NAMES = ("a", "b", "c", "d")
SEEDS = st.integers(0, 2**32 - 1)


def random_pag(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    joined = np.triu(rng.random((4, 4)) < 0.6, 1)
    marks = np.where(joined | joined.T, rng.integers(1, 4, size=(4, 4)), 0)
    return Graph(NAMES, marks.astype(np.int8), "pag")


def test_marks_stand_at_the_second_index() -> None:
    graph = Graph.from_edges(NAMES, [("a", "b")], bidirected=[("b", "c")], undirected=[("c", "d")], kind="pag")
    assert (graph.marks[0, 1], graph.marks[1, 0]) == (Mark.ARROW, Mark.TAIL)
    assert (graph.marks[1, 2], graph.marks[2, 1]) == (Mark.ARROW, Mark.ARROW)
    assert (graph.marks[2, 3], graph.marks[3, 2]) == (Mark.TAIL, Mark.TAIL)
    assert not graph.marks[0, 2] and not graph.marks[0, 3]


def test_relatives_are_named() -> None:
    graph = Graph.from_edges(
        NAMES, [("a", "c"), ("b", "c")], bidirected=[("a", "b")], undirected=[("c", "d")], kind="pag"
    )
    assert graph.parents("c") == ("a", "b")
    assert graph.children("a") == ("c",)
    assert graph.spouses("a") == ("b",) and graph.spouses("b") == ("a",)
    assert graph.neighbours("d") == ("c",) and graph.neighbours("a") == ()
    assert graph.adjacent("b", "a") and not graph.adjacent("a", "d")
    assert graph.directed.sum() == 2 and graph.bidirected.sum() == 2 and graph.undirected.sum() == 2
    assert graph.skeleton.sum() == 8


def test_an_edge_reads_from_its_cause_on() -> None:
    marks = np.zeros((4, 4), dtype=np.int8)
    marks[1, 0], marks[0, 1] = Mark.ARROW, Mark.TAIL
    marks[2, 1], marks[1, 2] = Mark.ARROW, Mark.CIRCLE
    marks[2, 3], marks[3, 2] = Mark.CIRCLE, Mark.CIRCLE
    marks[0, 3], marks[3, 0] = Mark.ARROW, Mark.ARROW
    texts = [each.text for each in Graph(NAMES, marks, "pag").edges()]
    assert texts == ["b -> a", "a <-> d", "c o-> b", "c o-o d"]
    assert Graph.from_edges("ab", undirected=[("a", "b")], kind="cpdag").edges()[0].text == "a -- b"


@settings(max_examples=50, deadline=None)
@given(SEEDS, SEEDS)
def test_a_document_is_the_graph(first: int, second: int) -> None:
    one, other = random_pag(first), random_pag(second)
    back = Graph.of(one.document())
    assert back == one and hash(back) == hash(one) and (back.marks == one.marks).all()
    assert (one == other) == bool((one.marks == other.marks).all())
    assert one.digest.startswith("sha256:") and len(one.digest) == 71


def test_the_kind_is_part_of_the_graph() -> None:
    dag = Graph.from_edges(NAMES, [("a", "b")])
    assert dag != Graph(NAMES, dag.marks, "cpdag")
    assert dag != "a -> b"


def test_marks_are_a_copy_that_cannot_be_written() -> None:
    marks = np.zeros((4, 4), dtype=np.int8)
    graph = Graph(NAMES, marks, "dag")
    marks[0, 1], marks[1, 0] = Mark.ARROW, Mark.TAIL
    assert not graph.marks.any()
    with pytest.raises(ValueError, match="read-only"):
        graph.marks[0, 1] = Mark.ARROW


@pytest.mark.parametrize(
    ("kind", "edges", "text"),
    [
        ("dag", {"undirected": [("a", "b")]}, "a -- b"),
        ("dag", {"bidirected": [("c", "d")]}, "c <-> d"),
        ("cpdag", {"bidirected": [("c", "d")]}, "c <-> d"),
        ("admg", {"undirected": [("a", "b")]}, "a -- b"),
    ],
)
def test_a_kind_refuses_foreign_edges_by_name(kind: str, edges: dict[str, list[tuple[str, str]]], text: str) -> None:
    with pytest.raises(InvalidInput, match=f"{kind} cannot have the edge {text}"):
        Graph.from_edges(NAMES, kind=kind, **edges)  # type: ignore[arg-type]


def test_bad_graphs_are_refused() -> None:
    half = np.zeros((2, 2), dtype=np.int8)
    half[0, 1] = Mark.ARROW
    with pytest.raises(InvalidInput, match="both ends"):
        Graph(("a", "b"), half, "dag")
    with pytest.raises(InvalidInput, match="0 on the diagonal"):
        Graph(("a", "b"), np.eye(2, dtype=np.int8), "pag")
    with pytest.raises(InvalidInput, match=r"shape \(2, 2\) for 3"):
        Graph(("a", "b", "c"), np.zeros((2, 2), dtype=np.int8), "dag")
    with pytest.raises(InvalidInput, match="names a twice"):
        Graph(("a", "a"), np.zeros((2, 2), dtype=np.int8), "dag")
    with pytest.raises(InvalidInput, match="no 'tree'"):
        Graph(("a", "b"), np.zeros((2, 2), dtype=np.int8), "tree")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="a and x names no variable"):
        Graph.from_edges(NAMES, [("a", "x")])
    with pytest.raises(InvalidInput, match="more than one edge between b and a"):
        Graph.from_edges(NAMES, [("a", "b"), ("b", "a")])
    with pytest.raises(InvalidInput, match="no variable is named 'x'"):
        Graph.from_edges(NAMES).index("x")
