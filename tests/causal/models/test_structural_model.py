"""A fitted model against closed forms, as bytes, and under missing values, levels and resampled graphs."""

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import Variable
from cogorch_dagster.causal.graphs.equivalence import cpdag
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.bottleneck import bottlenecks
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.intervention import what_if
from cogorch_dagster.causal.models.paths import decomposed
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import Truth, chosen, dataset, truth

CHAIN = chosen({("a", "b"): 2.0, ("b", "c"): -1.0, ("a", "c"): 0.5}, "abc", [10, -3, 4])


def test_equations_are_least_squares_and_means_those_of_the_rows() -> None:
    x = CHAIN.drawn(np.random.default_rng(0), 200)
    model = fit_model(CHAIN.graph, dataset(x, "abc"))
    design = np.column_stack([np.ones(200), x[:, :2]])
    (intercept, first, second), residual = np.linalg.lstsq(design, x[:, 2], rcond=None)[:2]
    bank = model.members[0]
    assert model.coefficient("a", "c") == pytest.approx(first)
    assert model.coefficient("b", "c") == pytest.approx(second)
    assert model.coefficient("c", "a") == 0
    assert bank.intercepts[2, 0] == pytest.approx(intercept)
    assert bank.deviations[2, 0] == pytest.approx(np.sqrt(residual[0] / 197))
    assert np.allclose(bank.means[:, 0], x.mean(axis=0))
    assert bank.count == 201


def test_total_effects_are_the_inverse_in_every_draw() -> None:
    rng = np.random.default_rng(3)
    model_truth = truth(rng, 8)
    model = fit_model(model_truth.graph, dataset(model_truth.drawn(rng, 100), model_truth.graph.names), draws=20)
    bank = model.members[0]
    effects = np.stack([bank.effects_on(y) for y in range(8)], axis=1)
    for d in range(bank.count):
        coefficients = np.zeros((8, 8))
        coefficients[bank.cause, bank.effect] = bank.coefficients[:, d]
        wanted = np.linalg.inv(np.eye(8) - coefficients)
        assert np.allclose(effects[:, :, d], wanted)
        assert np.allclose(bank.means[:, d], bank.intercepts[:, d] @ wanted)


def test_bytes_hold_everything_and_depend_on_nothing_else() -> None:
    x = CHAIN.drawn(np.random.default_rng(1), 60)
    data = dataset(x, [Variable("a", "req/s", "policy"), Variable("b", role="state"), Variable("c", "s", "outcome", 2)])
    model = fit_model(CHAIN.graph, data, draws=50, latents=[("a", "c")])
    again = fit_model(CHAIN.graph, data, draws=50, latents=[{"c", "a"}])
    assert again.content == model.content
    assert fit_model(CHAIN.graph, data, draws=50, seed=1).content != model.content
    loaded = StructuralModel.of(model.content)
    assert loaded.digest == model.digest
    assert loaded.variables == model.variables
    assert loaded.graph == model.graph
    assert loaded.latents == (("a", "c"),)
    assert what_if(loaded, {"b": 1.0}) == what_if(model, {"b": 1.0})
    assert loaded.members[0].unidentified.tolist() == [False, False, True]


def test_bytes_of_something_else_are_refused() -> None:
    content = fit_model(CHAIN.graph, dataset(CHAIN.drawn(np.random.default_rng(1), 60), "abc"), draws=20).content
    with pytest.raises(InvalidInput, match="no structural model"):
        StructuralModel.of(b"PK" + content)
    with pytest.raises(InvalidInput, match="store all"):
        StructuralModel.of(content[:-1])
    with pytest.raises(InvalidInput, match="1 too many"):
        StructuralModel.of(content + b"\0")


def test_values_missing_at_random_do_not_bias() -> None:
    rng = np.random.default_rng(2)
    x = CHAIN.drawn(rng, 4000)
    held = x.copy()
    # c is missing where a, which is always seen, is large; complete rows alone would have another mean.
    held[x[:, 0] > 10.5, 2] = np.nan
    held[rng.random(4000) < 0.2, 1] = np.nan
    model = fit_model(CHAIN.graph, dataset(held, "abc"), draws=20)
    assert model.coefficient("b", "c") == pytest.approx(-1.0, abs=0.08)
    assert model.coefficient("a", "b") == pytest.approx(2.0, abs=0.08)
    assert model.members[0].means[2, 0] == pytest.approx(CHAIN.means[2], abs=0.15)
    assert abs(np.nanmean(held[:, 2]) - CHAIN.means[2]) > 0.3


def test_missing_values_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    x = CHAIN.drawn(rng, 300)
    held = x.copy()
    held[rng.random(300) < 0.5, 2] = np.nan
    widths = []
    for values in (x, held):
        answer = what_if(fit_model(CHAIN.graph, dataset(values, "abc"), draws=100), shift={"b": 1.0}, outcomes=["c"])[0]
        widths.append(answer.interval[1] - answer.interval[0])
    assert 1.2 < widths[1] / widths[0] < 1.7


def test_a_variable_with_levels_acts_by_its_level() -> None:
    rng = np.random.default_rng(4)
    region = rng.integers(0, 3, 3000)
    latency = np.array([1.0, 3.0, 2.0])[region] + rng.normal(0, 0.3, 3000)
    variables = [
        Variable("region", kind="discrete", levels=("eu", "us", "asia"), role="policy"),
        Variable("latency", "s", "outcome", 1),
    ]
    graph = Graph.from_edges(("region", "latency"), [("region", "latency")])
    model = fit_model(graph, dataset(np.column_stack([region, latency]), variables))
    answers = {level: what_if(model, {"region": level})[0] for level in ("eu", "us", "asia")}
    assert [answers[level].after for level in ("eu", "us", "asia")] == pytest.approx([1, 3, 2], abs=0.05)
    with pytest.raises(InvalidInput, match="ask for one of region=us, region=asia"):
        what_if(model, {"latency": 1.0}, outcomes=["region"])


def test_the_range_of_a_class_holds_every_member() -> None:
    chain = chosen({("a", "b"): 0.8, ("b", "c"): 0.8}, "abc", [0, 0, 0])
    x = chain.drawn(np.random.default_rng(0), 500)
    model = fit_model(Graph(tuple("abc"), cpdag(chain.graph.directed), "cpdag"), dataset(x, "abc"))
    assert model.complete
    assert len(model.members) == 3
    answer = what_if(model, shift={"a": 1.0}, outcomes=["c"])[0]
    members: list[Truth] = [chain, chosen({("b", "a"): 1, ("b", "c"): 1}, "abc", [0] * 3)]
    alone = [what_if(fit_model(each.graph, dataset(x, "abc")), shift={"a": 1.0}, outcomes=["c"])[0] for each in members]
    assert answer.range == pytest.approx((0.0, alone[0].change))
    assert alone[1].change == 0
    assert answer.interval[0] == 0
    assert answer.interval[1] == pytest.approx(alone[0].interval[1])
    few = fit_model(Graph(tuple("abc"), cpdag(chain.graph.directed), "cpdag"), dataset(x, "abc"), most_members=2)
    assert "equivalence class that has more" in what_if(few, shift={"a": 1.0})[0].warnings[0]


def test_resampled_graphs_widen_the_interval_by_what_they_differ() -> None:
    x = CHAIN.drawn(np.random.default_rng(0), 400)
    without = Graph.from_edges("abc", [("a", "b"), ("b", "c")])
    alone = what_if(fit_model(CHAIN.graph, dataset(x, "abc")), shift={"a": 1.0}, outcomes=["c"])[0]
    model = fit_model(CHAIN.graph, dataset(x, "abc"), resampled=[CHAIN.graph, without] * 5)
    pooled = what_if(model, shift={"a": 1.0}, outcomes=["c"])[0]
    other = what_if(fit_model(without, dataset(x, "abc")), shift={"a": 1.0}, outcomes=["c"])[0]
    assert pooled.change == alone.change
    assert pooled.interval[0] == pytest.approx(min(alone.interval[0], other.interval[0]), abs=0.1)
    assert pooled.interval[1] == pytest.approx(max(alone.interval[1], other.interval[1]), abs=0.1)
    assert sum(bank.count - 1 for bank in model.members[1:]) == 200
    with pytest.raises(InvalidInput, match="resampled graph has other variables"):
        fit_model(CHAIN.graph, dataset(x, "abc"), resampled=[Graph.from_edges("ab", [("a", "b")])])


def test_many_resampled_graphs_are_few_distinct_members() -> None:
    x = CHAIN.drawn(np.random.default_rng(0), 100)
    without = Graph.from_edges("abc", [("a", "b"), ("b", "c")])
    model = fit_model(CHAIN.graph, dataset(x, "abc"), resampled=[CHAIN.graph] * 75 + [without] * 25)
    assert [bank.count - 1 for bank in model.members[1:]] == pytest.approx([150, 50], abs=9)


def test_a_variable_that_was_first_measured_late_is_fitted_where_it_is_known() -> None:
    x = CHAIN.drawn(np.random.default_rng(0), 200)
    x[:190, 2] = np.nan
    model = fit_model(CHAIN.graph, dataset(x, "abc"), draws=100, block=20)
    assert np.isfinite(model.members[0].coefficients).all()
    x[:199, 2] = np.nan
    with pytest.raises(InvalidInput, match="known in too few rows"):
        fit_model(CHAIN.graph, dataset(x, "abc"), draws=20, block=1)


def test_what_cannot_be_fitted_is_refused() -> None:
    x = CHAIN.drawn(np.random.default_rng(0), 10)
    with pytest.raises(InvalidInput, match="10 rows are too few"):
        fit_model(CHAIN.graph, dataset(x, "abc"))
    with pytest.raises(InvalidInput, match="has no variable 'c'"):
        fit_model(CHAIN.graph, dataset(x[:, :2], "ab"))
    with pytest.raises(InvalidInput, match="5 bootstrap draws"):
        fit_model(CHAIN.graph, dataset(x, "abc"), draws=5)
    with pytest.raises(InvalidInput, match="two different variables"):
        fit_model(CHAIN.graph, dataset(x, "abc"), latents=[("a", "a")])


def test_what_a_variable_does_that_never_varied_is_not_told() -> None:
    same = CHAIN.drawn(np.random.default_rng(0), 50)
    same[:, 0] = 3.0
    variables = [Variable("a", role="policy"), Variable("b"), Variable("c", role="outcome", tier=1)]
    model = fit_model(CHAIN.graph, dataset(same, variables), draws=20)
    with pytest.raises(InvalidInput, match="'a' is 3 in all rows"):
        what_if(model, {"a": 4.0})
    with pytest.raises(InvalidInput, match="'a' is 3 in all rows"):
        decomposed(model, "a", "c")
    assert bottlenecks(model, "c").levers == ()
    assert model.coefficient("b", "c") == pytest.approx(-1.0, abs=0.4)
