"""From a data set to a graph with probabilities: the right search for the data, sure where it should be."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset, SetAside, Variable
from cogorch_dagster.causal.data.preparation import Preparation
from cogorch_dagster.causal.discovery.causal_learn import pc_discrete
from cogorch_dagster.causal.discovery.discover import discover
from cogorch_dagster.causal.discovery.score import discrete_counts
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.graphs.comparison import directed_scores, shd
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput
from tests.causal.graphs_random import Model, names_of, random_model, sample, tiers_of

QUICK = DiscoverySettings(resamples=4)


def dataset(values: np.ndarray, names: tuple[str, ...], levels: dict[int, int] | None = None) -> CausalDataset:
    variables = tuple(
        Variable(name, kind="discrete", levels=tuple("abcdef"[: levels[k]]))
        if levels and k in levels
        else Variable(name)
        for k, name in enumerate(names)
    )
    rows = len(values)
    return CausalDataset("t", variables, values, np.zeros(rows, dtype=int), np.arange(rows))


def asia_like(rows: int, seed: int) -> CausalDataset:
    """x0 -> x2 <- x1, x2 -> x3, of three and two levels."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, rows), (rng.random(rows) < 0.3).astype(int)
    c = np.where(rng.random(rows) < 0.2, rng.integers(0, 2, rows), ((a == 1) ^ (b == 1)).astype(int))
    d = np.where(rng.random(rows) < 0.3, rng.integers(0, 3, rows), c)
    values = np.stack([a, b, c, d], axis=1).astype(float)
    return dataset(values, names_of(4), {0: 3, 1: 2, 2: 2, 3: 3})


def directed(models: list[tuple[Model, CausalDataset]]) -> tuple[float, float]:
    """Precision and recall of directed edges against the graphs themselves, not their classes."""
    right = found = true = 0
    for model, data in models:
        got = discover(data, knowledge=tiers_of(model, 3), settings=QUICK)
        scores = directed_scores(got.graph, model.dag)
        right, found, true = right + scores.right, found + scores.found, true + scores.true
    return right / found, right / true


def tiered(seed: int) -> tuple[Model, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return random_model(rng, 12, 3, tiers=3), rng


def test_tiers_of_a_linear_model_are_recovered() -> None:
    models = [(model, dataset(sample(model, 1000, rng), model.names)) for model, rng in map(tiered, range(8))]
    precision, recall = directed(models)
    assert precision > 0.95
    assert recall > 0.88


def test_transformed_columns_are_scored_and_curved_relations_get_squares() -> None:
    model, rng = tiered(3)
    values = np.exp(sample(model, 2000, rng))
    found = discover(dataset(values, model.names), knowledge=tiers_of(model, 3), settings=QUICK)
    assert any("rank-normal" in note for note in found.notes)
    assert shd(found.graph, model.graph(tiers_of(model, 3))) <= 1
    curved = [
        (model, dataset(sample(model, 2000, rng, mechanism=lambda x: x + 0.3 * x**2), model.names))
        for model, rng in map(tiered, range(4))
    ]
    noted = discover(curved[0][1], knowledge=tiers_of(curved[0][0], 3), settings=QUICK).notes
    assert any("squares" in note for note in noted)
    assert directed(curved)[0] > 0.88
    # Without it edges come in that are none.
    model, data = curved[0]
    known, plain = tiers_of(model, 3), replace(QUICK, adapt=False)
    more = discover(data, knowledge=known, settings=plain).graph
    assert more.skeleton.sum() > discover(data, knowledge=known, settings=QUICK).graph.skeleton.sum()


def test_linear_models_with_heavy_tails_stay_as_measured_and_residuals_direct_the_rest() -> None:
    models = [
        (model, dataset(sample(model, 2000, rng, noise="lognormal"), model.names))
        for model, rng in map(tiered, range(6))
    ]
    precision, recall = directed(models)
    assert precision > 0.95
    # More than the class has: the rest comes from LiNGAM.
    assert recall > 0.95
    model, data = next(each for each in models if each[0].graph(tiers_of(each[0], 3)).undirected.any())
    found = discover(data, knowledge=tiers_of(model, 3), settings=replace(QUICK, resamples=20))
    assert found.directed
    assert any("not Gaussian" in note for note in found.notes)
    for a, b in found.directed:
        assert found.probabilities.of(a, b)["forward"] > 0.6
        assert found.dag.directed[found.dag.index(a), found.dag.index(b)]
    without = discover(data, knowledge=tiers_of(model, 3), settings=replace(QUICK, lingam=False))
    assert without.graph.undirected.any()
    assert not without.directed


def test_discrete_data_are_counted() -> None:
    data = asia_like(3000, 0)
    found = discover(data, settings=replace(QUICK, resamples=30))
    assert found.algorithm == "boss"
    assert {each.text for each in found.graph.edges()} == {"x0 -> x2", "x1 -> x2", "x2 -> x3"}
    assert any("counts" in note for note in found.notes)
    assert found.probabilities.of("x2", "x3")["forward"] > 0.8
    assert found.probabilities.of("x0", "x1")["none"] > 0.8


def test_causal_learn_is_a_cross_check_for_discrete_data(capsys: pytest.CaptureFixture[str]) -> None:
    data = asia_like(3000, 0)
    found = discover(data, settings=replace(QUICK, algorithm="pc_discrete", resamples=1))
    counts = discrete_counts(data)
    assert found.graph == pc_discrete(counts)
    assert found.graph.adjacent("x2", "x3")
    required = Knowledge(tiers=(("x3",), ("x2",)))
    assert pc_discrete(counts, knowledge=required).directed[3, 2]
    assert capsys.readouterr().out == ""
    with pytest.raises(InvalidInput, match="pc_discrete needs discrete variables"):
        discover(dataset(np.random.default_rng(0).normal(size=(50, 2)), ("a", "b")), settings=found.settings)


def test_mixed_data_are_embedded() -> None:
    rng = np.random.default_rng(4)
    group = rng.integers(0, 3, 1500)
    x = np.array([0.0, 1.0, -1.0])[group] + rng.normal(size=1500)
    y = 0.8 * x + rng.normal(size=1500)
    found = discover(dataset(np.stack([group, x, y], axis=1), ("g", "x", "y"), {0: 3}), settings=QUICK)
    assert found.graph.adjacent("g", "x")
    assert found.graph.adjacent("x", "y")
    assert not found.graph.adjacent("g", "y")


@pytest.mark.parametrize("algorithm", ["pc", "fci", "guided_fci"])
def test_searches_by_tests(algorithm: str) -> None:
    model, rng = tiered(5)
    data, known = dataset(sample(model, 3000, rng), model.names), tiers_of(model, 3)
    how = DiscoverySettings(algorithm=algorithm, resamples=2)  # type: ignore[arg-type]
    found = discover(data, knowledge=known, settings=how)
    assert found.algorithm == algorithm
    assert found.graph.kind == ("cpdag" if algorithm == "pc" else "pag")
    assert found.dag.kind == "dag"
    assert found.probabilities.resamples == 2
    assert (found.graph.skeleton != model.dag.skeleton).sum() <= 8


def test_suspected_hidden_causes_are_looked_for() -> None:
    model, rng = tiered(6)
    known = tiers_of(model, 3).merged(Knowledge(latents=frozenset({frozenset({"x8", "x9"})})))
    found = discover(dataset(sample(model, 1000, rng), model.names), knowledge=known, settings=QUICK)
    assert found.algorithm == "guided_fci"
    assert any("hidden" in note for note in found.notes)


def test_guided_search_declines_rows_that_any_graph_would_fit() -> None:
    values = np.random.default_rng(0).standard_normal((20, 7))
    known = Knowledge(latents=frozenset({frozenset({"x0", "x1"})}))
    with pytest.raises(InvalidInput, match="count as 20, and guided FCI of 7 columns needs 21"):
        discover(dataset(values, names_of(7)), knowledge=known, settings=QUICK)
    assert discover(dataset(values[:, :6], names_of(6)), knowledge=known, settings=QUICK).algorithm == "guided_fci"


def test_the_same_inputs_give_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    model, rng = tiered(7)
    data = dataset(sample(model, 400, rng, noise="exponential"), model.names)
    calls: list[tuple[int, int]] = []
    how = replace(QUICK, resamples=10)
    one = discover(data, settings=how, seed=3, progress=lambda done, total: calls.append((done, total)))
    same, other = (discover(data, settings=how, seed=seed) for seed in (3, 4))
    assert calls == [(k + 1, 10) for k in range(10)]
    assert (one.graph, one.dag, one.score, one.notes) == (same.graph, same.dag, same.score, same.notes)
    assert one.probabilities.document() == same.probabilities.document()
    assert one.probabilities.document() != other.probabilities.document()
    assert capsys.readouterr() == ("", "")


def test_columns_set_aside_may_be_in_the_knowledge() -> None:
    rng = np.random.default_rng(8)
    values = np.column_stack([rng.normal(size=200), np.full(200, 2.0), rng.normal(size=200)])
    data = replace(dataset(values, ("a", "fixed", "c")), set_aside=(SetAside("gone", "is no number"),))
    found = discover(data, knowledge=Knowledge(tiers=(("a", "fixed"), ("c", "gone"))), settings=QUICK)
    assert found.graph.names == ("a", "c")
    assert {each.name for each in found.set_aside} == {"fixed", "gone"}
    with pytest.raises(InvalidInput, match="knowledge names nothing"):
        discover(data, knowledge=Knowledge(tiers=(("nothing",),)), settings=QUICK)


def test_settings_go_through_a_document_and_are_held_to_their_ranges() -> None:
    how = DiscoverySettings(algorithm="pc", alpha=0.05, preparation=Preparation(scores="never", prefer=("a",)))
    assert DiscoverySettings.of(how.document()) == how
    for wrong, message in (
        ({"algorithm": "magic"}, "must be one of auto"),
        ({"alpha": 1.0}, "alpha 1 must be above 0"),
        ({"penalty": 0.0}, "penalty 0 must"),
        ({"restarts": 0}, "restarts 0 must"),
        ({"resamples": 0}, "resamples 0 must"),
    ):
        with pytest.raises(InvalidInput, match=message):
            DiscoverySettings(**wrong)  # type: ignore[arg-type]


def test_nothing_heavy_is_imported_before_a_search_runs() -> None:
    code = (
        "import sys, cogorch_dagster.causal.discovery.discover\n"
        "print([name for name in ('numba', 'scipy', 'causallearn', 'sklearn', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
