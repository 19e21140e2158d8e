"""Resamples are drawn as they should be, and the probabilities of edges are what they say."""

import json

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.data.preparation import Preparation, prepared
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.data.resampling import drawn
from cogorch_dagster.causal.discovery.bootstrap import (
    EdgeProbabilities,
    counted,
    edge_probabilities,
    weighted_correlation,
)
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput
from tests.causal.graphs_random import random_model, sample, tiers_of


def ready(values: np.ndarray, names: tuple[str, ...]) -> Prepared:
    rows = len(values)
    variables = tuple(Variable(name) for name in names)
    data = CausalDataset("t", variables, values, np.zeros(rows, dtype=int), np.arange(rows))
    return prepared(data, Preparation(scores="never", autocorrelation="none"))


def test_single_rows_are_drawn_as_often_as_they_should_be() -> None:
    rng = np.random.default_rng(0)
    total = sum(drawn(np.zeros(50, dtype=int), 1, rng) for _ in range(2000))
    assert isinstance(total, np.ndarray)
    assert total.sum() == 50 * 2000
    # Standard deviation of a row's count: sqrt(2000 * .98).
    assert np.abs(total - 2000).max() < 4.5 * 44.3


def test_blocks_stay_in_their_group_and_no_row_is_drawn_more_than_others() -> None:
    groups = np.repeat([4, 7, 2], [12, 3, 25])
    rng = np.random.default_rng(1)
    counts = np.array([drawn(groups, 5, rng) for _ in range(4000)])
    assert (counts.sum(axis=1) == 40).all()
    share = counts.mean(axis=0)
    assert np.abs(share - 1).max() < 0.08
    # Neighbours within a group come together, those across its end do not.
    together = np.corrcoef(counts.T)
    assert together[20, 21] > 0.7
    assert together[11, 12] < 0.05
    assert together[14, 15] < 0.05


def test_weights_are_rows_written_out() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    weights = drawn(np.zeros(60, dtype=int), 1, rng)
    wanted = np.corrcoef(np.repeat(values, weights.astype(int), axis=0).T)
    assert weighted_correlation(values, weights) == pytest.approx(wanted, abs=1e-10)
    values[:, 2] = 3.0
    assert weighted_correlation(values, weights)[2].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_probabilities_of_a_pair_add_up_and_knowledge_is_certain() -> None:
    rng = np.random.default_rng(3)
    model = random_model(rng, 6, 3, tiers=2)
    known = tiers_of(model, 2).merged(
        Knowledge(required=frozenset({("x0", "x5")}), forbidden=frozenset({("x1", "x2")}))
    )
    calls: list[tuple[int, int]] = []
    found = edge_probabilities(
        ready(sample(model, 300, rng), model.names),
        knowledge=known,
        resamples=40,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(k + 1, 40) for k in range(40)]
    for i, a in enumerate(model.names):
        for b in model.names[i + 1 :]:
            each = found.of(a, b)
            assert sum(each.values()) == pytest.approx(1.0)
            assert min(each.values()) >= 0
    assert found.of("x0", "x5")["forward"] == 1.0
    assert found.of("x1", "x2")["forward"] == 0.0
    assert found.of("x4", "x1")["forward"] == 0.0
    free = found.of("x0", "x1")
    assert min(free.values()) > 0


def test_a_hidden_cause_of_a_pair_that_knowledge_forbids_both_ways_has_its_probability() -> None:
    known = Knowledge(forbidden=frozenset({("a", "b"), ("b", "a")}))
    graph = Graph.from_edges("abc", bidirected=[("a", "b")], kind="pag")
    found = counted(lambda _: graph, np.arange(5), 1, knowledge=known, resamples=98, seed=0)
    assert found.of("a", "b") == pytest.approx({"forward": 0, "backward": 0, "undirected": 0.985, "none": 0.015})
    assert counted(lambda _: Graph.from_edges("abc"), np.arange(5), 1, knowledge=known, resamples=9, seed=0).of(
        "a", "b"
    ) == pytest.approx({"forward": 0, "backward": 0, "undirected": 0, "none": 1})


def test_the_seed_decides_and_a_document_holds_everything() -> None:
    rng = np.random.default_rng(4)
    model = random_model(rng, 5, 2)
    data = ready(sample(model, 200, rng), model.names)
    one, same, other = (edge_probabilities(data, resamples=30, seed=seed) for seed in (1, 1, 2))
    assert (one.directed == same.directed).all()
    assert (one.undirected == same.undirected).all()
    assert (one.directed != other.directed).any() or (one.undirected != other.undirected).any()
    back = EdgeProbabilities.from_document(json.loads(json.dumps(one.document())))
    assert (back.directed == one.directed).all()
    assert (back.adjacent == one.adjacent).all()
    assert (back.names, back.resamples) == (one.names, 30)


def test_probabilities_are_calibrated() -> None:
    """Of all edges that some resample has; measured over 80 graphs: .02."""
    said: list[float] = []
    true: list[float] = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        model = random_model(rng, 10, 3, low=0.2)
        found = edge_probabilities(ready(sample(model, 500, rng), model.names), resamples=60, seed=seed)
        truth = model.graph()
        for i in range(10):
            for j in range(10):
                for share, there in (
                    (found.directed[i, j], truth.directed[i, j]),
                    (found.undirected[i, j], truth.undirected[i, j]),
                ):
                    if share > 1 / 60 and (i < j or there is truth.directed[i, j]):
                        said.append(float(share))
                        true.append(float(there))
    place = np.minimum((np.array(said) * 10).astype(int), 9)
    error = sum(
        abs(np.mean(np.array(said)[place == k]) - np.mean(np.array(true)[place == k])) * np.mean(place == k)
        for k in range(10)
        if (place == k).any()
    )
    assert error < 0.08
    assert np.mean(np.array(true)[place == 9]) > 0.9


def test_missing_values_go_through_em() -> None:
    rng = np.random.default_rng(6)
    model = random_model(rng, 4, 2)
    values = sample(model, 400, rng).copy()
    values[rng.random(values.shape) < 0.2] = np.nan
    found = edge_probabilities(ready(values, model.names), resamples=12)
    joined = model.dag.skeleton
    assert 1 <= np.triu(joined).sum() <= 5
    assert found.adjacent[joined].mean() > 0.7
    assert found.adjacent[~joined & ~np.eye(4, dtype=bool)].mean() < 0.3


def test_any_search_is_counted_and_other_marks_are_undirected() -> None:
    names = ("a", "b", "c")
    graphs = iter(
        [
            Graph.from_edges(names, [("a", "b")], bidirected=[("b", "c")], kind="pag"),
            Graph.from_edges(names, [("b", "a")], bidirected=[("b", "c")], kind="pag"),
            Graph.from_edges(names, undirected=[("a", "b")], kind="pag"),
        ]
    )
    found = counted(lambda _: next(graphs), np.zeros(10, dtype=int), 1, knowledge=Knowledge(), resamples=3, seed=0)
    assert found.of("a", "b") == pytest.approx(
        {"forward": 1.5 / 5, "backward": 1.5 / 5, "undirected": 1.5 / 5, "none": 0.5 / 5}
    )
    assert found.of("b", "c")["undirected"] == pytest.approx(2.5 / 5)


def test_bad_input_is_refused() -> None:
    rng = np.random.default_rng(0)
    data = ready(rng.normal(size=(50, 2)), ("a", "b"))
    with pytest.raises(InvalidInput, match="0 resamples must lie between 1 and 100,000"):
        edge_probabilities(data, resamples=0)
    with pytest.raises(InvalidInput, match="knowledge names z"):
        edge_probabilities(data, knowledge=Knowledge(tiers=(("z",),)))
