"""Agents from checkpoints: another process trains on bit for bit, and a policy acts as its agent did."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogorch_dagster.agents import algorithms, checkpoints, store
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from tests.agents import resuming

ROOT = Path(__file__).parent.parent.parent
STATES = np.random.default_rng(3).normal(size=(40, resuming.STATES)).astype(np.float32)
CUT, END = 21, 38


def trained(algorithm: str, steps: int = CUT) -> Any:
    agent = resuming.learner(algorithm)
    resuming.train(agent, 0, steps)
    return agent


def test_another_process_trains_on_bit_for_bit(tmp_path: Path) -> None:
    paths, expected = [], []
    for algorithm in algorithms.ALGORITHMS:
        agent = trained(algorithm)
        paths.append(str(tmp_path / algorithm))
        checkpoints.write(paths[-1], resuming.saved(agent))
        resuming.train(agent, CUT, END)
        expected.append(resuming.fingerprint(agent))
        assert resuming.fingerprint(trained(algorithm, END)) == expected[-1]  # Saving changed nothing.
    command = [sys.executable, "-m", "tests.agents.resuming", str(CUT), str(END), *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines() == expected, done.stderr
    assert resuming.fingerprint(trained("dqn", END - 1)) != expected[0]


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_a_policy_acts_as_its_agent_did(algorithm: str) -> None:
    agent = trained(algorithm)
    policy = Policy.of(resuming.saved(agent))
    found = policy.act(STATES)
    assert np.array_equal(found, agent.act(torch.from_numpy(STATES), explore=False).numpy())
    untrained = Policy.of(resuming.saved(resuming.learner(algorithm)))
    assert not np.array_equal(found, untrained.act(STATES))
    assert np.array_equal(policy.act(STATES), found)  # Acting changes nothing.
    continuous = algorithm == "ddpg"
    assert found.dtype == (np.float32 if continuous else np.int64)
    assert found.shape == ((40, 2) if continuous else (40,))
    single = policy.act(STATES[5])
    assert np.shape(single) == found.shape[1:]
    assert np.allclose(single, found[5])
    assert policy.act(STATES[:0]).shape == (0, *found.shape[1:])


@pytest.mark.parametrize("algorithm", ["dqn", "ddpg"])
def test_what_a_gpu_has_trained_acts_on_the_cpu(algorithm: str) -> None:
    agent = trained(algorithm)
    checkpoint = resuming.saved(agent)
    of_gpu = {**checkpoint.parts, "random": torch.zeros(16, dtype=torch.uint8)}  # Of the size of CUDA's random state.
    configuration = {**checkpoint.configuration, "device": "cuda"}
    policy = Policy.of(replace(checkpoint, configuration=configuration, parts=of_gpu))
    assert np.array_equal(policy.act(STATES), agent.act(torch.from_numpy(STATES), explore=False).numpy())
    with pytest.raises(InvalidInput, match="part 'random' of the saved agent"):
        agent.restore(of_gpu)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        (np.zeros((2, 4), np.float32), r"shape \[2, 4\]; agent toy takes \[5\] or \[B, 5\]"),
        (np.zeros((1, 2, 5), np.float32), r"shape \[1, 2, 5\]"),
        (np.full(5, np.nan, np.float32), "not finite"),
        (np.full((3, 5), np.inf, np.float32), "not finite"),
    ],
)
def test_states_that_do_not_fit_are_refused(states: Any, reason: str) -> None:
    policy = Policy.of(resuming.saved(resuming.learner("a2c")))
    with pytest.raises(InvalidInput, match=reason):
        policy.act(states)


def test_a_read_only_state_is_taken_and_left_alone() -> None:
    policy = Policy.of(resuming.saved(resuming.learner("a2c")))
    states = STATES.astype(np.float64)
    states.flags.writeable = False
    assert np.array_equal(policy.act(states), policy.act(STATES))
    with pytest.raises(FrozenInstanceError):
        policy.steps = 3  # type: ignore[misc]


def test_parts_of_another_configuration_are_refused() -> None:
    checkpoint = resuming.saved(resuming.learner("a2c"))
    with pytest.raises(InvalidInput, match="restore it with the configuration it was saved with"):
        Policy.of(replace(checkpoint, configuration={**checkpoint.configuration, "shared": [17]}))
    with pytest.raises(InvalidInput, match="configuration"):
        Policy.of(replace(checkpoint, states=6))
    with pytest.raises(InvalidInput, match="has no part"):
        Policy.of(replace(checkpoint, parts={}))


def test_a_policy_out_of_the_store(settings: Settings) -> None:
    agent = trained("ppo")
    policy = Policy.stored(settings, store.save(settings, replace(resuming.saved(agent), agent="ethical", steps=9)))
    assert (policy.agent, policy.algorithm, policy.steps, policy.calibration) == ("ethical", "ppo", 9, "toy")
    assert np.array_equal(policy.act(STATES), agent.act(torch.from_numpy(STATES), explore=False).numpy())


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_a_complete_configuration_is_one_that_stays(algorithm: str) -> None:
    given = resuming.CONFIGURATIONS[algorithm]
    complete = algorithms.complete(algorithm, given)
    assert complete.items() >= given.items()
    assert not {"states", "actions", "dimensions", "seed"} & complete.keys()
    assert algorithms.complete(algorithm, complete) == complete
    agent = algorithms.learner(
        algorithm, complete, states=resuming.STATES, actions=resuming.actions_of(algorithm), seed=1
    )
    agent.restore(resuming.learner(algorithm).parts())


@pytest.mark.parametrize(
    ("algorithm", "configuration", "reason"),
    [
        ("sarsa", {}, "algorithm 'sarsa' is unknown; there are dqn, a2c, ppo, ddpg"),
        ("dqn", {"hiden": [3]}, "dqn has no setting hiden; its settings are activation, batch_size"),
        ("dqn", {"states": 3}, "dqn has no setting states"),
        ("dqn", {"priorities": {"alfa": 1}}, r"dqn\.priorities has no setting alfa; its settings are alpha"),
        ("dqn", {"learning_rate": "fast"}, "configuration of dqn: learning_rate: Input should be a valid number"),
        ("ppo", {"epochs": 2.5}, "configuration of ppo: epochs"),
        ("ppo", {"clip": 7}, "clip must lie above 0 to 1, got 7"),
    ],
)
def test_an_unknown_algorithm_or_setting_is_refused(algorithm: str, configuration: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        algorithms.learner(algorithm, configuration, states=3, actions=2, seed=0)
