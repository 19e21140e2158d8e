"""Prepared rows let a test keep its level and its power: autocorrelated, with missing values, skewed or mixed."""

from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.data.lags import with_lags
from cogorch_dagster.causal.data.preparation import Preparation, prepared, sufficient
from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.errors import InvalidInput

P, N, PHI = 12, 2000, 0.95


def dataset(values: np.ndarray, groups: np.ndarray | None = None, **discrete: tuple[str, ...]) -> CausalDataset:
    names = [f"x{place}" for place in range(values.shape[1])]
    variables = tuple(
        Variable(name, kind="discrete" if name in discrete else "continuous", levels=discrete.get(name, ()))
        for name in names
    )
    return CausalDataset(
        "test", variables, values, np.zeros(len(values)) if groups is None else groups, np.arange(len(values))
    )


def network(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of a random DAG, the map from noise to values, and which pairs depend given all others."""
    rng = np.random.default_rng(seed)
    edges = np.triu(rng.random((P, P)) < 2.5 / (P - 1), 1)
    mixing = np.zeros((P, P))
    for node in range(P):
        row = np.where(edges[:, node], rng.uniform(0.15, 0.6, P) * rng.choice([-1, 1], P), 0) @ mixing
        row[node] = 1.0
        mixing[node] = row / np.linalg.norm(row)
    moral = edges | edges.T | ((edges.astype(int) @ edges.T) > 0)
    np.fill_diagonal(moral, False)
    return edges, mixing, moral


def rejected(found: SufficientStatistics, alpha: float = 0.01) -> np.ndarray:
    """(p, p) which pairs are dependent given all others, by Fisher's z."""
    precision = np.linalg.inv(found.correlation)
    scale = np.sqrt(np.diag(precision))
    partial = np.clip(-precision / np.outer(scale, scale), -1 + 1e-9, 1 - 1e-9)
    z = np.sqrt(found.effective_rows - (P - 2) - 3) * np.abs(np.arctanh(partial))
    return np.asarray(z > norm.isf(alpha / 2))


def rates(kind: str, seeds: range, **options: Any) -> tuple[float, float]:
    """Share of false and of true dependences that are found."""
    false, true = [], []
    for seed in seeds:
        edges, mixing, moral = network(seed)
        rng = np.random.default_rng(seed + 1000)
        noise = rng.standard_normal((N + 500, P))
        if kind in {"noise", "both"}:
            noise = lfilter([np.sqrt(1 - PHI**2)], [1, -PHI], noise, axis=0)
        values = noise @ mixing.T
        if kind == "own":
            for row in range(1, len(values)):
                values[row] = values[row] + PHI * values[row - 1] @ np.diag(np.diag(mixing)) @ mixing.T * 0.9
        values = values[500:]
        if kind in {"missing", "both"}:
            values[rng.random(values.shape) < 0.2] = np.nan
        found = rejected(sufficient(dataset(values), Preparation(**options)))
        upper = np.triu(np.ones((P, P), dtype=bool), 1)
        false += found[upper & ~moral].tolist()
        true += found[upper & edges].tolist()
    return float(np.mean(false)), float(np.mean(true))


def test_the_level_and_the_power_of_independent_rows_are_kept() -> None:
    seeds = range(6)
    plain_false, plain_true = rates("independent", seeds)
    assert plain_false < 0.025 and plain_true > 0.85
    for kind in ("noise", "own"):
        false, true = rates(kind, seeds)
        assert false < 0.03 and true > plain_true - 0.04, kind
    # Given all ten others at once, as here, the rows are worth somewhat less than is counted for a test given few.
    false, true = rates("missing", seeds)
    assert false < 0.06 and true > plain_true - 0.08
    false, true = rates("both", range(3))
    assert false < 0.08 and true > plain_true - 0.12
    # What it would be without.
    false, _ = rates("noise", seeds, autocorrelation="none")
    assert false > 0.3
    false, true = rates("noise", seeds, autocorrelation="effective")
    assert false < 0.03 and true < plain_true - 0.2


def test_plain_gaussian_rows_are_left_as_they_are() -> None:
    values = np.random.default_rng(0).multivariate_normal(np.zeros(3), [[2, 1, 0], [1, 3, 1], [0, 1, 1]], 500)
    found = prepared(dataset(values))
    np.testing.assert_allclose(found.correlation(), np.corrcoef(values.T), atol=1e-12)
    assert found.complete and found.lags == 0 and found.block == 1 and found.notes == () and found.set_aside == ()
    assert found.effective_rows == pytest.approx(500, rel=0.02) and found.owner.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.values.std(axis=0), 1)
    assert sufficient(dataset(values)).digest == found.statistics().digest


def test_what_was_done_is_noted() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((600, 5))
    values[:, 1] = np.exp(2 * values[:, 0] + values[:, 1])
    values[:, 3] = 7.0
    values[:, 4] = 1 - values[:, 2]
    values[rng.random(600) < 0.1, 0] = np.nan
    found = prepared(dataset(values))
    assert found.variables == ("x0", "x1", "x2")
    assert {each.name: each.reason for each in found.set_aside} == {
        "x3": "is constant at 7",
        "x4": "is -1 times x2 plus 1",
    }
    assert found.notes[0] == "rank-normal scores of x1"
    assert found.notes[1].endswith("of the values are missing; moments by EM")
    assert found.effective_rows == pytest.approx(600 * (0.9 + 0.9 + 1) / 3, rel=0.02)
    assert found.correlation()[0, 1] == pytest.approx(2 / np.sqrt(5), abs=0.04)
    unscored = prepared(dataset(values), Preparation(scores="never"))
    assert unscored.correlation()[0, 1] < 0.7


def test_monotone_copies_are_found_once_they_are_scored() -> None:
    x = np.random.default_rng(2).standard_normal((500, 2))
    found = prepared(dataset(np.column_stack([np.exp(x[:, 0]), np.exp(3 * x[:, 0]), x[:, 1]])))
    assert found.variables == ("x0", "x2")
    assert found.set_aside[0].name == "x1" and found.set_aside[0].reason == "equals x0"
    with pytest.raises(InvalidInput, match=r"1 variables with a say.*x1 equals x0"):
        prepared(dataset(np.exp(x[:, :1] * [1, 3])))
    preferred = prepared(dataset(np.column_stack([x[:, 0], 2 * x[:, 0], x[:, 1]])), Preparation(prefer=("x1",)))
    assert preferred.variables == ("x1", "x2")


def test_discrete_variables_own_blocks() -> None:
    rng = np.random.default_rng(3)
    code = rng.integers(0, 3, 900)
    values = np.column_stack([code, rng.standard_normal(900) + (code == 2), rng.integers(0, 2, 900)]).astype(float)
    found = sufficient(dataset(values, x0=("a", "b", "c"), x2=("no", "yes")))
    assert found.owner.tolist() == [0, 0, 1, 2] and not found.simple
    cross = found.correlation[:2, 2]
    r2 = cross @ np.linalg.solve(found.correlation[:2, :2], cross)
    # Variance between levels over all variance: (2/9) / (2/9 + 1).
    assert r2 == pytest.approx(2 / 11, abs=0.05)


def test_short_groups_are_not_prewhitened_at_the_price_of_most_rows() -> None:
    """Of groups of two rows, prewhitening takes half away: more than a weak dependence does."""
    rng = np.random.default_rng(7)
    values = lfilter([1.0], [1.0, -0.4], rng.standard_normal((1200, 4)), axis=0)
    groups = np.concatenate([np.zeros(200, dtype=int), 1 + np.repeat(np.arange(500), 2)])
    counted = prepared(dataset(values, groups))
    forced = prepared(dataset(values, groups), Preparation(autocorrelation="prewhiten"))
    assert (counted.lags, forced.lags) == (0, 1)
    assert forced.effective_rows < counted.effective_rows < 0.8 * 1200
    whole = prepared(dataset(values))
    assert whole.lags == 1 and whole.effective_rows > 1100


def test_a_level_that_only_first_rows_have_is_no_reason_to_lose_its_variable() -> None:
    """Prewhitening leaves out the first row of each group, and what varies there alone."""
    rng = np.random.default_rng(6)
    level = lfilter([1.0], [1.0, -0.9], rng.standard_normal(600))
    groups = np.repeat([0, 1], 300)
    code = (level > 0).astype(float)
    code[[0, 300]] = 2
    only_first = np.zeros(600)
    only_first[0] = 1.0
    ramp = np.arange(600.0)
    other = 0.5 * level + rng.standard_normal(600)
    data = dataset(np.column_stack([level, code, only_first, other, ramp]), groups, x1=("a", "b", "c"))
    found = prepared(data, Preparation(autocorrelation="prewhiten", scores="never"))
    assert found.variables == ("x0", "x1", "x3") and found.owner.tolist() == [0, 1, 2]
    assert {each.name: each.reason for each in found.set_aside} == {
        "x2": "does not vary in the rows that follow others",
        "x4": "follows from the rows before it",
    }


def test_drawn_rows_give_the_statistics_of_these_rows() -> None:
    rng = np.random.default_rng(4)
    values = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4))
    weights = np.bincount(rng.integers(0, 300, 300), minlength=300).astype(float)
    whole = prepared(dataset(values))
    np.testing.assert_allclose(
        whole.correlation(weights), np.corrcoef(np.repeat(values, weights.astype(int), axis=0).T), atol=1e-10
    )
    values[rng.random(values.shape) < 0.2] = np.nan
    holed = prepared(dataset(values))
    assert not holed.complete
    other = prepared(dataset(np.repeat(values, weights.astype(int), axis=0)), Preparation(autocorrelation="none"))
    # A tenth of the sampling error of a correlation.
    np.testing.assert_allclose(holed.correlation(weights), other.correlation(), atol=0.1 / np.sqrt(300))
    only_one = np.zeros(300)
    only_one[0] = 300
    np.testing.assert_allclose(whole.correlation(only_one), np.eye(4))


def test_columns_of_earlier_rows_take_the_place_of_prewhitening() -> None:
    rng = np.random.default_rng(5)
    values = lfilter([1.0], [1.0, -0.9], rng.standard_normal((1000, 3)), axis=0)
    assert prepared(dataset(values)).lags == 1
    found = prepared(with_lags(dataset(values), 1))
    assert found.lags == 0 and len(found.variables) == 6
    assert found.correlation()[0, 3] == pytest.approx(0.9, abs=0.04)
    # A straight line follows from its own past.
    trend = prepared(
        dataset(np.column_stack([values, 3.0 * np.arange(1000)])), Preparation(autocorrelation="prewhiten")
    )
    assert trend.set_aside[-1].name == "x3" and "rows before" in trend.set_aside[-1].reason
    assert trend.owner.tolist() == [0, 1, 2]


def test_an_effective_sample_is_drawn_in_blocks() -> None:
    rng = np.random.default_rng(6)
    values = lfilter([1.0], [1.0, -0.9], rng.standard_normal((1000, 3)), axis=0)
    found = prepared(dataset(values), Preparation(autocorrelation="effective"))
    assert found.lags == 0 and found.block > 10 and found.effective_rows < 250
    assert found.notes == (f"1000 rows count as {found.effective_rows:.0f}",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.random.default_rng(0).standard_normal((9, 3)), "has 9 rows, at least 10"),
        (np.ones((50, 3)), "0 variables with a say of their own.*x0 is constant at 1"),
        (np.repeat(np.arange(50.0)[:, None], 2, axis=1), "1 variables with a say of their own.*x1 equals x0"),
    ],
)
def test_too_little_is_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        prepared(dataset(values))


def test_unknown_words_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'maybe' must be one of auto, always, never"):
        Preparation(scores="maybe")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="auto, prewhiten, effective, none"):
        Preparation(autocorrelation="lag")  # type: ignore[arg-type]
