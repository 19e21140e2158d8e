"""Tasks of `benchmarks/agents_gymnasium.py` for the agents that learn values from a replay: dqn and ddpg.

The peer's tuned settings are those of rl-baselines3-zoo (hyperparams/dqn.yml and ddpg.yml), on one environment, as
there. In "the same settings" it has the same networks, batches, rates, returns of several steps and updates per step,
but stable-baselines3 has no double, dueling or prioritised DQN: it does less for each update than ours.
"""

from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
import torch

from benchmarks.agents_gymnasium_task import Peer, Task
from cogorch_dagster.agents.ddpg import DDPG, DDPGSettings
from cogorch_dagster.agents.dqn import DQN, DQNSettings
from cogorch_dagster.agents.learner import Learner
from cogorch_dagster.agents.replay import Priorities

CARTPOLE_STEPS, PENDULUM_STEPS = 50_000, 20_000
ENVIRONMENTS = {"dqn": 8, "ddpg": 4}

DQN_CARTPOLE = DQNSettings(
    states=4,
    actions=2,
    hidden=(128, 128),
    priorities=Priorities(beta_steps=CARTPOLE_STEPS),
    return_steps=3,
    learning_rate=1e-3,
    batch_size=128,
    gradient_steps=2,
    target_share=0.02,
    final_epsilon=0.05,
    epsilon_steps=8_000,
    device="cpu",
)
DDPG_PENDULUM = DDPGSettings(
    states=3,
    dimensions=1,
    actor_hidden=(64, 64),
    critic_hidden=(64, 64),
    discount=0.98,
    reward_scale=0.1,
    batch_size=128,
    gradient_steps=2,
    noise=0.1,
    final_noise=0.02,
    noise_steps=PENDULUM_STEPS,
    device="cpu",
)


def _dqn(states: int, actions: gymnasium.spaces.Discrete, seed: int) -> Learner:
    return DQN(replace(DQN_CARTPOLE, states=states, actions=int(actions.n), seed=seed))


def _plain_dqn(states: int, actions: gymnasium.spaces.Discrete, seed: int) -> Learner:
    plain = replace(DQN_CARTPOLE, states=states, actions=int(actions.n), seed=seed)
    return DQN(replace(plain, double=False, dueling=False, priorities=None))


def _ddpg(states: int, actions: gymnasium.spaces.Box, seed: int) -> Learner:
    return DDPG(replace(DDPG_PENDULUM, states=states, dimensions=actions.shape[0], seed=seed))


def _same(settings: DQNSettings | DDPGSettings) -> dict[str, Any]:
    return {
        "buffer_size": settings.capacity,
        "learning_starts": settings.learning_start,
        "batch_size": settings.batch_size,
        "gamma": settings.discount,
        "tau": settings.target_share,
        "n_steps": settings.return_steps,
        "train_freq": settings.train_every,
        "gradient_steps": settings.gradient_steps,
    }


def _normal_noise(sigma: float) -> Any:
    """The peer's noise; none where the peer is not installed, so that our agents run without it."""
    if find_spec("stable_baselines3") is None:
        return None
    from stable_baselines3.common.noise import NormalActionNoise

    return NormalActionNoise(mean=np.zeros(1), sigma=np.full(1, sigma))


SAME_DQN = {
    **_same(DQN_CARTPOLE),
    "learning_rate": DQN_CARTPOLE.learning_rate,
    "target_update_interval": ENVIRONMENTS["dqn"],
    "exploration_fraction": DQN_CARTPOLE.epsilon_steps / CARTPOLE_STEPS,
    "exploration_final_eps": DQN_CARTPOLE.final_epsilon,
    "policy_kwargs": {"activation_fn": torch.nn.ReLU, "net_arch": list(DQN_CARTPOLE.hidden)},
}
SAME_DDPG = {
    **_same(DDPG_PENDULUM),
    "learning_rate": DDPG_PENDULUM.critic_rate,
    "policy_kwargs": {"net_arch": {"pi": list(DDPG_PENDULUM.actor_hidden), "qf": list(DDPG_PENDULUM.critic_hidden)}},
}
ZOO_DQN_CARTPOLE = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
ZOO_DDPG_PENDULUM = {
    "learning_rate": 1e-3,
    "buffer_size": 200_000,
    "learning_starts": 10_000,
    "gamma": 0.98,
    "train_freq": 1,
    "gradient_steps": 1,
    "action_noise": _normal_noise(0.1),
    "policy_kwargs": {"net_arch": [400, 300]},
}

TASKS: dict[tuple[str, str], Task] = {
    ("dqn", "CartPole-v1"): Task(
        make_learner=_dqn,
        settings=asdict(DQN_CARTPOLE),
        environments=ENVIRONMENTS["dqn"],
        steps=CARTPOLE_STEPS,
        threshold=475.0,
        highest=500.0,
        tuned=Peer("DQN", 1, ZOO_DQN_CARTPOLE),
        same=Peer("DQN", ENVIRONMENTS["dqn"], SAME_DQN),
        alike=_plain_dqn,
        evaluate_every=2_000,
    ),
    ("ddpg", "Pendulum-v1"): Task(
        make_learner=_ddpg,
        settings=asdict(DDPG_PENDULUM),
        environments=ENVIRONMENTS["ddpg"],
        steps=PENDULUM_STEPS,
        threshold=-170.0,
        tuned=Peer("DDPG", 1, ZOO_DDPG_PENDULUM),
        same=Peer("DDPG", ENVIRONMENTS["ddpg"], SAME_DDPG),
        evaluate_every=1_000,
    ),
}
