"""Instruments give the effect in linear models, and what is no instrument does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification import estimands
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.instruments import find_instruments, valid
from tests.causal.effects.identification.exact import LinearModel, linear_value, random_admg, subsets

LAW = settings(max_examples=60, deadline=None)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_instruments_are_those_that_give_the_effect_of_confounded_treatments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        graph = random_admg(rng, 5, 0.35, 0.15)
        confounded = [(t, y) for t in range(5) for y in bits(graph.spouses[t] & graph.descendants(1 << t))]
        if confounded:
            break
    t, y = confounded[rng.integers(len(confounded))]
    models = [LinearModel.of(graph, rng) for _ in range(2)]
    others = graph.everything & ~(graph.descendants(1 << t) | 1 << y)
    some = False
    for i in bits(others):
        for given_ in subsets(others & ~(1 << i)):
            told = valid(graph, t, y, i, given_)
            some |= told
            estimand = estimands.instrument(Question(graph, t, y), 1 << i, given_)
            if not graph.reached(1 << i, given_) >> t & 1:
                assert not told
                continue
            errors = [abs(linear_value(estimand, graph.names, each.covariance) - each.total(t, y)) for each in models]
            assert told == (max(errors) < 1e-7)
    found = find_instruments(graph, t, y)
    assert (found is not None) == some
    if found is not None:
        estimand = estimands.instrument(Question(graph, t, y), *found)
        for each in models:
            assert linear_value(estimand, graph.names, each.covariance) == pytest.approx(each.total(t, y), abs=1e-7)


def graph_of(names: str, arrows: str, hidden: str) -> Admg:
    directed = np.zeros((len(names), len(names)), dtype=bool)
    bidirected = np.zeros_like(directed)
    for a, b in arrows.split():
        directed[names.index(a), names.index(b)] = True
    for a, b in hidden.split():
        bidirected[names.index(a), names.index(b)] = bidirected[names.index(b), names.index(a)] = True
    return Admg.of(tuple(names), directed, bidirected)


@pytest.mark.parametrize(
    ("names", "arrows", "hidden", "instruments", "given_"),
    [
        ("tyz", "zt ty", "ty", "z", ""),
        ("tyzw", "zt ty wz wy", "ty", "z", "w"),
        ("tyzw", "zt wt ty", "ty", "zw", ""),
        # w moves the treatment only through z.
        ("tyzw", "wz zt ty", "ty", "z", ""),
        # z is no cause of the treatment, but has a hidden cause with it.
        ("tyz", "ty", "ty tz", "z", ""),
    ],
)
def test_known_instruments(names: str, arrows: str, hidden: str, instruments: str, given_: str) -> None:
    graph = graph_of(names, arrows, hidden)
    found = find_instruments(graph, 0, 1)
    assert found is not None
    assert "".join(graph.named(found[0])) == instruments
    assert "".join(graph.named(found[1])) == given_


@pytest.mark.parametrize(
    ("names", "arrows", "hidden"),
    [
        ("tyz", "zt ty zy", "ty"),
        ("tyz", "zt ty", "ty zy"),
        ("tyz", "ty tz", "ty"),
        ("tyz", "ty", "ty"),
        ("tyzw", "zw wt ty wy", "ty"),
    ],
)
def test_what_reaches_the_outcome_otherwise_is_no_instrument(names: str, arrows: str, hidden: str) -> None:
    assert find_instruments(graph_of(names, arrows, hidden), 0, 1) is None
