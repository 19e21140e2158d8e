"""The tabular controller: its rows, what its actions do to a fleet, its update in the fleet, its exploration."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.tabular import (
    ACTIONS,
    ROWS,
    TabularConfiguration,
    TabularController,
    decaying,
    row_of,
    translated,
)
from cogorch_dagster.agents.baselines.training import train_tabular
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import STATE_SIZES, VIEWS

PARAMETERS = default_parameters()


def test_rows_are_three_levels_of_three_signals() -> None:
    levels = {"latency": (0.3, 0.7, 1.5), "utilisation": (0.2, 0.6, 0.9), "useful": (0.99, 0.91, 0.7)}
    scale = {"latency": 2.0, "utilisation": 1.0, "useful": 1.0}
    cases = [(i, j, k) for i in range(3) for j in range(3) for k in range(3)]
    states = {agent: np.zeros((27, size), dtype=np.float32) for agent, size in STATE_SIZES.items()}
    for position, name in enumerate(levels):
        values = np.array([levels[name][case[position]] for case in cases])
        states["policy"][:, VIEWS["policy"].index(name)] = 2 * values / scale[name] - 1
    assert row_of(states, PARAMETERS).tolist() == list(range(ROWS))


@pytest.mark.parametrize(
    ("action", "replicas", "ablest", "cheapest"),
    [
        ("nothing", 0, 0, 0),
        ("scale_up", 1, 0, 0),
        ("scale_down", -1, 0, 0),
        ("weights_to_ablest", 0, 1, -1),
        ("weights_to_cheapest", 0, -1, 1),
    ],
)
def test_an_action_does_what_its_name_says(action: str, replicas: int, ablest: int, cheapest: int) -> None:
    environment = FleetEnvironment(PARAMETERS, 4, seed=0)
    before = environment.knobs
    environment.step(translated(environment.states, np.full(4, ACTIONS.index(action))))
    after = environment.knobs
    # Ten replicas at most: a tenth of them is one.
    np.testing.assert_allclose(10 * (after.replicas - before.replicas), replicas, atol=1e-5)
    np.testing.assert_allclose(after.concurrency, before.concurrency, atol=1e-6)
    change = np.sign(np.round(after.weights - before.weights, 9))
    np.testing.assert_array_equal(change[[0, 2]].T, np.tile([cheapest, ablest], (4, 1)))
    for name in ("latency_target_ms", "cost_cap_usd", "admission_s", "timeout_ms", "quorum", "fairness", "audit_share"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_scaling_adds_up_while_replicas_start_and_stops_at_the_bounds() -> None:
    environment = FleetEnvironment(PARAMETERS, 2, seed=0)
    for action, expected in (("scale_up", 1.0), ("scale_down", 0.1)):
        for count in range(12):
            environment.step(translated(environment.states, np.full(2, ACTIONS.index(action))))
            if action == "scale_up" and count == 1:
                default = np.asarray(BOUNDS["replicas"].default)
                np.testing.assert_allclose(environment.knobs.replicas[:, 0], default + 0.2, atol=1e-6)
        ordered = environment.state.ready + environment.state.starting.sum(axis=0)
        np.testing.assert_allclose(ordered / 10, expected)


def test_a_step_in_the_fleet_by_hand() -> None:
    environment = FleetEnvironment(PARAMETERS, 1, seed=5)
    controller = TabularController(PARAMETERS, seed=1)
    controller.table += np.arange(ROWS)[:, None] / 10
    row = int(row_of(environment.states, PARAMETERS)[0])
    before = controller.table.copy()
    step = environment.step(controller.act(environment.states))
    controller.observe(step)
    after = int(row_of(step.final_states, PARAMETERS)[0])
    changed = np.argwhere(controller.table != before)
    assert changed.tolist() == [[row, changed[0][1]]]
    old, aim = before[row, 0], float(step.rewards[0]) + 0.95 * before[after].max()
    assert controller.table[tuple(changed[0])] == pytest.approx(old + 0.1 * (aim - old))
    assert controller.steps == 1


def test_an_episode_that_is_cut_off_is_worth_what_followed_it() -> None:
    short = PARAMETERS.model_copy(update={"horizon": 1})
    environment, controller = FleetEnvironment(short, 1, seed=5), TabularController(short, seed=1)
    step = environment.step(controller.act(environment.states))
    assert step.truncated.all()
    # Make the two rows differ, whatever the fleet did.
    begun = np.zeros_like(step.states["policy"])
    step = replace(step, states=step.states | {"policy": begun})
    after = int(row_of(step.final_states, short)[0])
    assert int(row_of(step.states, short)[0]) != after
    controller.table[after] = 7.0
    before = controller.table.copy()
    controller.observe(step)
    ((row, action),) = np.argwhere(controller.table != before)
    aim = float(step.rewards[0]) + 0.95 * 7.0
    assert controller.table[row, action] == pytest.approx(0.9 * before[row, action] + 0.1 * aim)


def test_epsilon_stays_or_falls() -> None:
    assert TabularConfiguration().epsilon_after(10**9) == 0.2
    falling = decaying(1000)
    assert [falling.epsilon_after(steps) for steps in (0, 500, 1000, 5000)] == pytest.approx([1, 0.505, 0.01, 0.01])


def test_a_deployed_table_learns_no_more_and_explores_as_it_is_told() -> None:
    trained, rewards = train_tabular(PARAMETERS, fleets=64, steps=60, seed=3)
    assert len(rewards) == 60
    assert trained.steps == 64 * 60
    assert (trained.table > 0).any()
    environment = FleetEnvironment(PARAMETERS, 2000, seed=9)
    rows = row_of(environment.states, PARAMETERS)
    best = translated(environment.states, trained.table[rows].argmax(axis=1))
    shares = {}
    for explore in (True, False):
        deployed = trained.deployed(explore=explore)
        actions = deployed.act(environment.states)
        same = (actions["policy"] == best["policy"]) & (actions["resource"] == best["resource"]).all(axis=1)
        shares[explore] = float(same.mean())
    deployed.observe(environment.step(actions))
    np.testing.assert_array_equal(deployed.table, trained.table)
    assert shares[True] == pytest.approx(0.84, abs=0.03)
    assert shares[False] == 1


def test_training_follows_from_its_seed() -> None:
    tables = [train_tabular(PARAMETERS, fleets=16, steps=20, seed=seed)[0].table for seed in (1, 1, 2)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert (tables[0] != tables[2]).any()


def test_wrong_use_is_refused() -> None:
    for arguments in ({"rate": 0.0}, {"discount": 1.0}, {"epsilon": 1.2}, {"final_epsilon": -0.1}, {"decay_steps": -1}):
        with pytest.raises(InvalidInput, match=next(iter(arguments))):
            TabularConfiguration(**arguments)  # type: ignore[arg-type]
    environment = FleetEnvironment(PARAMETERS, 1, seed=0)
    controller = TabularController(PARAMETERS)
    actions = translated(environment.states, np.zeros(1, dtype=np.int64))
    with pytest.raises(InvalidInput, match="call act first"):
        controller.observe(environment.step(actions))
    with pytest.raises(InvalidInput, match="steps must be 1"):
        train_tabular(PARAMETERS, fleets=1, steps=0, seed=0)
