"""From graph and rows to a claim: right where the truth is known, and refused or weak where it should be."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.causal.effects.answer import Effect, EffectRange
from cogorch_dagster.causal.effects.effect import effect, estimated
from cogorch_dagster.causal.effects.query import Estimand, NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput, Refused
from tests.causal.effects.synthetic import curved, curved_continuous, dataset, front_door, instrument, linear_backdoor


def autoscaler(seed: int, rows: int = 1500) -> tuple[dict[str, np.ndarray], Graph]:
    """Replicas follow load; more of them lower latency by 4 ms each, and yet go with higher latency."""
    rng = np.random.default_rng(seed)
    load = rng.normal(50, 10, rows)
    replicas = 0.2 * load + rng.normal(size=rows)
    latency = 100 + 2.0 * load - 4.0 * replicas + rng.normal(0, 3, rows)
    graph = Graph.from_edges(
        ["load", "replicas", "latency"], [("load", "replicas"), ("load", "latency"), ("replicas", "latency")]
    )
    return {"load": load, "replicas": replicas, "latency": latency}, graph


UNITS = {"latency": "ms", "replicas": "replica"}


def test_simpsons_reversal_is_undone_and_the_claim_is_causal_with_everything_beside_it() -> None:
    columns, graph = autoscaler(0)
    assert np.corrcoef(columns["replicas"], columns["latency"])[0, 1] > 0.3
    found = effect(dataset(UNITS, **columns), graph, "replicas", "latency")
    assert isinstance(found, Effect)
    low, high = found.estimate.interval
    assert low < -4.0 < high < 0
    assert found.estimand.adjustment == ("load",) and found.unit == "ms per replica"
    assert found.overlap.verdict == "good" and found.sensitivity.passed
    assert [each.name for each in found.refutations] == ["placebo", "random_common_cause", "subset"]
    assert (found.claim, found.reasons) == ("causal", ())
    assert found.sentences[0].startswith("1 replica more of replicas lowers latency by ")
    assert "ms (95 % interval -" in found.sentences[0]


@pytest.mark.parametrize(
    ("build", "method"), [(linear_backdoor, "ols"), (front_door, "frontdoor"), (instrument, "two_stage")]
)
def test_each_way_to_identify_covers_the_truth_and_gives_uniform_p_without_an_effect(build, method) -> None:
    from scipy.stats import kstest

    covered, null = 0, []
    for seed in range(60):
        query = build(np.random.default_rng(seed), rows=600)
        found = effect(query.data, query.graph, "t", "y", simulations=0)
        covered += found.estimate.interval[0] <= query.truth <= found.estimate.interval[1]
        query = build(np.random.default_rng(1000 + seed), rows=600, zero=True)
        null.append(effect(query.data, query.graph, "t", "y", simulations=0).estimate.p)
    assert found.estimate.method == method
    assert covered >= 51
    assert kstest(null, "uniform").pvalue > 0.01


def test_curved_confounding_is_noticed_and_answered_doubly_robust() -> None:
    query = curved(np.random.default_rng(0))
    found = effect(query.data, query.graph, "t", "y")
    assert found.estimate.method == "doubly_robust" and found.estimate.target == "ATE"
    assert abs(found.estimate.value - query.truth) < 3 * found.estimate.se
    straight = next(each for each in found.cross_checks if each.method == "ols")
    assert abs(straight.value - query.truth) > 4 * straight.se
    assert "doubly robust" in found.choice


def test_a_continuous_treatment_with_curved_confounding_is_answered_residual_on_residual() -> None:
    query = curved_continuous(np.random.default_rng(0))
    found = effect(query.data, query.graph, "t", "y", simulations=0)
    assert (found.estimate.method, found.estimate.target) == ("doubly_robust", "slope")
    assert abs(found.estimate.value - query.truth) < 3 * found.estimate.se < 0.12
    straight = next(each for each in found.cross_checks if each.method == "ols")
    assert abs(straight.value - query.truth) > 4 * straight.se


def test_no_effect_shown_or_no_refuter_is_a_weak_claim() -> None:
    query = linear_backdoor(np.random.default_rng(3), zero=True)
    found = effect(query.data, query.graph, "t", "y")
    assert found.claim == "weak" and "holds 0" in found.reasons[0]
    columns, graph = autoscaler(1)
    found = effect(dataset(**columns), graph, "replicas", "latency", simulations=0)
    assert found.claim == "weak" and found.reasons == ("no refuter was run",)


def test_a_treatment_without_counterparts_is_no_causal_claim() -> None:
    columns, graph = autoscaler(2)
    columns["replicas"] = (columns["load"] > 50).astype(float)
    columns["latency"] = 2.0 * columns["load"] + np.random.default_rng(0).normal(size=len(columns["load"]))
    found = effect(dataset(**columns), graph, "replicas", "latency", method="ols")
    assert found.claim == "associational" and found.overlap.verdict == "none"


def test_a_hidden_confounder_is_not_identified() -> None:
    columns, graph = autoscaler(3)
    del columns["load"]
    found = effect(dataset(**columns), graph, "replicas", "latency")
    assert isinstance(found, NotIdentified) and found.reason == "hidden_confounder"


def test_what_is_not_caused_has_no_effect() -> None:
    columns, graph = autoscaler(4)
    found = effect(dataset(**columns), graph, "latency", "load")
    assert found.estimate.interval == (0.0, 0.0) and found.claim == "weak"
    assert "has no effect" in found.sentences[0]


def test_an_equivalence_class_gives_every_answer_with_its_adjustment_set() -> None:
    columns, _ = autoscaler(5)
    graph = Graph.from_edges(
        ["load", "replicas", "latency"],
        undirected=[("load", "replicas"), ("load", "latency"), ("replicas", "latency")],
        kind="cpdag",
    )
    found = effect(dataset(**columns), graph, "replicas", "latency")
    assert isinstance(found, EffectRange)
    sets = {(each.estimand.kind, each.estimand.adjustment) for each in found.effects}
    assert {("backdoor", ("load",)), ("backdoor", ()), ("zero", ())} <= sets
    assert found.interval[0] < -4 < 0 < found.interval[1]
    assert found.edges


def test_direct_and_indirect_effects() -> None:
    rng = np.random.default_rng(6)
    w, t = rng.normal(size=1500), rng.normal(size=1500)
    m = 0.5 * t + w + rng.normal(size=1500)
    y = t + 0.8 * m + w + rng.normal(size=1500)
    graph = Graph.from_edges(["w", "t", "m", "y"], [("w", "m"), ("w", "y"), ("t", "m"), ("m", "y"), ("t", "y")])
    data = dataset(w=w, t=t, m=m, y=y)
    for what, truth in (("direct", 1.0), ("indirect", 0.4), ("controlled", 1.0), ("total", 1.4)):
        found = effect(data, graph, "t", "y", effect=what)
        assert found.estimate.interval[0] < truth < found.estimate.interval[1], what


def test_missing_values_are_left_out_with_a_note_and_levels_become_indicators() -> None:
    columns, graph = autoscaler(7)
    columns["load"][:100] = np.nan
    found = effect(dataset(**columns), graph, "replicas", "latency")
    assert found.estimate.rows == 1400
    assert found.estimate.notes == ("100 rows with a missing value were left out",)
    data = dataset(load=np.arange(300) % 3.0, replicas=np.arange(300) % 7.0, latency=np.arange(300) % 5.0)
    load = replace(data.variables[0], kind="discrete", levels=("low", "mid", "high"))
    found = effect(replace(data, variables=(load, *data.variables[1:])), graph, "replicas", "latency")
    assert {each.control for each in found.sensitivity.benchmarks} <= {"load=mid", "load=high"}
    assert found.sensitivity.benchmarks


def test_the_same_seed_gives_the_same_answer_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    query = curved(np.random.default_rng(1), rows=400)
    one, other = (effect(query.data, query.graph, "t", "y", seed=4) for _ in range(2))
    assert one == other
    assert capfd.readouterr() == ("", "")


def test_bad_questions() -> None:
    columns, graph = autoscaler(8, 100)
    data = dataset(**columns)
    with pytest.raises(InvalidInput, match="unknown"):
        effect(data, graph, "replicas", "latency", method="magic")  # type: ignore[arg-type]
    query = front_door(np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="leave it at auto"):
        effect(query.data, query.graph, "t", "y", method="ols")
    with pytest.raises(Refused, match="no estimator"):
        estimated(data, Estimand("general", "replicas", "latency", formula="P"))


def test_a_direct_effect_without_anything_between_is_told_as_one() -> None:
    columns, graph = autoscaler(0)
    found = effect(dataset(UNITS, **columns), graph, "replicas", "latency", effect="direct")
    assert isinstance(found, Effect)
    assert "lowers latency directly by" in found.sentences[0]
