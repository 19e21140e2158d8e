"""What a stored agent must be fit for before anything is made of it: its numbers are finite, and it acts in time.

How well it steers is `contest.py`; whether its file is whole `store.load` says by itself.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.checks import whole
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.agents.training.joint import one_thread

WARM_UP = 50


@dataclass(frozen=True)
class Finiteness:
    """How many floating-point numbers a checkpoint's parts hold, and the paths of tensors where some are not finite."""

    numbers: int
    wrong: tuple[str, ...]


def finiteness(checkpoint: Checkpoint) -> Finiteness:
    """Look at every tensor and array of a checkpoint: weights, optimiser, replay."""
    numbers, wrong = 0, []
    for path, values in _arrays(checkpoint.parts, ""):
        if values.is_floating_point():
            numbers += values.numel()
            wrong += [] if bool(torch.isfinite(values).all()) else [path]
    return Finiteness(numbers, tuple(wrong))


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a single state to its action, checks included, over so many repeats on one thread."""

    median_ms: float
    p99_ms: float
    repeats: int


def latency(policy: Policy, *, repeats: int = 500, seed: int = 0) -> Latency:
    """Measure how long an agent takes to act, wall time, after a warm-up; what it knows makes no difference.

    Args:
        repeats: 1 to 1,000,000.

    Raises:
        InvalidInput: repeats outside of its range.
    """
    whole("repeats", repeats, 1, 1_000_000)
    state = np.random.default_rng(seed).uniform(-1, 1, policy.states).astype(np.float32)
    found = np.empty(repeats)
    with one_thread():
        for _ in range(WARM_UP):
            policy.act(state)
        for at in range(repeats):
            start = time.perf_counter_ns()
            policy.act(state)
            found[at] = time.perf_counter_ns() - start
    median, p99 = np.quantile(found, [0.5, 0.99]) / 1e6
    return Latency(float(median), float(p99), repeats)


def _arrays(value: Any, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, np.ndarray):
        yield path, torch.from_numpy(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _arrays(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _arrays(each, f"{path}.{index}")
