"""FCI and its rules: the marks are those that all graphs with the same separations share."""

from collections import defaultdict
from functools import cache
from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.discovery.constraint_skeleton import limits, search
from cogorch_dagster.causal.discovery.fci import fci
from cogorch_dagster.causal.discovery.pag import closed, mag_of, pag_of
from cogorch_dagster.causal.graphs.graph import Graph, Mark, Marks
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import ancestors, m_separated
from cogorch_dagster.errors import InvalidInput
from tests.causal.discovery.linear_systems import (
    correlation,
    dag_of,
    exact,
    names_of,
    random_dag,
    rows_of,
    sampled,
    with_hidden,
)

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=30, deadline=None)
PAIRS = list(combinations(range(4), 2))


def ancestral(marks: Marks) -> bool:
    directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
    reach = ancestors(directed)
    np.fill_diagonal(reach, False)
    return not (reach & (reach.T | ((marks == Mark.ARROW) & (marks.T == Mark.ARROW)))).any()


@cache
def classes_of_four() -> list[list[Marks]]:
    """Every class of maximal ancestral graphs over four variables, whose edges are -> and <->."""
    ends = ((0, 0), (Mark.TAIL, Mark.ARROW), (Mark.ARROW, Mark.TAIL), (Mark.ARROW, Mark.ARROW))
    found: dict[tuple[bool, ...], list[Marks]] = defaultdict(list)
    for choice in product(ends, repeat=6):
        marks = np.zeros((4, 4), dtype=np.int8)
        for (i, j), (at_i, at_j) in zip(PAIRS, choice, strict=True):
            marks[j, i], marks[i, j] = at_i, at_j
        if not ancestral(marks):
            continue
        key: list[bool] = []
        maximal = True
        for i, j in PAIRS:
            rest = [v for v in range(4) if v not in {i, j}]
            sets = chain.from_iterable(combinations(rest, size) for size in range(3))
            separated = [not marks[i, j] and m_separated(marks, i, j, z) for z in sets]
            maximal = maximal and bool(marks[i, j] or any(separated))
            key += separated
        if maximal:
            found[tuple(key)].append(marks)
    return list(found.values())


def test_the_rules_leave_the_marks_that_all_members_share() -> None:
    for members in classes_of_four():
        same = np.all(np.array(members) == members[0], axis=0)
        expected = np.where(same, members[0], np.int8(Mark.CIRCLE))
        for marks in (members[0], members[-1]):
            assert (pag_of(Graph(names_of(4), marks, "admg")).marks == expected).all()
    assert len(classes_of_four()) > 200


@LAW
@given(SEEDS)
def test_a_dag_without_hidden_causes_is_its_own_ancestral_graph(seed: int) -> None:
    dag = dag_of(random_dag(np.random.default_rng(seed), 7, 0.4))
    assert (mag_of(dag).marks == dag.marks).all()


def test_what_is_hidden_becomes_a_bidirected_edge() -> None:
    dag = Graph.from_edges("abcdl", [("a", "b"), ("d", "c"), ("l", "b"), ("l", "c")])
    mag = mag_of(dag, tuple("abcd"))
    assert [each.text for each in mag.edges()] == ["a -> b", "b <-> c", "d -> c"]
    assert [each.text for each in pag_of(mag).edges()] == ["a o-> b", "b <-> c", "d o-> c"]


def test_an_inducing_path_becomes_an_edge() -> None:
    """x -> m <-> y, m -> y would be a bow; with m -> y the variables x and y cannot be separated."""
    dag = Graph.from_edges("xmyl", [("x", "m"), ("m", "y"), ("l", "m"), ("l", "y")])
    assert [each.text for each in mag_of(dag, tuple("xmy")).edges()] == ["x -> m", "x -> y", "m -> y"]


def test_selection_makes_a_circle_of_circles_undirected() -> None:
    marks = np.zeros((4, 4), dtype=np.int8)
    for i in range(4):
        marks[i, (i + 1) % 4] = marks[(i + 1) % 4, i] = Mark.CIRCLE
    sets = np.ones((4, 4, 4), dtype=bool)
    assert (closed(marks, sets) == marks).all()
    assert (closed(marks, sets, selection=True)[marks > 0] == Mark.TAIL).all()
    # R6 and R7: what hangs on an undirected edge has a tail there.
    more = np.zeros((5, 5), dtype=np.int8)
    more[:4, :4] = marks
    more[0, 4] = more[4, 0] = Mark.CIRCLE
    found = closed(more, np.ones((5, 5, 5), dtype=bool), selection=True)
    assert found[4, 0] == Mark.TAIL and found[0, 4] == Mark.CIRCLE


def test_exact_correlations_give_the_class() -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        directed = with_hidden(rng, 6, 0.3, 2)
        statistics = exact(correlation(rng, directed)[:6, :6])
        truth = pag_of(mag_of(dag_of(directed), names_of(6)))
        assert fci(statistics, alpha=1e-4) == truth, seed


@LAW
@given(SEEDS)
def test_knowledge_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = names_of(8)
    knowledge = Knowledge(
        tiers=(names[:3], names[3:6], names[6:]), within=(0,), required=frozenset({("v0", "v7"), ("v3", "v4")})
    )
    found = fci(sampled(rows_of(rng, correlation(rng, random_dag(rng, 8, 0.4)), 150)), alpha=0.1, knowledge=knowledge)
    assert found.directed[0, 7] and found.directed[3, 4]
    tier = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    # Of an edge between tiers the later variable is no cause, nor are those of the first tier of one another.
    later = found.skeleton & (tier[:, None] < tier[None, :])
    assert (found.marks[later] == Mark.ARROW).all()
    assert (found.marks[:3, :3][found.skeleton[:3, :3]] == Mark.ARROW).all()


def test_tiers_tell_a_cause_from_what_is_confounded() -> None:
    rng = np.random.default_rng(0)
    chain_dag = np.zeros((3, 3), dtype=bool)
    chain_dag[0, 1] = chain_dag[1, 2] = True
    statistics = exact(correlation(rng, chain_dag))
    assert [each.text for each in fci(statistics).edges()] == ["v0 o-o v1", "v1 o-o v2"]
    told = fci(statistics, knowledge=Knowledge(tiers=(("v0",), ("v1",), ("v2",))))
    assert [each.text for each in told.edges()] == ["v0 o-> v1", "v1 -> v2"]


def test_possible_separators_take_out_what_neighbours_cannot() -> None:
    """d and e are separated by a, b and c only, and a is next to neither."""
    edges = [("a", "b"), ("a", "c"), ("b", "e"), ("c", "d"), ("l", "b"), ("l", "d"), ("m", "c"), ("m", "e")]
    dag = Graph.from_edges("abcdelm", edges)
    matrix = correlation(np.random.default_rng(1), dag.directed)[:5, :5]
    statistics = exact(matrix)
    nothing = np.zeros((5, 5), dtype=bool)
    by_neighbours = search(statistics, ~np.eye(5, dtype=bool), nothing, limits(nothing, True, None), 1e-4)
    assert by_neighbours.adjacent[3, 4]
    found = fci(statistics, alpha=1e-4)
    assert not found.skeleton[3, 4]
    assert (found.marks == pag_of(mag_of(dag, tuple("abcde"))).marks).all()


def test_the_same_bytes_again() -> None:
    rng = np.random.default_rng(3)
    statistics = sampled(rows_of(rng, correlation(rng, random_dag(rng, 9, 0.4)), 200))
    assert fci(statistics).digest == fci(statistics).digest


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="alpha 1"):
        fci(exact(np.eye(3)), alpha=1.0)
    with pytest.raises(InvalidInput, match="max_condition -2"):
        fci(exact(np.eye(3)), max_condition=-2)
