"""What every action does to the knobs, that bounds hold, and which actions are in conflict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.fleet import actions, conflicts
from cogorch_dagster.fleet.actions import ACTION_COUNTS, CONSENSUS, ETHICAL, POLICY
from cogorch_dagster.fleet.causes import no_operation
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.fleet.parameters import default_parameters


def _after(agent: str, name: str, table: tuple[actions.Action, ...]) -> FleetEnvironment:
    environment = FleetEnvironment(default_parameters(), 2, seed=0)
    index = [action.name for action in table].index(name)
    environment.step({**no_operation(2), agent: np.full(2, index)})
    return environment


def test_the_counts_are_those_of_the_design() -> None:
    assert ACTION_COUNTS == {"policy": 10, "consensus": 5, "ethical": 8}
    for table in actions.TABLES.values():
        assert len({action.name for action in table}) == len(table)


@pytest.mark.parametrize(
    ("agent", "name", "knob", "expected"),
    [
        ("policy", "latency_target_down", "latency_target_ms", 9600),
        ("policy", "latency_target_up", "latency_target_ms", 15_000),
        ("policy", "cost_cap_down", "cost_cap_usd", 0.016),
        ("policy", "cost_cap_up", "cost_cap_usd", 0.025),
        ("policy", "tighten", "admission_s", 21),
        ("policy", "relax", "admission_s", 42),
        ("consensus", "timeout_halved", "timeout_ms", 10_000),
        ("consensus", "timeout_doubled", "timeout_ms", 40_000),
        ("consensus", "quorum_halved", "quorum", 1),
        ("consensus", "quorum_doubled", "quorum", 2),
        ("ethical", "sample_more", "audit_share", 0.02),
        ("ethical", "sample_less", "audit_share", 0.005),
        ("ethical", "audit", "audit_share", 0.2),
    ],
)
def test_an_action_turns_its_knob(agent: str, name: str, knob: str, expected: float) -> None:
    table = {"policy": POLICY, "consensus": CONSENSUS, "ethical": ETHICAL}[agent]
    knobs = _after(agent, name, table).knobs
    np.testing.assert_allclose(getattr(knobs, knob), expected)
    others = {each for each in BOUNDS if each != knob}
    untouched = FleetEnvironment(default_parameters(), 2, seed=0)
    untouched.step(no_operation(2))
    for other in others:
        np.testing.assert_allclose(getattr(knobs, other), getattr(untouched.knobs, other), rtol=1e-6)


def test_weights_move_by_a_tenth_towards_the_cheapest_and_the_ablest() -> None:
    cheap, able = (
        _after("policy", name, POLICY).knobs.weights for name in ("weights_to_cheapest", "weights_to_ablest")
    )
    np.testing.assert_allclose(cheap[:, 0], [0.45 * 0.9 + 0.1, 0.35 * 0.9, 0.2 * 0.9])
    np.testing.assert_allclose(able[:, 0], [0.45 * 0.9, 0.35 * 0.9, 0.2 * 0.9 + 0.1])


def test_fairness_weights_follow_the_measured_shares_of_good_answers() -> None:
    for name, pick, factor in (("raise_worst", np.argmin, 1.25), ("lower_best", np.argmax, 0.8)):
        environment = FleetEnvironment(default_parameters(), 2, seed=0)
        tenant = int(pick(environment._good[:, 0]))
        index = [action.name for action in ETHICAL].index(name)
        environment.step({**no_operation(2), "ethical": np.full(2, index)})
        expected = np.ones(4)
        expected[tenant] = factor
        np.testing.assert_allclose(environment.knobs.fairness[:, 0], expected)
    back = _after("ethical", "raise_worst", ETHICAL)
    back.step({**no_operation(2), "ethical": np.full(2, [action.name for action in ETHICAL].index("neutral"))})
    assert back.knobs.fairness[:, 0].max() == pytest.approx(np.sqrt(1.25))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), bias=st.sampled_from([0, 1, 2, 5, 6, 7, 8, 9]))
def test_knobs_stay_within_their_bounds_whatever_is_done(seed: int, bias: int) -> None:
    environment = FleetEnvironment(default_parameters(), 8, seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(25):
        chosen = {agent: rng.integers(0, count, 8) for agent, count in ACTION_COUNTS.items()}
        chosen["policy"] = np.where(rng.random(8) < 0.7, bias, chosen["policy"])
        environment.step({**chosen, "resource": rng.random((8, 4), dtype=np.float32)})
    for name, bound in BOUNDS.items():
        values = getattr(environment.knobs, name)
        assert values.max() <= bound.high + 1e-9
        # Weights are scaled to their sum after they were cut at their bound.
        assert values.min() >= bound.low * (0.9 if name == "weights" else 1) - 1e-9
    np.testing.assert_allclose(environment.knobs.weights.sum(axis=0), 1)


def test_every_declared_conflict_is_found_and_counted_once() -> None:
    for conflict in conflicts.CONFLICTS:
        taken = no_operation(3)
        environment = FleetEnvironment(default_parameters(), 3, seed=0)
        for agent, action in ((conflict.first, conflict.first_action), (conflict.second, conflict.second_action)):
            if agent == "resource":
                change = 0.2 if action == "more" else -0.2
                taken[agent] = (taken[agent] + np.array([change, 0, 0, 0], dtype=np.float32)).astype(np.float32)
            else:
                names = [each.name for each in actions.TABLES[agent]]
                taken[agent] = np.full(3, names.index(action))
        assert conflicts.matches(conflict, taken, environment.knobs).all()
        assert environment.step(taken).conflicts.tolist() == [1, 1, 1]
    calm = FleetEnvironment(default_parameters(), 3, seed=0)
    assert calm.step(no_operation(3)).conflicts.tolist() == [0, 0, 0]
