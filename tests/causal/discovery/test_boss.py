"""The search finds the best graph of all where they can be listed, keeps to knowledge, and recovers what is known."""

from itertools import product

import numpy as np
import pytest

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.boss import (
    Constraints,
    _without_superfluous,
    boss,
    constraints_of,
    starting_orders,
)
from cogorch_dagster.causal.discovery.kernels.boss import search
from cogorch_dagster.causal.discovery.score import terms_of, total_score
from cogorch_dagster.causal.graphs.comparison import arrowhead_scores, shd, skeleton_scores
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput
from tests.causal.graphs_random import random_model, sample, statistics_of, tiers_of


def dags(p: int) -> list[np.ndarray]:
    places = [(i, j) for i in range(p) for j in range(p) if i != j]
    found = []
    for bits in product([False, True], repeat=len(places)):
        directed = np.zeros((p, p), dtype=bool)
        for (i, j), there in zip(places, bits, strict=True):
            directed[i, j] = there
        if not (directed & directed.T).any() and is_acyclic(directed):
            found.append(directed)
    return found


ALL = dags(4)


def test_all_graphs_of_four_are_listed() -> None:
    assert len(ALL) == 543


def best_of_all(statistics: SufficientStatistics, held: Constraints) -> float:
    permitted = [each for each in ALL if not (each & ~held.allowed).any() and (each | ~held.required).all()]
    terms = terms_of(statistics, 1.0)
    return max(total_score(terms, each) for each in permitted)


def test_no_graph_of_four_scores_better() -> None:
    """Exhaustive; growing is greedy, so that it may miss the best once in a while (1 in 150 when measured)."""
    missed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        statistics = statistics_of(sample(random_model(rng, 4, 2.5, low=0.2), 200, rng))
        score = boss(statistics, penalty=1.0, restarts=6).score
        best = best_of_all(statistics, constraints_of(Knowledge(), statistics.variables))
        assert score <= best + 1e-6
        missed += score < best - 1e-6
    assert missed <= 1


def test_under_knowledge_that_the_data_contradict_the_best_permitted_graph_is_mostly_found() -> None:
    """Measured in 150 cases: found in 93 %, and else less than 6 below."""
    known = Knowledge(
        tiers=(("x2",), ("x0", "x1")), required=frozenset({("x0", "x3")}), forbidden=frozenset({("x2", "x1")})
    )
    missed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        statistics = statistics_of(sample(random_model(rng, 4, 2.5, low=0.3), 300, rng))
        held = constraints_of(known, statistics.variables)
        found = boss(statistics, knowledge=known, penalty=1.0, restarts=6)
        best = best_of_all(statistics, held)
        assert best - 6.0 < found.score <= best + 1e-6
        missed += found.score < best - 1e-6
        for graph in (found.dag, found.graph):
            assert graph.directed[0, 3]
            assert not (graph.directed & ~held.allowed).any()
    assert missed <= 4


def test_known_graphs_come_back() -> None:
    """Measured over 40 graphs: skeleton F1 .99, arrowheads .98; a search that is not restarted finds less."""
    skeleton, arrows = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        model = random_model(rng, 20, 4)
        found = boss(statistics_of(sample(model, 2000, rng)))
        skeleton.append(skeleton_scores(found.graph, model.graph()).f1)
        arrows.append(arrowhead_scores(found.graph, model.graph()).f1)
    assert np.mean(skeleton) > 0.98
    assert np.mean(arrows) > 0.95


def test_with_many_rows_the_class_is_the_true_one() -> None:
    rng = np.random.default_rng(11)
    model = random_model(rng, 10, 3)
    found = boss(statistics_of(sample(model, 50_000, rng)))
    assert shd(found.graph, model.graph()) == 0
    assert found.graph.kind == "cpdag"
    assert found.dag.kind == "dag"


def test_the_score_is_that_of_the_member_and_the_class_is_its_class() -> None:
    rng = np.random.default_rng(3)
    model = random_model(rng, 12, 4, low=0.1)
    statistics = statistics_of(sample(model, 300, rng))
    found = boss(statistics, penalty=1.0)
    assert found.score == pytest.approx(total_score(terms_of(statistics, 1.0), found.dag.directed), abs=1e-7)
    assert found.score >= max(found.scores) - 1e-7
    assert (found.graph.skeleton == found.dag.skeleton).all()
    assert not (found.graph.directed & found.dag.directed.T).any()


def test_more_starts_never_score_worse_and_the_seed_decides() -> None:
    rng = np.random.default_rng(8)
    statistics = statistics_of(sample(random_model(rng, 25, 5, low=0.2), 400, rng))
    once, often, again = (boss(statistics, penalty=1.0, restarts=k, seed=4) for k in (1, 12, 12))
    assert often.score >= once.score
    assert often.scores[0] == once.scores[0]
    assert (often.scores, often.graph) == (again.scores, again.graph)
    assert len(set(often.scores)) > 1


def test_small_trees_begin_anew_and_give_the_same() -> None:
    rng = np.random.default_rng(8)
    statistics = statistics_of(sample(random_model(rng, 15, 4), 500, rng))
    held = constraints_of(Knowledge(), statistics.variables)
    terms = terms_of(statistics, 2.0)
    results = [
        search(terms, held.allowed, held.required, held.before, starting_orders(held.before, 3, 0), nodes)
        for nodes in (100_000, 1)
    ]
    assert (results[0][1] == results[1][1]).all()
    assert results[0][3] == pytest.approx(results[1][3])


def test_more_than_64_variables() -> None:
    rng = np.random.default_rng(2)
    model = random_model(rng, 70, 2)
    found = boss(statistics_of(sample(model, 3000, rng)), restarts=2)
    assert skeleton_scores(found.graph, model.graph()).f1 > 0.97


def test_superfluous_edges_are_deleted_one_by_one() -> None:
    rng = np.random.default_rng(5)
    model = random_model(rng, 7, 2)
    statistics = statistics_of(sample(model, 5000, rng))
    terms = terms_of(statistics, 2.0)
    full = np.zeros((7, 7), dtype=bool)
    order = np.array(model.order)
    full[np.ix_(order, order)] = np.triu(np.ones((7, 7), dtype=bool), 1)
    free = Constraints(~np.eye(7, dtype=bool), np.zeros((7, 7), dtype=bool), np.zeros((7, 7), dtype=bool))
    directed, score = _without_superfluous(terms, free, full, total_score(terms, full))
    assert score == pytest.approx(total_score(terms, directed), abs=1e-7)
    assert shd(Graph(model.names, boss(statistics).graph.marks, "cpdag"), model.graph()) == 0
    assert (directed | directed.T).sum() == model.graph().skeleton.sum()
    # What is required stays.
    kept = Constraints(free.allowed, full, full)
    assert (_without_superfluous(terms, kept, full, 0.0)[0] == full).all()


def test_starting_orders_respect_tiers_and_required_edges() -> None:
    names = tuple(f"x{k}" for k in range(9))
    known = Knowledge(tiers=(names[6:], names[:3]), required=frozenset({("x5", "x4"), ("x2", "x5")}))
    before = constraints_of(known, names).before
    orders = starting_orders(before, 50, 1)
    assert len({tuple(each) for each in orders.tolist()}) > 40
    for order in orders:
        place = np.argsort(order)
        assert max(place[6:9]) < min(place[:3])
        assert place[2] < place[5] < place[4]


def test_tiers_direct_what_crosses_them() -> None:
    rng = np.random.default_rng(21)
    model = random_model(rng, 12, 3, tiers=3)
    known = tiers_of(model, 3)
    found = boss(statistics_of(sample(model, 2000, rng)), knowledge=known)
    tier = np.arange(12) // 4
    crossing = tier[:, None] != tier[None, :]
    assert not (found.graph.undirected & crossing).any()
    assert not (found.graph.directed & (tier[:, None] > tier[None, :])).any()
    assert skeleton_scores(found.graph, model.dag).f1 > 0.95


def test_bad_input_is_refused() -> None:
    rng = np.random.default_rng(0)
    statistics = statistics_of(sample(random_model(rng, 3, 1), 100, rng))
    with pytest.raises(InvalidInput, match="0 restarts must lie between 1 and 10,000"):
        boss(statistics, restarts=0)
    with pytest.raises(InvalidInput, match="both required and forbidden"):
        pair = frozenset({("x0", "x1")})
        boss(statistics, knowledge=Knowledge(required=pair, forbidden=pair))
    # x0 -> x2 -> x1 leads back from the second tier to the first, by way of a variable in none.
    with pytest.raises(InvalidInput, match="later tier to an earlier one"):
        known = Knowledge(tiers=(("x1",), ("x0",)), required=frozenset({("x0", "x2"), ("x2", "x1")}))
        boss(statistics, knowledge=known)
