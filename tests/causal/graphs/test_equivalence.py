"""Classes agree with the enumeration of all their members, with knowledge and without."""

from collections import defaultdict
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.graphs.equivalence import consistent_extension, cpdag, marks_of, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Mark, Marks
from cogorch_dagster.causal.graphs.separation import is_acyclic

LAW = settings(max_examples=60, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
Key = tuple[bytes, frozenset[tuple[int, int, int]]]


def key(directed: Booleans) -> Key:
    """Skeleton and unshielded colliders, which DAGs of one class share (Verma and Pearl 1990)."""
    skeleton = directed | directed.T
    colliders = {
        (int(a), b, int(c))
        for b in range(len(directed))
        for a, c in combinations(np.flatnonzero(directed[:, b]), 2)
        if not skeleton[a, c]
    }
    return skeleton.tobytes(), frozenset(colliders)


def dags_of(skeleton: Booleans) -> list[Booleans]:
    pairs = np.argwhere(np.triu(skeleton))
    found = []
    for choice in product((False, True), repeat=len(pairs)):
        directed = np.zeros_like(skeleton)
        for (i, j), forth in zip(pairs, choice, strict=True):
            directed[(i, j) if forth else (j, i)] = True
        if is_acyclic(directed):
            found.append(directed)
    return found


@cache
def classes_of_four() -> dict[Key, list[Booleans]]:
    """Every class of DAGs over four variables: 185 of 543."""
    found: dict[Key, list[Booleans]] = defaultdict(list)
    for bits in product((False, True), repeat=6):
        skeleton = np.zeros((4, 4), dtype=bool)
        skeleton[np.triu_indices(4, 1)] = bits
        for directed in dags_of(skeleton | skeleton.T):
            found[key(directed)].append(directed)
    return dict(found)


def common(members: list[Booleans]) -> Marks:
    """What all members direct alike is directed, other edges are not."""
    always = np.all(members, axis=0)
    return marks_of(always, (members[0] | members[0].T) & ~always & ~always.T)


def random_dag(rng: np.random.Generator, p: int, density: float) -> Booleans:
    order = rng.permutation(p)
    return np.triu(rng.random((p, p)) < density, 1)[np.ix_(order, order)]


def test_all_classes_of_four_variables() -> None:
    found = classes_of_four()
    assert (len(found), sum(map(len, found.values()))) == (185, 543)
    for members in found.values():
        expected = common(members)
        for directed in members:
            assert (cpdag(directed) == expected).all()


def test_an_extension_is_a_member() -> None:
    for same, members in classes_of_four().items():
        extension = consistent_extension(cpdag(members[0]))
        assert extension is not None and is_acyclic(extension)
        assert key(extension) == same


@LAW
@given(SEEDS)
def test_knowledge_leaves_what_the_members_in_accord_with_it_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = int(rng.integers(3, 6))
    truth = random_dag(rng, p, 0.7)
    skeleton = truth | truth.T
    required = truth & (rng.random((p, p)) < 0.2)
    forbidden = ~truth & (rng.random((p, p)) < 0.2)
    members = [
        each
        for each in dags_of(skeleton)
        if key(each) == key(truth) and not (required & ~each).any() and not (forbidden & each).any()
    ]
    found = cpdag(truth, required, forbidden)
    assert (found == common(members)).all()
    extension = consistent_extension(found)
    assert extension is not None and any((extension == each).all() for each in members)


@LAW
@given(SEEDS)
def test_closure_is_at_rest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    marks = cpdag(random_dag(rng, 9, 0.4))
    assert (meek(marks) == marks).all()


def test_each_rule_fires() -> None:
    def edges(directed: list[tuple[int, int]], undirected: list[tuple[int, int]], p: int) -> Marks:
        d, u = np.zeros((p, p), dtype=bool), np.zeros((p, p), dtype=bool)
        for i, j in directed:
            d[i, j] = True
        for i, j in undirected:
            u[i, j] = u[j, i] = True
        return marks_of(d, u)

    first = meek(edges([(0, 1)], [(1, 2)], 3))
    assert (first == edges([(0, 1), (1, 2)], [], 3)).all()
    second = meek(edges([(0, 1), (1, 2)], [(0, 2)], 3))
    assert (second == edges([(0, 1), (1, 2), (0, 2)], [], 3)).all()
    third = meek(edges([(1, 3), (2, 3)], [(0, 1), (0, 2), (0, 3)], 4))
    assert (third == edges([(1, 3), (2, 3), (0, 3)], [(0, 1), (0, 2)], 4)).all()
    # Rule 4 needs knowledge: 0 - 1 -> 2 -> 3, 0 - 3, 0 - 2, with 1 and 3 apart.
    fourth = meek(edges([(1, 2), (2, 3)], [(0, 1), (0, 2), (0, 3)], 4))
    assert (fourth == edges([(1, 2), (2, 3), (0, 3)], [(0, 1), (0, 2)], 4)).all()


def test_what_is_forbidden_both_ways_stays_undirected() -> None:
    both = np.array([[False, True], [True, False]])
    assert (meek(marks_of(np.zeros_like(both), both), forbidden=both) == Mark.TAIL)[both].all()


@pytest.mark.parametrize("p", [4, 5, 6])
def test_an_undirected_cycle_without_chords_has_no_member(p: int) -> None:
    cycle = np.zeros((p, p), dtype=bool)
    for i in range(p):
        cycle[i, (i + 1) % p] = cycle[(i + 1) % p, i] = True
    assert consistent_extension(marks_of(np.zeros_like(cycle), cycle)) is None


def test_marks_that_are_no_class_are_left() -> None:
    marks = np.array([[0, Mark.ARROW], [Mark.CIRCLE, 0]], dtype=np.int8)
    assert (meek(marks) == marks).all()
