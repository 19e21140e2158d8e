"""Front doors give the effect exactly in binary and linear models, and one is found if any set of mediators is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification import estimands
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.frontdoor import front_door, valid
from tests.causal.effects.identification.exact import (
    BinaryModel,
    Floats,
    LinearModel,
    linear_value,
    random_admg,
    subsets,
)

LAW = settings(max_examples=150, deadline=None)


def by_formula(joint: Floats, t: int, y: int, mediators: int, covariates: int) -> Floats:
    """sum_w P(w) sum_m P(m | t, w) sum_t' P(y | m, t', w) P(t' | w); t is an axis of its own at the end."""
    kept = [t, y, *bits(mediators), *bits(covariates)]
    table = joint.sum(axis=tuple(v for v in range(joint.ndim) if v not in kept), keepdims=True)
    m = tuple(bits(mediators))
    total = table.sum(axis=(t, y, *m), keepdims=True)
    of_t = table.sum(axis=(y, *m), keepdims=True) / total
    of_m = table.sum(axis=y, keepdims=True) / table.sum(axis=(y, *m), keepdims=True)
    of_y = table / table.sum(axis=y, keepdims=True)
    inner = (of_y * of_t).sum(axis=t, keepdims=True)
    return (total * of_m * inner).sum(axis=(*m, *bits(covariates)), keepdims=True)


def doors(seed: int) -> tuple[np.random.Generator, Admg, int, int]:
    """Graphs in which t and y are confounded and joined by at least one path of others."""
    rng = np.random.default_rng(seed)
    while True:
        graph = random_admg(rng, 5, 0.4, 0.12)
        found = [
            (t, y)
            for t in range(5)
            for y in bits(graph.spouses[t] & graph.descendants(1 << t))
            if not graph.children[t] >> y & 1
        ]
        if found:
            return rng, graph, *found[rng.integers(len(found))]


@LAW
@given(st.integers(0, 2**32 - 1))
def test_front_doors_are_exact_and_found_whenever_there_is_one(seed: int) -> None:
    rng, graph, t, y = doors(seed)
    between = graph.descendants(1 << t) & graph.ancestors(1 << y) & ~(1 << t | 1 << y)
    free = graph.everything & ~(graph.descendants(1 << t) | 1 << y)
    every = [(m, w) for m in subsets(between) if m for w in subsets(free) if valid(graph, t, y, m, w)]
    found = front_door(graph, t, y)
    if found is None:
        # Covariates that are no causes of either end are not searched.
        causes = graph.ancestors(1 << t | 1 << y)
        assert not [each for each in every if each[1] in (0, causes & free)]
        return
    assert found in every
    models = [BinaryModel.of(graph, rng) for _ in range(2)]
    for mediators, covariates in [found, *every[:3]]:
        for model in models:
            value = by_formula(model.joint(), t, y, mediators, covariates)
            assert np.allclose(value, model.intervened(1 << t, 1 << y))
    linear = LinearModel.of(graph, rng)
    estimand = estimands.frontdoor(Question(graph, t, y), *found)
    assert linear_value(estimand, graph.names, linear.covariance) == pytest.approx(linear.total(t, y), abs=1e-8)


def test_a_front_door_within_levels_of_a_cause_of_both_mediator_and_ends() -> None:
    # w -> t -> m -> y, w -> m, w -> y, t <-> y: closed only given w.
    names = ("t", "m", "y", "w")
    directed = np.zeros((4, 4), dtype=bool)
    for a, b in ("tm", "my", "wt", "wm", "wy"):
        directed[names.index(a), names.index(b)] = True
    bidirected = np.zeros_like(directed)
    bidirected[[0, 2], [2, 0]] = True
    graph = Admg.of(names, directed, bidirected)
    assert front_door(graph, 0, 2) == (0b0010, 0b1000)
    assert not valid(graph, 0, 2, 0b0010, 0)
    found = estimands.frontdoor(Question(graph, 0, 2), 0b0010, 0b1000)
    assert found.formula == "P(y | do(t)) = sum_{w, m} P(w) P(m | t, w) sum_{t'} P(y | m, t', w) P(t' | w)"


@pytest.mark.parametrize("confounded", ["tm", "my"])
def test_a_confounded_mediator_is_no_front_door(confounded: str) -> None:
    names = ("t", "m", "y")
    directed = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    bidirected = np.zeros_like(directed)
    for a, b in ("ty", confounded):
        bidirected[names.index(a), names.index(b)] = bidirected[names.index(b), names.index(a)] = True
    assert front_door(Admg.of(names, directed, bidirected), 0, 2) is None
