"""PC finds the class where the tests are right, keeps to knowledge, and does not depend on the order of variables."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.pc import pc, with_member
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, cpdag
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput
from tests.causal.discovery.linear_systems import correlation, exact, names_of, random_dag, rows_of, sampled

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=30, deadline=None)


def noisy(seed: int, p: int = 10, rows: int = 120) -> SufficientStatistics:
    rng = np.random.default_rng(seed)
    return sampled(rows_of(rng, correlation(rng, random_dag(rng, p, 0.35)), rows))


def test_exact_correlations_give_the_class() -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        directed = random_dag(rng, 8, 0.3)
        found = pc(exact(correlation(rng, directed)), alpha=1e-4)
        assert found == Graph(names_of(8), cpdag(directed), "cpdag"), seed


@pytest.mark.parametrize(("p", "rows"), [(8, 100), (10, 500), (12, 2000)])
def test_the_skeleton_is_that_of_causal_learn(p: int, rows: int) -> None:
    from causallearn.search.ConstraintBased.PC import pc as other

    rng = np.random.default_rng(p)
    for _ in range(3):
        values = rows_of(rng, correlation(rng, random_dag(rng, p, 0.35)), rows)
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = other(values, 0.01, "fisherz", True, show_progress=False).G.graph != 0
        assert (pc(sampled(values)).skeleton == theirs).all()


@LAW
@given(SEEDS)
@example(346373492).via("two colliders with the same ends and equal shares, of which one contradicts the other")
def test_the_order_of_variables_does_not_matter(seed: int) -> None:
    statistics = noisy(seed)
    order = np.random.default_rng(seed).permutation(10)
    other = SufficientStatistics(
        tuple(statistics.variables[i] for i in order),
        statistics.owner,
        statistics.correlation[np.ix_(order, order)],
        statistics.rows,
        statistics.effective_rows,
    )
    assert (pc(other).marks == pc(statistics).marks[np.ix_(order, order)]).all()


@LAW
@given(SEEDS)
def test_directions_form_no_cycle_whatever_the_tests_say(seed: int) -> None:
    found = pc(noisy(seed, rows=60), alpha=0.2)
    assert is_acyclic(found.directed)


@LAW
@given(SEEDS)
@example(30789)  # tests that leave no graph within this knowledge
def test_knowledge_holds(seed: int) -> None:
    names = names_of(10)
    knowledge = Knowledge(
        tiers=(names[:3], names[3:6], names[6:]),
        within=(0,),
        required=frozenset({("v0", "v9"), ("v4", "v5")}),
        forbidden=frozenset({("v6", "v7"), ("v7", "v6"), ("v1", "v8")}),
    )
    found = pc(noisy(seed, rows=60), knowledge=knowledge, alpha=0.2)
    assert not (found.directed & knowledge.forbidden_matrix(names)).any()
    assert found.directed[0, 9] and found.directed[4, 5]
    assert not found.adjacent("v6", "v7") and not found.adjacent("v0", "v1")
    assert not found.undirected[np.ix_(range(3), range(3, 10))].any()
    assert is_acyclic(found.directed)


def test_tiers_direct_what_data_cannot() -> None:
    rng = np.random.default_rng(1)
    chain = np.zeros((3, 3), dtype=bool)
    chain[0, 1] = chain[1, 2] = True
    statistics = exact(correlation(rng, chain))
    assert pc(statistics).undirected.sum() == 4
    found = pc(statistics, knowledge=Knowledge(tiers=(("v0",), ("v1", "v2"))))
    assert found == Graph.from_edges(names_of(3), [("v0", "v1"), ("v1", "v2")], kind="cpdag")


def test_blocks_of_columns_are_single_variables() -> None:
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 3, size=4000)
    middle = 0.8 * (levels == 1) - 0.7 * (levels == 2) + rng.normal(size=4000)
    end = 0.6 * middle + rng.normal(size=4000)
    apart = rng.normal(size=4000)
    columns = np.column_stack([levels == 1, levels == 2, middle, end, apart])
    matrix = np.corrcoef(columns.astype(float).T)
    found = pc(SufficientStatistics(("level", "middle", "end", "apart"), np.array([0, 0, 1, 2, 3]), matrix, 4000, 4000))
    assert {each.text for each in found.edges()} == {"level -- middle", "middle -- end"}


def test_sets_are_no_larger_than_told() -> None:
    fork = np.zeros((4, 4), dtype=bool)
    fork[:2, 2:] = True
    statistics = exact(correlation(np.random.default_rng(5), fork))
    assert not pc(statistics).adjacent("v2", "v3")
    assert pc(statistics, max_condition=1).adjacent("v2", "v3")
    assert pc(statistics, max_condition=0).adjacent("v2", "v3")


def test_contradictory_tests_still_give_a_class_with_a_member() -> None:
    known = Knowledge(tiers=(("v0", "v1", "v2", "v3"), ("v8", "v9")), required=frozenset({("v4", "v5")}))
    forbidden = known.forbidden_matrix(names_of(10))
    without = 0
    for seed in range(60):
        statistics = noisy(seed, rows=80)
        for knowledge in (Knowledge(), known):
            found = pc(statistics, alpha=0.1, knowledge=knowledge)
            settled = with_member(found, knowledge)
            member = consistent_extension(settled.marks)
            assert member is not None and (settled.skeleton == found.skeleton).all()
            assert (settled.directed | ~found.directed).all(), seed
            assert knowledge is not known or not (settled.directed & forbidden).any()
            if consistent_extension(found.marks) is None:
                without += 1
            else:
                assert settled == found
    assert without > 2


def test_the_same_bytes_again() -> None:
    assert pc(noisy(7)).digest == pc(noisy(7)).digest


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="alpha 0"):
        pc(noisy(0), alpha=0.0)
    with pytest.raises(InvalidInput, match="max_condition -1"):
        pc(noisy(0), max_condition=-1)
    with pytest.raises(InvalidInput, match="names other"):
        pc(noisy(0), knowledge=Knowledge(required=frozenset({("v0", "other")})))
