"""Parts of a shift are Shapley values, sum to the shift, and name the mechanism that changed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.data.dataset import Variable
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.graphs.equivalence import cpdag
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.attribution import Attribution, attributed
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import Truth, chosen, dataset, truth


def fitted(own: Truth, rng: np.random.Generator, rows: int = 200, draws: int = 20, seed: int = 0) -> StructuralModel:
    return fit_model(own.graph, dataset(own.drawn(rng, rows), own.graph.names), draws=draws, seed=seed)


def changed(own: Truth, rng: np.random.Generator, places: list[int]) -> Truth:
    """The same graph with other equations of some variables."""
    coefficients, intercepts = own.coefficients.copy(), own.intercepts.copy()
    for j in places:
        causes = coefficients[:, j] != 0
        coefficients[causes, j] += rng.normal(0, 1, causes.sum())
        intercepts[j] += rng.normal(0, 2)
    return Truth(own.graph, coefficients, intercepts, own.deviations)


def equations(model: StructuralModel) -> tuple[np.ndarray, np.ndarray]:
    bank = model.members[0]
    coefficients = np.zeros((len(bank.order), len(bank.order)))
    coefficients[bank.cause, bank.effect] = bank.coefficients[:, 0]
    return coefficients, bank.intercepts[:, 0]


def shapley(before: StructuralModel, after: StructuralModel, column: int) -> np.ndarray:
    """By all orders in which the mechanisms can change."""
    old, new = equations(before), equations(after)
    p = len(old[1])
    total = np.zeros(p)
    orders = list(permutations(range(p)))
    for order in orders:
        coefficients, intercepts = old[0].copy(), old[1].copy()
        value = (intercepts @ np.linalg.inv(np.eye(p) - coefficients))[column]
        for j in order:
            coefficients[:, j], intercepts[j] = new[0][:, j], new[1][j]
            following = (intercepts @ np.linalg.inv(np.eye(p) - coefficients))[column]
            total[j] += following - value
            value = following
    return total / len(orders)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_parts_are_shapley_values_and_sum_to_the_shift(p: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = truth(rng, p, p - 1)
    other = changed(own, rng, list(range(p)))
    before, after = fitted(own, rng, 60), fitted(other, rng, 60)
    column = int(rng.integers(p))
    found = attributed(before, after, f"v{column}")
    assert isinstance(found, Attribution)
    wanted = shapley(before, after, column)
    scale = max(1.0, np.abs(wanted).max())
    shares = {part.variable: part.share.value for part in found.parts}
    assert [shares.get(f"v{k}", 0.0) for k in range(p)] == pytest.approx(list(wanted), abs=1e-9 * scale)
    assert sum(shares.values()) == pytest.approx(found.shift.value, abs=1e-9 * scale)
    assert found.shift.value == pytest.approx(found.after - found.before, abs=1e-9 * scale)
    for part in found.parts:
        assert part.level + sum(share for _, share in part.causes) == pytest.approx(part.share.value, abs=1e-9 * scale)
    sizes = [abs(part.share.value) for part in found.parts]
    assert sizes == sorted(sizes, reverse=True)


def test_the_mechanism_that_changed_is_named_and_the_others_are_not() -> None:
    edges = {("load", "wait"): 0.5, ("replicas", "wait"): -1.0, ("wait", "latency"): 2.0, ("load", "latency"): 0.3}
    names = ("load", "replicas", "wait", "latency", "cost")
    rng = np.random.default_rng(0)
    own = chosen({**edges, ("latency", "cost"): 1.0}, names, [10, 4, 3, 1, 0])
    # Waiting grows faster with load: 0.5 -> 0.8, which at a load of 10 and an effect of 2 makes 6.
    other = chosen({**edges, ("load", "wait"): 0.8, ("latency", "cost"): 1.0}, names, [10, 4, 3, 1, 0])
    found = attributed(fitted(own, rng, 2000, 200), fitted(other, rng, 2000, 200), "latency")
    assert isinstance(found, Attribution)
    first, *rest = found.parts
    assert first.variable == "wait"
    assert first.share.interval[0] < 6.0 < first.share.interval[1]
    assert first.share.interval[1] - first.share.interval[0] < 2.0
    assert dict(first.causes)["load"] == pytest.approx(6.0, abs=1.0)
    assert all(part.share.interval[0] <= 0 <= part.share.interval[1] for part in rest)
    assert "cost" not in {part.variable for part in found.parts}


def test_intervals_of_parts_cover() -> None:
    covered = 0
    own = chosen({("a", "b"): 1.0, ("b", "c"): -1.5, ("a", "c"): 0.5}, "abc", [5, 1, 0])
    other = chosen({("a", "b"): 1.4, ("b", "c"): -1.5, ("a", "c"): 0.5}, "abc", [6, 1, 0])
    # At the old and the new load the changed coefficient adds 0.4 times 5 or 6, times -1.5: on average -3.3.
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = attributed(fitted(own, rng, 150, 100, seed), fitted(other, rng, 150, 100, seed), "c")
        assert isinstance(found, Attribution)
        low, high = next(part.share.interval for part in found.parts if part.variable == "b")
        covered += low <= -3.3 <= high
    assert 89 <= covered <= 99


def test_draws_of_two_periods_are_independent_though_hours_are_alike() -> None:
    rng = np.random.default_rng(0)
    shape = np.sin(np.arange(240) * 2 * np.pi / 24)[:, None] * 5
    graph = Graph.from_edges("ab", [("a", "b")])
    models = []
    for _ in range(2):
        a = shape + rng.standard_normal((240, 1))
        models.append(fit_model(graph, dataset(np.hstack([a, a + rng.standard_normal((240, 1))]), "ab"), block=24))
    found = attributed(*models, "b")
    assert isinstance(found, Attribution)
    draws = [model.members[0].means[1, 1:] for model in models]
    alone = [np.quantile(each, 0.975) - np.quantile(each, 0.025) for each in draws]
    assert found.shift.interval[1] - found.shift.interval[0] == pytest.approx(np.hypot(*alone), rel=0.25)


def test_a_variable_with_levels_is_one_mechanism() -> None:
    rng = np.random.default_rng(0)
    variables = [Variable("mix", kind="discrete", levels=("x", "y", "z")), Variable("latency", "s", "outcome", 1)]
    graph = Graph.from_edges(("mix", "latency"), [("mix", "latency")])
    models = []
    for shares in ([0.6, 0.2, 0.2], [0.2, 0.2, 0.6]):
        mix = rng.choice(3, 1500, p=shares)
        latency = np.array([1.0, 2.0, 4.0])[mix] + rng.normal(0, 0.2, 1500)
        models.append(fit_model(graph, dataset(np.column_stack([mix, latency]), variables)))
    found = attributed(*models, "latency")
    assert isinstance(found, Attribution)
    assert found.parts[0].variable == "mix"
    assert found.parts[0].share.value == pytest.approx(1.2, abs=0.2)


def test_a_class_gives_a_range() -> None:
    rng = np.random.default_rng(0)
    own = chosen({("a", "b"): 1.0}, "ab", [1, 0])
    other = chosen({("a", "b"): 1.5}, "ab", [2, 0])
    graph = Graph(tuple("ab"), cpdag(own.graph.directed), "cpdag")
    models = [fit_model(graph, dataset(each.drawn(rng, 400), "ab")) for each in (own, other)]
    found = attributed(*models, "b")
    assert isinstance(found, Attribution)
    part = next(each for each in found.parts if each.variable == "a")
    # Where b causes a, a has no part in it.
    assert min(part.share.range) == 0
    assert max(part.share.range) > 0.5
    assert found.shift.range == pytest.approx((found.shift.value, found.shift.value))


def test_periods_that_cannot_be_compared_are_refused() -> None:
    rng = np.random.default_rng(0)
    own = chosen({("a", "b"): 1.0, ("b", "c"): 1.0}, "abc", [1, 0, 0])
    model = fitted(own, rng)
    with pytest.raises(InvalidInput, match="other graphs or variables"):
        attributed(model, fitted(chosen({("a", "b"): 1.0}, "abc", [1, 0, 0]), rng), "c")
    with pytest.raises(InvalidInput, match="other numbers of draws"):
        attributed(model, fitted(own, rng, draws=30), "c")
    with pytest.raises(InvalidInput, match="no variable 'z'"):
        attributed(model, model, "z")
    tied = [fit_model(own.graph, dataset(own.drawn(rng, 100), "abc"), draws=20, latents=["ab"]) for _ in range(2)]
    found = attributed(*tied, "c")
    assert isinstance(found, NotIdentified)
    assert found.blame == ("b",)
    assert isinstance(attributed(*tied, "a"), Attribution)
