"""Gains of edges against a model whose edge is scaled, and levers that stay where rows were."""

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import Variable
from cogorch_dagster.causal.models.bottleneck import bottlenecks
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.errors import InvalidInput
from tests.causal.models.linear import chosen, dataset

EDGES = {
    ("load", "wait"): 0.5,
    ("replicas", "wait"): -1.0,
    ("wait", "latency"): 2.0,
    ("load", "latency"): 0.1,
    ("prompt", "latency"): 0.2,
    ("latency", "cost"): 1.0,
}
NAMES = ("load", "replicas", "prompt", "wait", "latency", "cost")
VARIABLES = (
    Variable("load", "req/s"),
    Variable("replicas", "1", "policy"),
    Variable("prompt", "tokens", "policy"),
    Variable("wait", "s", "state", 1),
    Variable("latency", "s", "outcome", 2),
    Variable("cost", "USD", "outcome", 3),
)
TRUTH = chosen(EDGES, NAMES, [20, 6, 10, 3, 1, 0])
ROWS = TRUTH.drawn(np.random.default_rng(0), 1000)
MODEL = fit_model(TRUTH.graph, dataset(ROWS, VARIABLES))


def test_the_gain_of_an_edge_is_that_of_the_scaled_model() -> None:
    found = bottlenecks(MODEL, "latency")
    bank = MODEL.members[0]
    for each in found.edges:
        coefficients = np.zeros((6, 6))
        coefficients[bank.cause, bank.effect] = bank.coefficients[:, 0]
        coefficients[NAMES.index(each.cause), NAMES.index(each.effect)] *= 1 + each.scale
        means = bank.intercepts[:, 0] @ np.linalg.inv(np.eye(6) - coefficients)
        assert each.gain.value == pytest.approx(means[4] - bank.means[4, 0])
        assert each.gain.value < 0
        assert each.gain.interval[0] < each.gain.value < each.gain.interval[1]
    # Ten percent of what flows: 0.1 * 0.5 * 20 * 2 over load -> wait, and 0.1 * 2 * 7, the mean wait, over the next.
    ranked = [(each.cause, each.effect, round(each.scale, 3)) for each in found.edges]
    assert ranked[:3] == [("load", "wait", -0.1), ("wait", "latency", -0.1), ("replicas", "wait", 0.1)]
    assert found.edges[0].gain.value == pytest.approx(-2.0, abs=0.2)
    assert found.edges[1].gain.value == pytest.approx(-1.4, abs=0.15)
    assert ("latency", "cost") not in {(each.cause, each.effect) for each in found.edges}


def test_where_more_is_better_the_signs_turn() -> None:
    found = bottlenecks(MODEL, "latency", better="higher", share=0.2)
    assert found.edges[0].gain.value == pytest.approx(4.0, abs=0.4)
    assert {each.scale for each in found.edges} == {0.2, -0.2}
    assert next(each for each in found.levers if each.variable == "replicas").target < 6


def test_levers_go_to_the_better_end_of_what_was_seen() -> None:
    found = bottlenecks(MODEL, "latency")
    assert [each.variable for each in found.levers] == ["replicas", "prompt"]
    more = found.levers[0]
    assert more.target == pytest.approx(np.quantile(ROWS[:, 1], 0.95))
    assert more.present == pytest.approx(ROWS[:, 1].mean())
    assert more.answer.change == pytest.approx(-2 * (more.target - more.present), rel=0.1)
    assert found.levers[1].target == pytest.approx(np.quantile(ROWS[:, 2], 0.05))
    assert not any(each.answer.warnings for each in found.levers)
    assert found.document()["levers"][0]["outcome"] == "latency"


def test_a_cause_that_can_be_negative_counts_from_its_least_value() -> None:
    shifted = ROWS.copy()
    shifted[:, 0] -= 25
    model = fit_model(TRUTH.graph, dataset(shifted, VARIABLES))
    edge = next(each for each in bottlenecks(model, "latency").edges if each.cause == "load" and each.effect == "wait")
    assert edge.gain.value == pytest.approx(-0.1 * 0.5 * (ROWS[:, 0].mean() - ROWS[:, 0].min()) * 2, rel=0.15)


def test_what_hidden_causes_leave_open_is_not_ranked() -> None:
    model = fit_model(TRUTH.graph, dataset(ROWS, VARIABLES), draws=20, latents=[("replicas", "wait")])
    found = bottlenecks(model, "latency")
    assert {(each.cause, each.effect) for each in found.edges} == {
        ("wait", "latency"),
        ("load", "latency"),
        ("prompt", "latency"),
    }
    assert [each.variable for each in found.levers] == ["prompt"]
    assert {each.treatment for each in found.doubtful} == {"replicas", "every mechanism"}


def test_bounds_are_refused() -> None:
    with pytest.raises(InvalidInput, match="share of 0 of an edge"):
        bottlenecks(MODEL, "latency", share=0)
    with pytest.raises(InvalidInput, match="better is 'up'"):
        bottlenecks(MODEL, "latency", better="up")  # type: ignore[arg-type]
