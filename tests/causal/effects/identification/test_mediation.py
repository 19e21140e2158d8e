"""Natural effects are exact where they are answered, in linear models and, of counterfactuals, in binary ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification import estimands
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.mediation import between, covariates, valid
from tests.causal.effects.identification.exact import (
    BinaryModel,
    Floats,
    LinearModel,
    linear_value,
    random_admg,
    subsets,
)

LAW = settings(max_examples=150, deadline=None)


def mediated(seed: int) -> tuple[np.random.Generator, Admg, int, int]:
    rng = np.random.default_rng(seed)
    while True:
        graph = random_admg(rng, 5, 0.5, 0.08)
        found = [(t, y) for t in range(5) for y in range(5) if t != y and between(graph, t, y)]
        if found:
            return rng, graph, *found[rng.integers(len(found))]


def crossed(model: BinaryModel, t: int, y: int, mediators: int) -> Floats:
    """P(y of t=1 with the mediators of t=0), each variable by its own mechanism (Pearl 2001)."""
    count = len(model.factors)
    found = np.ones([1] * (count + len(model.hidden)))
    for each in model.hidden:
        found = found * each
    for v, factor in enumerate(model.factors):
        if v == t or factor.shape[t] == 1:
            at = factor if v != t else 1.0
        else:
            at = factor.take([0 if mediators >> v & 1 else 1], axis=t)
        found = found * at
    rest = tuple(v for v in range(found.ndim) if v != y)
    return found.sum(axis=rest)


def by_formula(joint: Floats, t: int, y: int, mediators: int, members: int) -> Floats:
    """sum_{w, m} P(y | t=1, m, w) P(m | t=0, w) P(w)."""
    kept = [t, y, *bits(mediators | members)]
    table = joint.sum(axis=tuple(v for v in range(joint.ndim) if v not in kept), keepdims=True)
    m = tuple(bits(mediators))
    of_y = (table / table.sum(axis=y, keepdims=True)).take([1], axis=t)
    of_m = (table.sum(axis=y, keepdims=True) / table.sum(axis=(y, *m), keepdims=True)).take([0], axis=t)
    found = of_y * of_m * table.sum(axis=(t, y, *m), keepdims=True)
    return found.sum(axis=tuple(v for v in range(joint.ndim) if v != y))


@LAW
@given(st.integers(0, 2**32 - 1))
def test_natural_effects_are_exact_and_found_whenever_a_set_meets_the_conditions(seed: int) -> None:
    rng, graph, t, y = mediated(seed)
    mediators = between(graph, t, y)
    found = covariates(graph, t, y, mediators)
    every = [w for w in subsets(graph.everything & ~(1 << t | 1 << y | mediators)) if valid(graph, t, y, mediators, w)]
    assert (found is not None) == bool(every)
    if found is None:
        return
    assert found in every
    model, linear = BinaryModel.of(graph, rng), LinearModel.of(graph, rng)
    for w in every:
        assert np.allclose(by_formula(model.joint(), t, y, mediators, w), crossed(model, t, y, mediators))
    direct = linear.past(t, y, list(bits(mediators)))
    for effect, truth in (("direct", direct), ("indirect", linear.total(t, y) - direct)):
        question = Question(graph, t, y, effect, mediators)  # type: ignore[arg-type]
        value = linear_value(estimands.mediation(question, found), graph.names, linear.covariance)
        assert value == pytest.approx(truth, abs=1e-8)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_some_of_the_mediators_alone_are_exact_in_linear_models(seed: int) -> None:
    rng, graph, t, y = mediated(seed)
    every = between(graph, t, y)
    some = int(rng.integers(1, 1 << 5)) & every or every
    found = covariates(graph, t, y, some)
    if found is not None:
        linear = LinearModel.of(graph, rng)
        estimand = estimands.mediation(Question(graph, t, y, "direct", some), found)
        truth = linear.past(t, y, list(bits(some)))
        assert linear_value(estimand, graph.names, linear.covariance) == pytest.approx(truth, abs=1e-8)
