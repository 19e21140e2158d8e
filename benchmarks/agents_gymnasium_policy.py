"""Tasks of `benchmarks/agents_gymnasium.py` for the agents that learn a policy from rollouts: ppo and a2c.

The peer's tuned settings are those of rl-baselines3-zoo (hyperparams/ppo.yml and a2c.yml).
"""

from dataclasses import asdict
from typing import Any

import gymnasium
import torch

from benchmarks.agents_gymnasium_task import Peer, Task
from cogorch_dagster.agents.a2c import A2C, A2CConfiguration
from cogorch_dagster.agents.learner import Learner
from cogorch_dagster.agents.ppo import PPO, PPOConfiguration

CARTPOLE_STEPS, ACROBOT_STEPS = 100_000, 200_000

PPO_CARTPOLE = PPOConfiguration(
    rollout_steps=32,
    epochs=10,
    minibatch=256,
    gamma=0.98,
    gae_decay=0.9,
    learning_rate=2e-3,
    anneal_steps=CARTPOLE_STEPS,
    kl_bound=None,
    device="cpu",
)
PPO_ACROBOT = PPOConfiguration(
    rollout_steps=64,
    epochs=8,
    minibatch=512,
    gamma=0.99,
    gae_decay=0.95,
    learning_rate=1e-3,
    anneal_steps=ACROBOT_STEPS,
    kl_bound=None,
    entropy_weight=0.01,
    device="cpu",
)
A2C_CARTPOLE = A2CConfiguration(
    shared=(),
    heads=(64, 64),
    activation="tanh",
    optimiser="rmsprop",
    rollout_steps=8,
    gamma=0.99,
    gae_decay=1.0,
    learning_rate=1e-3,
    normalise_advantages=False,
    value_weight=1.0,
    entropy_weight=0.0,
    device="cpu",
)


def _ppo(configuration: PPOConfiguration) -> Any:
    def make(states: int, actions: gymnasium.spaces.Discrete, seed: int) -> Learner:
        return PPO(configuration, states=states, actions=int(actions.n), seed=seed)

    return make


def _a2c(configuration: A2CConfiguration) -> Any:
    def make(states: int, actions: gymnasium.spaces.Discrete, seed: int) -> Learner:
        return A2C(configuration, states=states, actions=int(actions.n), seed=seed)

    return make


def _same_ppo(settings: PPOConfiguration, environments: int) -> Peer:
    """The peer counts the squared error in full where we count half of it."""
    kwargs = {
        "n_steps": settings.rollout_steps,
        "batch_size": settings.minibatch,
        "n_epochs": settings.epochs,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_decay,
        "learning_rate": settings.learning_rate,
        "clip_range": settings.clip,
        "ent_coef": settings.entropy_weight,
        "vf_coef": settings.value_weight / 2,
        "max_grad_norm": settings.max_gradient_norm,
        "policy_kwargs": {"activation_fn": torch.nn.ReLU, "net_arch": list(settings.heads)},
    }
    return Peer("PPO", environments, kwargs, shared=settings.embedding)


def _same_a2c(settings: A2CConfiguration, environments: int) -> Peer:
    kwargs = {
        "n_steps": settings.rollout_steps,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_decay,
        "learning_rate": settings.learning_rate,
        "ent_coef": settings.entropy_weight,
        "vf_coef": settings.value_weight / 2,
        "max_grad_norm": settings.max_gradient_norm,
        "normalize_advantage": settings.normalise_advantages,
        "use_rms_prop": settings.optimiser == "rmsprop",
        "policy_kwargs": {"activation_fn": torch.nn.Tanh, "net_arch": list(settings.heads)},
    }
    return Peer("A2C", environments, kwargs, shared=settings.shared)


ZOO_PPO_CARTPOLE = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
    "learning_rate": "linear 0.001",
    "clip_range": "linear 0.2",
}
ZOO_PPO_ACROBOT = {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0}
ZOO_A2C_CARTPOLE = {"ent_coef": 0.0}

TASKS: dict[tuple[str, str], Task] = {
    ("ppo", "CartPole-v1"): Task(
        make_learner=_ppo(PPO_CARTPOLE),
        settings=asdict(PPO_CARTPOLE),
        environments=8,
        steps=CARTPOLE_STEPS,
        threshold=475.0,
        highest=500.0,
        tuned=Peer("PPO", 8, ZOO_PPO_CARTPOLE),
        same=_same_ppo(PPO_CARTPOLE, 8),
        evaluate_every=4_000,
    ),
    ("ppo", "Acrobot-v1"): Task(
        make_learner=_ppo(PPO_ACROBOT),
        settings=asdict(PPO_ACROBOT),
        environments=16,
        steps=ACROBOT_STEPS,
        threshold=-90.0,
        tuned=Peer("PPO", 16, ZOO_PPO_ACROBOT, normalise=True),
        same=_same_ppo(PPO_ACROBOT, 16),
        evaluate_every=8_000,
    ),
    ("a2c", "CartPole-v1"): Task(
        make_learner=_a2c(A2C_CARTPOLE),
        settings=asdict(A2C_CARTPOLE),
        environments=8,
        steps=CARTPOLE_STEPS,
        threshold=475.0,
        highest=500.0,
        tuned=Peer("A2C", 8, ZOO_A2C_CARTPOLE),
        same=_same_a2c(A2C_CARTPOLE, 8),
        evaluate_every=4_000,
    ),
}
