"""stable-baselines3 for `benchmarks/agents_gymnasium.py`, on the same vector environment, and timed the same way."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import A2C, DDPG, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from benchmarks.agents_gymnasium import SPEED_STEPS, Act, Progress, make
from benchmarks.agents_gymnasium_task import Peer, Task

CLASSES: dict[str, type[BaseAlgorithm]] = {"PPO": PPO, "A2C": A2C, "DQN": DQN, "DDPG": DDPG}


class Adapted(VecEnv):
    """Gymnasium's vector environment behind stable-baselines3's interface, with as little between them as can be."""

    def __init__(self, held: gymnasium.vector.VectorEnv) -> None:
        self.held, self.first_seed = held, None
        super().__init__(held.num_envs, held.single_observation_space, held.single_action_space)

    def reset(self) -> NDArray[Any]:
        seeds = [seed for seed in self._seeds if seed is not None]
        states, _ = self.held.reset(seed=seeds or None)
        self._reset_seeds()
        return states

    def step_async(self, actions: NDArray[Any]) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[dict[str, Any]]]:
        states, rewards, terminated, truncated, infos = self.held.step(self.actions)
        ended = terminated | truncated
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(ended):
            rows[row] = {
                "terminal_observation": infos["final_obs"][row],
                "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
            }
        return states, rewards.astype(np.float32), ended, rows

    def close(self) -> None:
        self.held.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ARG002
        return [getattr(self.held, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002
        return [False] * self.num_envs


class Embedding(BaseFeaturesExtractor):
    """Layers with ReLU that policy and value share."""

    def __init__(self, space: gymnasium.spaces.Box, widths: tuple[int, ...]) -> None:
        super().__init__(space, features_dim=widths[-1])
        sizes = (space.shape[0], *widths)
        layers = [layer for pair in pairwise(sizes) for layer in (torch.nn.Linear(*pair), torch.nn.ReLU())]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.layers(states)


def linear(start: float) -> Callable[[float], float]:
    return lambda remaining: remaining * start


def build(environment: str, peer: Peer, seed: int) -> BaseAlgorithm:
    held: VecEnv = Adapted(make(environment, peer.environments))
    if peer.normalise:
        held = VecNormalize(held)
    kwargs = {
        name: linear(float(value.removeprefix("linear "))) if str(value).startswith("linear ") else value
        for name, value in peer.kwargs.items()
    }
    if peer.shared:
        embedding = {"features_extractor_class": Embedding, "features_extractor_kwargs": {"widths": peer.shared}}
        kwargs["policy_kwargs"] = {**kwargs.get("policy_kwargs", {}), **embedding}
    return CLASSES[peer.name]("MlpPolicy", held, seed=seed, device="cpu", **kwargs)


def acting(model: BaseAlgorithm) -> Act:
    """Greedy actions; normalised environments are asked for how they normalise."""
    normaliser = model.get_vec_normalize_env()

    def act(states: NDArray[np.float32]) -> NDArray[Any]:
        seen = states if normaliser is None else normaliser.normalize_obs(states)
        return np.asarray(model.predict(seen, deterministic=True)[0])

    return act


class Watch(BaseCallback):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def _on_step(self) -> bool:
        self.progress.after(self.num_timesteps, acting(self.model))
        return self.progress.reached is None


def peer_run(environment: str, task: Task, steps: int, seed: int) -> dict[str, Any]:
    """The peer in its tuned settings, until it is at the threshold or the budget is spent."""
    model = build(environment, task.tuned, seed)
    progress = Progress(environment, task, seed)
    model.learn(steps, callback=Watch(progress))
    return progress.result(acting(model), model.num_timesteps)


def peer_speed(environment: str, task: Task, seed: int) -> float:
    """Steps per second of CPU time in our settings, without any evaluation."""
    model = build(environment, task.same, seed)
    started = time.process_time()
    model.learn(SPEED_STEPS)
    return model.num_timesteps / (time.process_time() - started)
