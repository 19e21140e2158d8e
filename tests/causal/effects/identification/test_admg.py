"""Separation agrees with that of `graphs`; a projection keeps every separation of the measured variables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.admg import Admg, bits, projected
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.separation import m_separated
from tests.causal.effects.identification.exact import LinearModel, random_admg, subsets

LAW = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


@LAW
@given(SEEDS)
def test_separation_is_that_of_graphs(seed: int) -> None:
    drawn = random_admg(np.random.default_rng(seed), 5, 0.4, 0.2)
    pairs = [(drawn.names[i], drawn.names[j]) for j in range(5) for i in bits(drawn.parents[j])]
    # A `Graph` has one edge for a pair: arrows go first.
    apart = [
        (drawn.names[i], drawn.names[j])
        for i in range(5)
        for j in bits(drawn.spouses[i])
        if i < j and not (drawn.parents[i] >> j | drawn.parents[j] >> i) & 1
    ]
    whole = Graph.from_edges(drawn.names, pairs, bidirected=apart, kind="admg")
    graph = Admg.of(whole.names, whole.directed, whole.bidirected)
    for x in range(5):
        for y in range(x):
            for z in subsets(graph.everything & ~(1 << x | 1 << y)):
                assert graph.separated(1 << x, 1 << y, z) == m_separated(whole.marks, x, y, bits(z))


@LAW
@given(SEEDS)
def test_separation_is_a_vanishing_partial_correlation_of_every_linear_model(seed: int) -> None:
    """Bows included, which a `Graph` does not have; a generic model has no other zeros."""
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 5, 0.4, 0.25)
    covariance = LinearModel.of(graph, rng).covariance
    for x in range(5):
        for y in range(x):
            for z in subsets(graph.everything & ~(1 << x | 1 << y)):
                part = np.linalg.inv(covariance[np.ix_([x, y, *bits(z)], [x, y, *bits(z)])])
                partial = abs(part[0, 1]) / np.sqrt(part[0, 0] * part[1, 1])
                assert graph.separated(1 << x, 1 << y, z) == (partial < 1e-9)


@LAW
@given(SEEDS)
def test_a_projection_keeps_separations_and_ancestors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 7, 0.35, 0.15)
    gone = int(rng.integers(1, 1 << 7)) & int(rng.integers(1, 1 << 7))
    kept = [v for v in range(7) if not gone >> v & 1]
    small = projected(graph, gone)
    assert small.names == tuple(graph.names[v] for v in kept)
    for x in range(len(kept)):
        for y in range(x):
            old = {1 << x: 1 << kept[x], 1 << y: 1 << kept[y]}
            assert bool(small.ancestors(1 << y) & 1 << x) == bool(graph.ancestors(1 << kept[y]) & 1 << kept[x])
            for z in subsets(small.everything & ~(1 << x | 1 << y)):
                given_ = sum(1 << kept[v] for v in bits(z))
                assert small.separated(1 << x, 1 << y, z) == graph.separated(old[1 << x], old[1 << y], given_)


def test_a_hidden_cause_of_a_pair_keeps_its_name() -> None:
    names = ("u", "v", "x", "y", "z")
    directed = np.zeros((5, 5), dtype=bool)
    directed[0, [1, 2]] = directed[1, [3, 4]] = True
    found = projected(Admg.of(names, directed, directed & False), 0b11)
    assert {(found.names[a], found.names[b]): set(each) for (a, b), each in found.hidden.items()} == {
        ("x", "y"): {"u"},
        ("x", "z"): {"u"},
        ("y", "z"): {"v"},
    }


def test_an_order_has_causes_first_and_a_cycle_has_none() -> None:
    directed = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=bool)
    assert Admg.of(("a", "b", "c"), directed, directed & False).order() == [2, 1, 0]
    directed[0, 2] = True
    with pytest.raises(ValueError, match="cycle"):
        Admg.of(("a", "b", "c"), directed, directed & False).order()
