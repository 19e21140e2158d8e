"""Separation is what the paths say, ancestors are what the graph reaches."""

from itertools import chain, combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.graphs.equivalence import marks_of
from cogorch_dagster.causal.graphs.graph import Booleans, Mark, Marks
from cogorch_dagster.causal.graphs.separation import ancestors, is_acyclic, m_separated, topological_order

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=60, deadline=None)


def random_dag(rng: np.random.Generator, p: int, density: float = 0.4) -> Booleans:
    order = rng.permutation(p)
    return np.triu(rng.random((p, p)) < density, 1)[np.ix_(order, order)]


def random_admg(rng: np.random.Generator, p: int) -> Marks:
    marks = marks_of(random_dag(rng, p, 0.35))
    for i, j in combinations(range(p), 2):
        if not marks[i, j] and rng.random() < 0.3:
            marks[i, j] = marks[j, i] = Mark.ARROW
    return marks


def separated_by_paths(marks: Marks, x: int, y: int, z: set[int]) -> bool:
    """Every path between x and y, one by one: open when no vertex on it blocks it."""
    directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
    given = ancestors(directed)[:, sorted(z)].any(axis=1)

    def open_from(path: list[int]) -> bool:
        here = path[-1]
        if here == y:
            return True
        for after in np.flatnonzero(marks[here]):
            if int(after) in path:
                continue
            if len(path) > 1:
                collider = marks[path[-2], here] == Mark.ARROW and marks[after, here] == Mark.ARROW
                if not given[here] if collider else here in z:
                    continue
            if open_from([*path, int(after)]):
                return True
        return False

    return not open_from([x])


@LAW
@given(SEEDS)
def test_dags_agree_with_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(3, 8))
    directed = random_dag(rng, p)
    graph = nx.from_numpy_array(directed, create_using=nx.DiGraph)
    for _ in range(10):
        roles = rng.integers(0, 4, size=p)
        x, y, z = ({int(v) for v in np.flatnonzero(roles == role)} for role in (1, 2, 3))
        if x and y:
            assert m_separated(marks_of(directed), x, y, z) == nx.is_d_separator(graph, x, y, z)


@LAW
@given(SEEDS)
def test_mixed_graphs_agree_with_the_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(3, 6))
    marks = random_admg(rng, p)
    for x, y in combinations(range(p), 2):
        rest = [v for v in range(p) if v not in {x, y}]
        for z in chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1)):
            expected = separated_by_paths(marks, x, y, set(z))
            assert m_separated(marks, x, y, z) == expected == m_separated(marks, y, x, z)


def test_a_bidirected_edge_opens_what_a_directed_one_closes() -> None:
    chain_marks = marks_of(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool))
    assert m_separated(chain_marks, 0, 2, [1]) and not m_separated(chain_marks, 0, 2)
    chain_marks[1, 2] = chain_marks[2, 1] = Mark.ARROW
    assert not m_separated(chain_marks, 0, 2, [1]) and m_separated(chain_marks, 0, 2)


def test_a_variable_is_not_separated_from_itself() -> None:
    empty = np.zeros((2, 2), dtype=np.int8)
    assert not m_separated(empty, [0, 1], 1)
    assert m_separated(empty, 0, 1)


@LAW
@given(SEEDS)
def test_ancestors_and_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, 12))
    directed = random_dag(rng, p)
    graph = nx.from_numpy_array(directed, create_using=nx.DiGraph)
    reach = ancestors(directed)
    for j in range(p):
        assert set(np.flatnonzero(reach[:, j])) == {*nx.ancestors(graph, j), j}
    place = np.argsort(topological_order(directed))
    assert all(place[i] < place[j] for i, j in np.argwhere(directed))
    assert is_acyclic(directed)


def test_cycles_are_seen() -> None:
    cycle = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=bool)
    assert not is_acyclic(cycle)
    assert not is_acyclic(np.array([[True]]))
    with pytest.raises(ValueError, match="cycle"):
        topological_order(cycle)
