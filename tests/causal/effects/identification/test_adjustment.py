"""A set is valid just if it gives the effect in a generic linear model; an efficient one is found if any is valid."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.adjustment import Adjustment, efficient_set
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from tests.causal.effects.identification.exact import BinaryModel, LinearModel, random_admg, slope, subsets

LAW = settings(max_examples=60, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def ends(graph: Admg, rng: np.random.Generator) -> tuple[int, int]:
    """Treatment and outcome, a cause and one of its effects where the graph has such a pair."""
    found = [(t, y) for t in range(len(graph.names)) for y in bits(graph.descendants(1 << t)) if t != y]
    return found[rng.integers(len(found))] if found else (0, 1)


@LAW
@given(SEEDS)
def test_valid_sets_are_those_that_give_the_effect_in_linear_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 6, 0.4, 0.15)
    t, y = ends(graph, rng)
    models = [LinearModel.of(graph, rng) for _ in range(2)]
    covariances = [each.covariance for each in models]
    question = Adjustment.of(graph, 1 << t, 1 << y)
    valid = set()
    for z in subsets(graph.everything & ~(1 << t | 1 << y)):
        errors = [
            abs(slope(covariance, y, [t, *bits(z)])[0] - model.total(t, y))
            for model, covariance in zip(models, covariances, strict=True)
        ]
        assert question.valid(z) == (max(errors) < 1e-8), (graph, t, y, z)
        if question.valid(z):
            valid.add(z)
    found = efficient_set(graph, 1 << t, 1 << y)
    assert (found is not None) == bool(valid)
    if found is not None:
        best, others = found
        assert {best, *others} <= valid
        minimal = {each for each in valid if not any(other & each == other != each for other in valid)}
        assert set(others) <= minimal


@LAW
@given(SEEDS)
def test_of_all_valid_sets_the_one_chosen_is_most_precise_without_hidden_causes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 6, 0.4, 0.0)
    t, y = ends(graph, rng)
    covariance = LinearModel.of(graph, rng).covariance
    question = Adjustment.of(graph, 1 << t, 1 << y)

    def residual(of: int, given_: list[int]) -> float:
        return float(
            covariance[of, of] - covariance[of, given_] @ slope(covariance, of, given_)
            if given_
            else covariance[of, of]
        )

    def variance(z: int) -> float:
        """n times the asymptotic variance of the coefficient of the treatment."""
        return residual(y, [t, *bits(z)]) / residual(t, list(bits(z)))

    found = efficient_set(graph, 1 << t, 1 << y)
    if found is None:
        # Without hidden causes only a treatment that is an effect of the outcome has no valid set.
        assert graph.descendants(1 << y) >> t & 1
        return
    every = [variance(z) for z in subsets(graph.everything & ~(1 << t | 1 << y)) if question.valid(z)]
    assert variance(found[0]) <= min(every) * (1 + 1e-9)


@LAW
@given(SEEDS)
def test_a_joint_adjustment_for_two_treatments_is_exact_in_binary_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 5, 0.45, 0.12)
    t, m, y = (int(v) for v in rng.permutation(5)[:3])
    treatments = 1 << t | 1 << m
    found = efficient_set(graph, treatments, 1 << y)
    if found is None:
        return
    model = BinaryModel.of(graph, rng)
    joint = model.joint()
    for z in (found[0], *found[1]):
        rest = tuple(v for v in range(5) if not (treatments | z | 1 << y) >> v & 1)
        table = joint.sum(axis=rest, keepdims=True)
        weight = table.sum(axis=(t, m, y), keepdims=True)
        value = (table / table.sum(axis=y, keepdims=True) * weight).sum(axis=tuple(bits(z)), keepdims=True)
        assert np.allclose(value, model.intervened(treatments, 1 << y))


def test_m_bias_is_not_adjusted_for() -> None:
    # t <- u -> c <- v -> y with u and v hidden: c opens the path that is closed without it.
    directed = np.zeros((3, 3), dtype=bool)
    directed[0, 1] = True
    bidirected = np.zeros((3, 3), dtype=bool)
    bidirected[[0, 2, 1, 2], [2, 0, 2, 1]] = True
    graph = Admg.of(("t", "y", "c"), directed, bidirected)
    assert efficient_set(graph, 1, 2) == (0, [])
    assert not Adjustment.of(graph, 1, 2).valid(4)
