"""Residuals that are not Gaussian direct edges rightly; Gaussian ones, curves and knowledge against it direct none."""

import numpy as np
import pytest

from cogorch_dagster.causal.discovery.lingam import lingam
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput
from tests.causal.graphs_random import random_model, sample


def right_and_wrong(noise: str, rows: int, models: int = 12) -> tuple[int, int, int]:
    """Edges that the class leaves undirected, and of those directed the right and the wrong ones."""
    undirected = right = wrong = 0
    for seed in range(models):
        rng = np.random.default_rng(seed)
        model = random_model(rng, 8, 2)
        graph = model.graph()
        found = lingam(sample(model, rows, rng, noise=noise), graph)
        new = found.graph.directed & ~graph.directed
        undirected += int(np.triu(graph.undirected).sum())
        right += int((new & model.directed).sum())
        wrong += int((new & ~model.directed).sum())
        assert is_acyclic(found.graph.directed)
        assert (found.graph.skeleton == graph.skeleton).all()
        assert {*found.directed} <= {(each.a, each.b) for each in found.graph.edges() if each.text.count("->")}
    return undirected, right, wrong


@pytest.mark.parametrize(("noise", "share"), [("uniform", 0.9), ("t3", 0.7), ("lognormal", 0.7), ("exponential", 0.4)])
def test_what_is_undirected_becomes_directed(noise: str, share: float) -> None:
    undirected, right, wrong = right_and_wrong(noise, 1500)
    assert undirected >= 20
    assert wrong == 0
    assert right > share * undirected


def test_gaussian_residuals_direct_nothing() -> None:
    assert right_and_wrong("normal", 3000)[1:] == (0, 0)


def pair(effect: np.ndarray, cause: np.ndarray) -> tuple[np.ndarray, Graph]:
    values = np.stack([cause, effect], axis=1)
    return values, Graph.from_edges(("cause", "effect"), undirected=[("cause", "effect")], kind="cpdag")


@pytest.mark.parametrize("curve", ["square", "power"])
def test_a_curve_in_gaussian_noise_is_not_taken_for_the_other_direction(curve: str) -> None:
    """A line from effect to cause has a residual that is not Gaussian, and a likelihood ratio that favours it."""
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=2000)
        y = (x + 0.4 * x**2 if curve == "square" else np.sign(x) * np.abs(x) ** 1.7) + rng.normal(size=2000)
        values, graph = pair(y, x)
        wrong += ("effect", "cause") in lingam(values, graph).directed
    assert wrong <= 1


def test_a_common_cause_within_the_component_is_taken_out_first() -> None:
    """In a triangle the two effects are confounded; the cause has to come first."""
    rng = np.random.default_rng(1)
    noise = rng.uniform(-1, 1, size=(4000, 3))
    c = noise[:, 0]
    a = 1.2 * c + noise[:, 1]
    b = -0.9 * c + 0.8 * a + noise[:, 2]
    names = ("a", "b", "c")
    graph = Graph.from_edges(names, undirected=[("a", "b"), ("a", "c"), ("b", "c")], kind="cpdag")
    found = lingam(np.stack([a, b, c], axis=1), graph)
    assert found.graph.directed.tolist() == [[False, True, False], [False, False, False], [True, True, False]]


def test_knowledge_and_discrete_variables_are_left_alone() -> None:
    rng = np.random.default_rng(2)
    x = rng.exponential(size=3000)
    values, graph = pair(x + rng.uniform(-1, 1, size=3000), x)
    assert lingam(values, graph).directed == (("cause", "effect"),)
    against = Knowledge(forbidden=frozenset({("cause", "effect")}))
    assert lingam(values, graph, knowledge=against).directed == ()
    assert lingam(values, graph, continuous=np.array([True, False])).directed == ()
    blocks = lingam(np.column_stack([values, values[:, 1] ** 2]), graph, owner=np.array([0, 1, 1]))
    assert blocks.directed == ()


def test_dependent_rows_count_for_less_and_missing_rows_not_at_all() -> None:
    rng = np.random.default_rng(3)
    x = rng.exponential(size=200)
    values, graph = pair(x + rng.uniform(-1, 1, size=200), x)
    assert lingam(values, graph).directed == (("cause", "effect"),)
    assert lingam(values, graph, worth=0.1).directed == ()
    values[30:, 0] = np.nan
    assert lingam(values, graph).directed == ()


def test_bad_input_is_refused() -> None:
    values, graph = pair(np.zeros(100), np.zeros(100))
    with pytest.raises(InvalidInput, match=r"must be \(rows, 2\)"):
        lingam(values[:, :1], graph)
    with pytest.raises(InvalidInput, match="takes no pag"):
        lingam(values, Graph(graph.names, graph.marks, "pag"))
    with pytest.raises(InvalidInput, match="worth 0 must"):
        lingam(values, graph, worth=0.0)
