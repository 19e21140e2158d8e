"""Local scores are those of their formulas, equal within an equivalence class, and the same however computed."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.kernels.local_scores import grow, local_score
from cogorch_dagster.causal.discovery.score import DiscreteCounts, discrete_counts, terms_of, total_score
from cogorch_dagster.errors import InvalidInput
from tests.causal.graphs_random import names_of, random_model, sample, statistics_of

LAW = settings(max_examples=25, deadline=None)


def blocks(rng: np.random.Generator, owner: list[int], rows: int = 300) -> SufficientStatistics:
    q = len(owner)
    values = rng.normal(size=(rows, q)) @ (np.eye(q) + 0.4 * rng.normal(size=(q, q)))
    return SufficientStatistics(names_of(max(owner) + 1), np.array(owner), np.corrcoef(values.T), rows, float(rows))


def table(rng: np.random.Generator, levels: tuple[int, ...], rows: int) -> DiscreteCounts:
    values = np.stack([rng.integers(0, k, rows) for k in levels], axis=1).astype(float)
    # Dependence: the last follows the first.
    values[:, -1] = np.where(rng.random(rows) < 0.6, values[:, 0] % levels[-1], values[:, -1])
    variables = tuple(
        Variable(name, kind="discrete", levels=tuple(str(each) for each in range(k)))
        for name, k in zip(names_of(len(levels)), levels, strict=True)
    )
    return discrete_counts(CausalDataset("table", variables, values, np.zeros(rows, dtype=int), np.arange(rows)))


def test_a_gaussian_score_is_that_of_the_regression() -> None:
    values = sample(random_model(np.random.default_rng(1), 5, 3), 400, np.random.default_rng(2))
    terms = terms_of(statistics_of(values), 2.0)
    for v in range(5):
        for parents in ([], [(v + 1) % 5], [k for k in range(5) if k != v]):
            inputs = values[:, parents]
            left = values[:, v] - inputs @ np.linalg.lstsq(inputs, values[:, v], rcond=None)[0]
            wanted = -200.0 * np.log(left.var()) - 0.5 * 2.0 * np.log(400) * len(parents)
            assert local_score(terms, v, np.array(parents, dtype=np.int64)) == pytest.approx(wanted, abs=1e-8)


def test_a_block_scores_by_the_determinant_of_what_is_left() -> None:
    found = blocks(np.random.default_rng(3), [0, 0, 1, 2, 2, 2])
    terms = terms_of(found, 1.0)
    matrix = found.correlation
    mine, given_ = [0, 1], [3, 4, 5]
    rest = matrix[np.ix_(mine, mine)] - matrix[np.ix_(mine, given_)] @ np.linalg.solve(
        matrix[np.ix_(given_, given_)], matrix[np.ix_(given_, mine)]
    )
    wanted = -150.0 * np.linalg.slogdet(rest)[1] - 0.5 * np.log(300) * 2 * 3
    assert local_score(terms, 0, np.array([2])) == pytest.approx(wanted, abs=1e-8)


@LAW
@given(st.integers(0, 2**32 - 1), st.sampled_from([[0, 1, 2, 3, 4], [0, 0, 1, 2, 2, 3, 4]]), st.booleans())
def test_growing_gives_the_score_of_the_larger_set(seed: int, owner: list[int], discrete: bool) -> None:
    rng = np.random.default_rng(seed)
    evidence = table(rng, (2, 3, 2, 4, 3), 150) if discrete else blocks(rng, owner)
    terms = terms_of(evidence, 1.5, 2.0 if discrete and seed % 2 else None)
    v, *parents = rng.permutation(5)[: rng.integers(1, 5)]
    allowed = np.ones(5, dtype=bool)
    allowed[[v, *parents]] = False
    found = np.empty(5)
    grow(terms, int(v), np.array(parents, dtype=np.int64), allowed, found)
    for x in range(5):
        if not allowed[x]:
            assert found[x] == -np.inf
        else:
            wanted = local_score(terms, int(v), np.array([*parents, x], dtype=np.int64))
            assert found[x] == pytest.approx(wanted, abs=1e-7)


@LAW
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_markov_equivalent_graphs_score_the_same(seed: int, discrete: bool) -> None:
    rng = np.random.default_rng(seed)
    evidence = table(rng, (2, 3, 2), 120) if discrete else blocks(rng, [0, 0, 1, 2])
    terms = terms_of(evidence, 1.0, 1.0 if discrete and seed % 2 else None)
    chain, back, fork, collider = np.zeros((4, 3, 3), dtype=bool)
    chain[0, 1] = chain[1, 2] = True
    back[2, 1] = back[1, 0] = True
    fork[1, 0] = fork[1, 2] = True
    collider[0, 1] = collider[2, 1] = True
    assert total_score(terms, chain) == pytest.approx(total_score(terms, back), abs=1e-7)
    assert total_score(terms, chain) == pytest.approx(total_score(terms, fork), abs=1e-7)
    assert abs(total_score(terms, chain) - total_score(terms, collider)) > 1e-4


def test_counts_give_bdeu_and_bic_by_their_formulas() -> None:
    counts = table(np.random.default_rng(5), (2, 3, 2), 80)
    rows = np.repeat(counts.codes.T, counts.weights.astype(int), axis=0)
    bdeu = bic = 0.0
    for a in range(2):
        for b in range(3):
            inside = rows[(rows[:, 0] == a) & (rows[:, 1] == b)]
            each = np.bincount(inside[:, 2], minlength=2)
            bdeu += math.lgamma(5.0 / 6) - math.lgamma(5.0 / 6 + len(inside))
            bdeu += sum(math.lgamma(5.0 / 12 + n) - math.lgamma(5.0 / 12) for n in each)
            bic += sum(n * np.log(n / len(inside)) for n in each if n)
    parents = np.array([0, 1])
    assert local_score(terms_of(counts, 1.0, 5.0), 2, parents) == pytest.approx(bdeu, abs=1e-9)
    wanted = bic - 0.5 * 2.0 * np.log(80) * (2 - 1) * 6
    assert local_score(terms_of(counts, 2.0), 2, parents) == pytest.approx(wanted, abs=1e-9)


def test_levels_that_do_not_occur_are_none_and_missing_rows_are_left_out() -> None:
    values = np.array([[0.0, 2.0], [0.0, 0.0], [1.0, 2.0], [1.0, np.nan]])
    variables = tuple(Variable(name, kind="discrete", levels=("a", "b", "c")) for name in "xy")
    counts = discrete_counts(CausalDataset("t", variables, values, np.zeros(4, dtype=int), np.arange(4)))
    assert counts.levels.tolist() == [2, 2]
    assert counts.effective_rows == 3
    assert sorted(map(tuple, counts.codes.T.tolist())) == [(0, 0), (0, 1), (1, 1)]


def test_too_many_configurations_are_no_parents() -> None:
    counts = table(np.random.default_rng(6), (20, 20, 20, 20, 2), 200)
    terms = terms_of(counts, 1.0)
    assert local_score(terms, 4, np.array([0, 1, 2, 3])) == -np.inf
    assert all(np.isfinite(local_score(terms, 4, np.array(two))) for two in combinations(range(4), 2))


def test_bad_arguments_are_refused() -> None:
    values = sample(random_model(np.random.default_rng(1), 3, 1), 50, np.random.default_rng(2))
    with pytest.raises(InvalidInput, match="penalty 0 must be above 0"):
        terms_of(statistics_of(values), 0.0)
    with pytest.raises(InvalidInput, match="sample size -1 must be above 0"):
        terms_of(table(np.random.default_rng(0), (2, 2), 20), 1.0, -1.0)
    data = CausalDataset("t", (Variable("x"), Variable("y")), values[:, :2], np.zeros(50, dtype=int), np.arange(50))
    with pytest.raises(InvalidInput, match="continuous: x, y"):
        discrete_counts(data)
