"""The environment of many fleets: the same for the same seed, whole when restored, cut off at its horizon."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS
from cogorch_dagster.fleet.causes import no_operation
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES


def _random_actions(fleets: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    actions = {agent: rng.integers(0, count, fleets) for agent, count in ACTION_COUNTS.items()}
    return {**actions, "resource": rng.random((fleets, 4), dtype=np.float32)}


def _short(horizon: int) -> FleetParameters:
    return default_parameters().model_copy(update={"horizon": horizon})


def _run(environment: FleetEnvironment, steps: int, seed: int = 5) -> list[Step]:
    rng = np.random.default_rng(seed)
    return [environment.step(_random_actions(environment.fleets, rng)) for _ in range(steps)]


def _same(one: Step, other: Step) -> bool:
    return np.array_equal(one.rewards, other.rewards) and all(
        np.array_equal(one.states[agent], other.states[agent])
        and np.array_equal(one.final_states[agent], other.final_states[agent])
        for agent in AGENTS
    )


def test_states_have_the_documented_sizes_and_lie_within_their_range() -> None:
    assert STATE_SIZES == {"policy": 32, "consensus": 16, "ethical": 24, "resource": 20}
    environment = FleetEnvironment(default_parameters(), 64, seed=3)
    for step in _run(environment, 40):
        for agent, size in STATE_SIZES.items():
            states = step.states[agent]
            assert states.shape == (64, size)
            assert states.dtype == np.float32
            assert np.isfinite(states).all()
            assert np.abs(states).max() <= 1
        assert np.isfinite(step.rewards).all()
        for utility in step.utilities.values():
            assert utility.min() >= 0
            assert utility.max() <= 1 + 1e-6


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (_run(FleetEnvironment(default_parameters(), 16, seed=seed), 12) for seed in (3, 3, 4))
    assert all(_same(one, two) for one, two in zip(first, again, strict=True))
    assert not _same(first[-1], other[-1])


def test_fleets_of_one_scenario_meet_the_same_requests_whatever_is_done() -> None:
    environment = FleetEnvironment(_short(20), 12, seed=3, scenarios=4)
    for step in _run(environment, 30):
        arrived = step.outcome.arrived.reshape(4, 3, 4)
        assert np.array_equal(arrived[:, 0], arrived[:, 1])
        assert np.array_equal(arrived[:, 0], arrived[:, 2])
        assert not np.array_equal(arrived[:, 0, 0], arrived[:, 0, 1])
    knobs = environment.knobs.weights.reshape(3, 3, 4)
    assert not np.array_equal(knobs[:, 0], knobs[:, 1])


def test_requests_are_neither_lost_nor_made() -> None:
    environment = FleetEnvironment(default_parameters(), 32, seed=1)
    actions = no_operation(32)
    knobs = environment.knobs
    per_request = knobs.quorum + knobs.audit_share

    def in_flight() -> np.ndarray:
        state = environment.state
        return state.retries.sum(axis=0) + state.backlog.sum(axis=(0, 1)) / per_request

    before, arrived, ended = in_flight(), 0.0, 0.0
    for _ in range(100):
        outcome = environment.step(actions).outcome
        arrived, ended = arrived + outcome.total("arrived"), ended + outcome.total("ended")
        assert (outcome.total("useful") <= outcome.total("answered") + 1e-9).all()
        assert (outcome.total("good") <= outcome.total("useful") + 1e-9).all()
        assert (outcome.total("answered") <= outcome.total("ended") + 1e-9).all()
    np.testing.assert_allclose(before + arrived, ended + in_flight(), rtol=1e-9)


def test_an_episode_is_cut_off_and_its_final_state_is_not_the_next_ones_first() -> None:
    environment = FleetEnvironment(_short(10), 8, seed=2)
    steps = _run(environment, 20)
    assert [bool(step.truncated.all()) for step in steps] == [index % 10 == 9 for index in range(20)]
    assert not any(step.terminated.any() for step in steps)
    last = steps[9]
    assert not np.array_equal(last.states["policy"], last.final_states["policy"])
    assert np.array_equal(steps[8].states["policy"], steps[8].final_states["policy"])
    # The next episode begins with the defaults again.
    weights = np.array([0.45, 0.35, 0.2])
    fresh = FleetEnvironment(_short(1), 4, seed=2)
    _run(fresh, 1)
    np.testing.assert_allclose(fresh.knobs.weights, np.repeat(weights[:, None], 4, axis=1))


def test_staggered_fleets_end_at_different_steps() -> None:
    environment = FleetEnvironment(_short(10), 10, seed=2, stagger=True)
    ends = np.array([step.truncated for step in _run(environment, 10)])
    assert ends.sum(axis=1).tolist() == [1] * 10
    assert ends.sum(axis=0).tolist() == [1] * 10


def test_fleets_that_are_not_restarted_go_on_as_if_nobody_was() -> None:
    rng = np.random.default_rng(0)
    actions = [_random_actions(10, rng) for _ in range(14)]
    long, short = FleetEnvironment(default_parameters(), 10, seed=2), FleetEnvironment(_short(10), 10, seed=2)
    short.elapsed[::2] = 5  # the even ones are cut off in the middle
    for each in actions[:9]:
        expected, found = long.step(each), short.step(each)
    for agent in AGENTS:
        assert np.array_equal(expected.states[agent][1::2], found.states[agent][1::2])
        assert not np.array_equal(expected.states[agent][::2], found.states[agent][::2])


def test_what_was_saved_goes_on_bit_for_bit() -> None:
    one = FleetEnvironment(_short(25), 16, seed=9, scenarios=8, stagger=True)
    _run(one, 17)
    parts = one.parts()
    other = FleetEnvironment(_short(25), 16, seed=1234, scenarios=8)
    other.restore(parts)
    assert all(np.array_equal(one.states[agent], other.states[agent]) for agent in AGENTS)
    after_one, after_other = _run(one, 30, seed=6), _run(other, 30, seed=6)
    assert all(_same(first, second) for first, second in zip(after_one, after_other, strict=True))


def test_a_branch_starts_from_the_present_and_leaves_it_alone() -> None:
    environment = FleetEnvironment(default_parameters(), 6, seed=9)
    _run(environment, 12)
    before = environment.states["resource"].copy()
    branch = environment.branch(np.array([2, 2, 2, 4]), seed=1, scenarios=1)
    assert np.array_equal(branch.states["resource"], before[[2, 2, 2, 4]])
    steps = [branch.step(no_operation(4)) for _ in range(5)]
    assert np.array_equal(environment.states["resource"], before)
    # One scenario, one beginning: the same; another beginning: not.
    assert steps[-1].rewards[0] == steps[-1].rewards[1]
    assert steps[-1].rewards[0] != steps[-1].rewards[3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": np.zeros(3, dtype=np.int64)}, r"actions of policy have shape \(3,\); they need \(4,\)"),
        ({"consensus": np.full(4, 5)}, r"actions of consensus lie in 5..5; they must lie in 0..4"),
        ({"resource": np.full((4, 4), 1.5, dtype=np.float32)}, r"actions of resource lie in 1.5..1.5"),
        ({"resource": np.full((4, 4), np.nan, dtype=np.float32)}, r"actions of resource lie in nan..nan"),
        ({"other": np.zeros(4)}, r"they are needed for policy, consensus, ethical, resource"),
    ],
)
def test_wrong_actions_are_refused_by_name(change: dict[str, np.ndarray], message: str) -> None:
    environment = FleetEnvironment(default_parameters(), 4, seed=0)
    before = environment.parts()
    with pytest.raises(InvalidInput, match=message):
        environment.step({**no_operation(4), **change})
    assert environment.parts()["step"] == before["step"]


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 fleets; give 1 to 1,000,000"):
        FleetEnvironment(default_parameters(), 0, seed=0)
    with pytest.raises(InvalidInput, match="10 fleets cannot share 4 scenarios"):
        FleetEnvironment(default_parameters(), 10, seed=0, scenarios=4)
    parts = FleetEnvironment(default_parameters(), 4, seed=0).parts()
    with pytest.raises(InvalidInput, match=r"environment\.state\.traffic\.hour has shape \(4,\); this one has \(5,\)"):
        FleetEnvironment(default_parameters(), 5, seed=0).restore(parts)
    del parts["good"]
    with pytest.raises(InvalidInput, match=r"environment\.good is missing"):
        FleetEnvironment(default_parameters(), 4, seed=0).restore(parts)
