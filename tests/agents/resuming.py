"""An agent that trains on made-up transitions, the same in every process, for as long as it is told.

python -m tests.agents.resuming FROM TO CHECKPOINT...    prints a fingerprint of what each has become
"""

import hashlib
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from cogorch_dagster.agents import algorithms, checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.learner import Learner, Transition

STATES, ENVIRONMENTS = 5, 6
OFF_POLICY = {"batch_size": 16, "capacity": 200, "learning_start": 30, "return_steps": 3}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "dqn": {**OFF_POLICY, "hidden": [16], "device": "cpu", "epsilon_steps": 200},
    "ddpg": {**OFF_POLICY, "actor_hidden": [16], "critic_hidden": [16], "device": "cpu"},
    "a2c": {"shared": [16], "rollout_steps": 4, "device": "cpu"},
    "ppo": {"embedding": [16], "heads": [8], "rollout_steps": 8, "minibatch": 12, "epochs": 2, "device": "cpu"},
}


def actions_of(algorithm: str) -> int:
    return 2 if algorithm == "ddpg" else 3


def learner(algorithm: str) -> Learner:
    sizes = {"states": STATES, "actions": actions_of(algorithm)}
    return algorithms.learner(algorithm, CONFIGURATIONS[algorithm], seed=11, **sizes)


def train(agent: Learner, start: int, stop: int) -> None:
    """Steps `start` to `stop`: states and ends depend on the number of the step only, rewards on the actions too."""
    torch.set_num_threads(1)
    for step in range(start, stop):
        rng = np.random.default_rng(step)
        states, following = (torch.from_numpy(rng.random((ENVIRONMENTS, STATES), np.float32)) for _ in range(2))
        actions = agent.act(states, explore=True)
        rewards = actions.float().reshape(ENVIRONMENTS, -1).sum(1) * states[:, 0] - states[:, 1]
        ends = torch.from_numpy(rng.random((2, ENVIRONMENTS)) < 0.1)
        agent.learn(Transition(states, actions, rewards, following, ends[0], ends[1]))


def saved(agent: Learner) -> Checkpoint:
    return Checkpoint(
        agent="toy",
        algorithm=agent.algorithm,
        configuration=CONFIGURATIONS[agent.algorithm],
        calibration="toy",
        states=STATES,
        actions=actions_of(agent.algorithm),
        steps=0,
        seed=11,
        metrics={},
        parts=agent.parts(),
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def fingerprint(agent: Learner) -> str:
    """A hash of every bit of the agent and of what it would do next."""
    digest = checkpoints.digest(checkpoints.pack(replace(saved(agent), code_version="")))
    actions = agent.act(torch.linspace(-1, 1, 20 * STATES).reshape(20, STATES), explore=False)
    return f"{digest} {hashlib.sha256(actions.numpy().tobytes()).hexdigest()}"


def main(path: str, start: int, stop: int) -> None:
    checkpoint = checkpoints.read(path)
    agent = learner(checkpoint.algorithm)
    agent.restore(checkpoint.parts)
    train(agent, start, stop)
    print(fingerprint(agent))


if __name__ == "__main__":
    for argument in sys.argv[3:]:
        main(argument, int(sys.argv[1]), int(sys.argv[2]))
