"""How long an agent takes to act, and its checkpoint to be written and read, by algorithm.

    .venv/bin/python benchmarks/inference.py [--batch 1024] [--repeats 2000] [--seed 0] [--json]

Untrained agents of the fleet's sizes with the default configurations: what they know makes no difference to the time.
Wall time of `Policy.act` on one thread, from a NumPy state to a NumPy action, its checks included; after a warm-up.
A checkpoint holds the replay, filled to its capacity, or the open rollout; it is written with fsync.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cogorch_dagster.agents import algorithms, checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.agents.learner import Learner, Transition

AGENTS = {
    "policy": ("dqn", 32, 10),
    "consensus": ("a2c", 16, 5),
    "ethical": ("ppo", 24, 8),
    "resource": ("ddpg", 20, 4),
}
WARM_UP = 200
CONTINUOUS = "ddpg"


def filled(algorithm: str, states: int, actions: int, rows: int, seed: int) -> Learner:
    """An agent that has seen `rows` random transitions, and (off-policy) has not begun to learn from them."""
    late = {"learning_start": 10**9} if algorithm in ("dqn", "ddpg") else {}
    learner = algorithms.learner(algorithm, late, states=states, actions=actions, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    batch = 1000
    for _ in range(rows // batch if late else 1):
        drawn = torch.rand((2, batch, states), generator=generator)
        acted = torch.rand((batch, actions), generator=generator)
        done = torch.zeros(batch, dtype=torch.bool)
        taken = acted if algorithm == CONTINUOUS else acted.argmax(1)
        learner.learn(Transition(drawn[0], taken, acted[:, 0], drawn[1], done, done))
    return learner


def times(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median and 99th percentile in microseconds."""
    for _ in range(min(repeats, WARM_UP)):
        call()
    found = np.empty(repeats)
    for at in range(repeats):
        start = time.perf_counter_ns()
        call()
        found[at] = time.perf_counter_ns() - start
    p50, p99 = np.quantile(found, [0.5, 0.99]) / 1e3
    return {"p50_us": float(p50), "p99_us": float(p99)}


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def measure(agent: str, batch: int, repeats: int, seed: int, folder: Path) -> dict[str, Any]:
    algorithm, states, actions = AGENTS[agent]
    learner = filled(algorithm, states, actions, 100_000, seed)
    checkpoint = Checkpoint(
        agent=agent,
        algorithm=algorithm,
        configuration=algorithms.complete(algorithm, {}),
        calibration="none",
        states=states,
        actions=actions,
        steps=0,
        seed=seed,
        metrics={},
        parts=learner.parts(),
    )
    path = folder / f"{agent}.safetensors"
    writing, _ = seconds(lambda: checkpoints.write(path, checkpoint))
    reading, found = seconds(lambda: checkpoints.read(path))
    making, policy = seconds(lambda: Policy.of(found))
    draws = np.random.default_rng(seed).random((batch, states), np.float32)
    return {
        "agent": agent,
        "algorithm": algorithm,
        "single": times(lambda: policy.act(draws[0]), repeats),
        "batch": times(lambda: policy.act(draws), max(1, repeats // 10)),
        "checkpoint_mb": path.stat().st_size / 1e6,
        "write_ms": writing * 1e3,
        "read_ms": reading * 1e3,
        "policy_ms": making * 1e3,
    }


def show(found: list[dict[str, Any]], batch: int) -> None:
    print(
        f"{'agent':<10} {'':<5} {'one state, µs':>17} {f'{batch} states, µs':>19} {'file':>9} {'write':>8} {'read':>8}"
    )
    for row in found:
        one, many = row["single"], row["batch"]
        print(
            f"{row['agent']:<10} {row['algorithm']:<5} {one['p50_us']:>7.0f} / {one['p99_us']:>7.0f} "
            f"{many['p50_us']:>9.0f} / {many['p99_us']:>7.0f} {row['checkpoint_mb']:>6.1f} MB "
            f"{row['write_ms']:>5.0f} ms {row['read_ms']:>5.0f} ms"
        )
    print("Times to act are the median / the 99th percentile.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(agent, options.batch, options.repeats, options.seed, Path(folder)) for agent in AGENTS]
    if options.json:
        json.dump({"batch": options.batch, "repeats": options.repeats, "agents": found}, sys.stdout, indent=2)
        print()
    else:
        show(found, options.batch)


if __name__ == "__main__":
    main()
