"""Members of a class are exactly the graphs with its skeleton and colliders; large classes say that they are cut."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.graphs.equivalence import cpdag
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.members import members
from cogorch_dagster.errors import InvalidInput


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.floats(0.2, 0.9), st.integers(0, 2**32 - 1))
def test_they_are_all_graphs_of_the_class(p: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dag = np.triu(rng.random((p, p)) < density, 1)
    marks = cpdag(dag)
    found, complete = members(Graph(tuple("abcde"[:p]), marks, "cpdag"), 200, 0)
    assert complete
    skeleton = dag | dag.T
    # Every orientation of the skeleton that some order of the variables gives, and that has the same class.
    wanted = set()
    for order in permutations(range(p)):
        place = np.argsort(order)
        other = skeleton & (place[:, None] < place[None, :])
        if np.array_equal(cpdag(other), marks):
            wanted.add(other.tobytes())
    assert {each.tobytes() for each in found} == wanted
    assert len(found) == len(wanted)


def test_a_large_class_is_cut_and_says_so() -> None:
    full = Graph(tuple("abcdef"), cpdag(np.triu(np.ones((6, 6), dtype=bool), 1)), "cpdag")
    found, complete = members(full, 10, 3)
    assert not complete
    assert len({each.tobytes() for each in found}) == len(found) == 10
    again, _ = members(full, 10, 3)
    assert [each.tobytes() for each in again] == [each.tobytes() for each in found]
    everything, complete = members(full, 720, 3)
    assert complete
    assert len(everything) == 720


def test_graphs_without_members_are_refused() -> None:
    circle = Graph.from_edges("abc", [("a", "b"), ("b", "c"), ("c", "a")])
    with pytest.raises(InvalidInput, match="directed cycle"):
        members(circle, 5, 0)
    square = Graph.from_edges("abcd", undirected=[("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")], kind="cpdag")
    with pytest.raises(InvalidInput, match="no equivalence class"):
        members(square, 5, 0)
    with pytest.raises(InvalidInput, match="circles open"):
        members(Graph.from_edges("ab", kind="pag"), 5, 0)
