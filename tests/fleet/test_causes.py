"""The declared graph against the equations themselves, and effects of known sign."""

import dataclasses

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet import causes
from cogorch_dagster.fleet.causes import no_operation, true_effect
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.knobs import BOUNDS, Knobs
from cogorch_dagster.fleet.parameters import default_parameters

CHANGED = {
    "weights": [0.2, 0.3, 0.5],
    "latency_target_ms": 1500.0,
    "cost_cap_usd": 0.001,
    "admission_s": 1.0,
    "timeout_ms": 3000.0,
    "quorum": 2.0,
    "fairness": [0.5, 1.0, 4.0, 1.0],
    "audit_share": 0.2,
    "replicas": [0.1, 0.1, 0.1],
    "concurrency": 0.1,
}


def _figures(step: Step, environment: FleetEnvironment) -> dict[str, np.ndarray]:
    measured, outcome = step.measured, step.outcome
    return {
        "load": outcome.arrived,
        "ready": environment.state.ready,
        "utilisation": outcome.utilisation,
        "backlog": environment.state.backlog,
        "response": outcome.model_latency_s,
        "answered": outcome.answered,
        "useful": measured.useful,
        "slow": outcome.slow,
        "latency_s": measured.latency_s,
        "cost_usd": measured.cost_usd,
        "unfairness": measured.unfairness,
        "requests": measured.requests,
    }


def _after(knob: str | None) -> dict[str, np.ndarray]:
    environment = FleetEnvironment(default_parameters(), 64, seed=1)
    for _ in range(30):
        environment.step(no_operation(64))
    hold = {knob: np.asarray(CHANGED[knob], dtype=np.float64)[..., None]} if knob else None
    return _figures(environment.step(no_operation(64), hold=hold), environment)


def test_a_change_of_every_knob_is_tried() -> None:
    assert set(CHANGED) == set(BOUNDS) == {field.name for field in dataclasses.fields(Knobs)}


@pytest.mark.parametrize("knob", sorted(CHANGED))
def test_within_a_step_a_knob_changes_its_descendants_and_nothing_else(knob: str) -> None:
    before, after = _after(None), _after(knob)
    reach = causes.descendants(knob)
    for name, values in before.items():
        if name not in reach:
            assert np.array_equal(values, after[name]), f"{knob} changes {name}, which the graph does not say"
    # Everything that it reaches can change, apart from quantities that are at a bound in this state.
    unchanged = {name for name in reach & set(before) if np.array_equal(before[name], after[name])}
    assert unchanged == set()


def test_the_graph_has_no_cycle() -> None:
    for name in causes.CAUSES:
        assert name not in causes.descendants(name)
    assert ("replicas", "ready") in causes.edges()


@pytest.mark.parametrize(
    ("knob", "value", "figure", "sign"),
    [
        ("replicas", [0.7, 0.8, 0.9], "latency_s", -1),
        ("replicas", [0.7, 0.8, 0.9], "cost_usd", 1),
        ("replicas", [0.7, 0.8, 0.9], "useful", 1),
        ("latency_target_ms", 4000.0, "latency_s", -1),
        ("timeout_ms", 4000.0, "useful", -1),
        ("fairness", [1.0, 1.0, 0.4, 1.0], "unfairness", 1),
        ("audit_share", 0.2, "cost_usd", 1),
    ],
)
def test_effects_have_the_sign_that_they_must(knob: str, value: object, figure: str, sign: int) -> None:
    effect = true_effect(default_parameters(), knob, value, figure, fleets=96, steps=60)  # type: ignore[arg-type]
    low, high = effect.interval
    assert low <= effect.mean <= high
    assert sign * low > 0 if sign > 0 else high < 0


def test_no_intervention_has_no_effect_and_impossible_ones_are_refused() -> None:
    same = true_effect(default_parameters(), "quorum", 1.25, "useful", fleets=8, steps=5)
    assert same.mean == 0
    assert same.interval == (0, 0)
    with pytest.raises(InvalidInput, match=r"quorum 3.0 lies outside 1.0..2.0 answers"):
        true_effect(default_parameters(), "quorum", 3.0, "useful")
    with pytest.raises(InvalidInput, match="no knob is named 'speed'"):
        true_effect(default_parameters(), "speed", 3.0, "useful")
