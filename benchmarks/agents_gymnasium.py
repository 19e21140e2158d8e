"""Our agents on Gymnasium's classic control, with stable-baselines3 beside them.

    .venv/bin/python benchmarks/agents_gymnasium.py --algorithm ppo --environment CartPole-v1 [--seeds 10]
        [--steps N] [--peer] [--peer-seeds 3] [--json]

Every seed trains for the whole budget of steps; the return is that of greedy episodes of the last weights, on
environments of their own. On the way there an evaluation now and then finds the CPU time of training at which the
threshold was first reached (evaluations not counted), and the weights of then, which early stopping would keep, are
evaluated again on fresh episodes ("kept"). With `--peer`, stable-baselines3 in the zoo's settings trains
until it is there too, or the budget is spent, and in our settings for some thousand steps (steps per second), on the
same vector environment. One thread. The tasks are in agents_gymnasium_policy.py (ppo, a2c) and
agents_gymnasium_value.py (dqn, ddpg).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agents_gymnasium_task import Task
from cogorch_dagster.agents.learner import Learner, Transition

Observations = NDArray[np.float32]
Act = Callable[[Observations], NDArray[Any]]
SPEED_STEPS = 20_000


def tasks() -> dict[tuple[str, str], Task]:
    """By algorithm and environment."""
    from benchmarks.agents_gymnasium_policy import TASKS as found

    try:
        from benchmarks.agents_gymnasium_value import TASKS as more
    except ModuleNotFoundError:
        return dict(found)
    return {**found, **more}


def make(environment: str, count: int) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(
        environment,
        num_envs=count,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )


def for_environment(space: gymnasium.Space, actions: torch.Tensor) -> NDArray[Any]:
    """Actions as the environment takes them: continuous ones reach from `low` to `high`, not from 0 to 1."""
    if isinstance(space, gymnasium.spaces.Box):
        return space.low + actions.numpy() * (space.high - space.low)
    return actions.numpy()


def followed(states: Observations, infos: dict[str, Any]) -> Observations:
    """What followed the actions: the final observation where an episode ended, else where the next step starts."""
    if "final_obs" not in infos:
        return states
    found = states.copy()
    for row in np.flatnonzero(infos["_final_obs"]):
        found[row] = infos["final_obs"][row]
    return found


def training(environment: gymnasium.vector.VectorEnv, learner: Learner, seed: int) -> Iterator[int]:
    """Train for ever; yields the number of steps of all environments so far after each step of all of them."""
    count, space = environment.num_envs, environment.single_action_space
    states, _ = environment.reset(seed=seed)
    states = states.astype(np.float32, copy=False)
    done = 0
    while True:
        current = torch.from_numpy(states)
        actions = learner.act(current, explore=True)
        states, rewards, terminated, truncated, infos = environment.step(for_environment(space, actions))
        states = states.astype(np.float32, copy=False)
        learner.learn(
            Transition(
                current,
                actions,
                torch.from_numpy(rewards.astype(np.float32)),
                torch.from_numpy(followed(states, infos)),
                torch.from_numpy(terminated),
                torch.from_numpy(truncated),
            )
        )
        done += count
        yield done


def evaluate(environment: str, act: Act, episodes: int, seed: int) -> float:
    """Mean return of `episodes` episodes, one in each of as many environments."""
    held = make(environment, episodes)
    states, _ = held.reset(seed=1_000_000 + 1_000 * seed)
    returns, running = np.zeros(episodes), np.ones(episodes, dtype=bool)
    while running.any():
        states, rewards, terminated, truncated, _ = held.step(act(states.astype(np.float32, copy=False)))
        returns += rewards * running
        running &= ~(terminated | truncated)
    held.close()
    return float(returns.mean())


def greedy(learner: Learner, space: gymnasium.Space) -> Act:
    return lambda states: for_environment(space, learner.act(torch.from_numpy(states), explore=False))


class Progress:
    """CPU time of training, without the evaluations on the way, until the threshold and until the end.

    The weights of the best evaluation are what is kept; what they are worth is measured on fresh episodes.
    """

    def __init__(self, environment: str, task: Task, seed: int) -> None:
        self.environment, self.task, self.seed = environment, task, seed
        self.spent, self.started, self.due = 0.0, time.process_time(), task.evaluate_every
        self.reached: tuple[int, float] | None = None
        self.best, self.kept = -np.inf, -np.inf

    def after(self, done: int, act: Act) -> None:
        if done < self.due or (self.task.highest is not None and self.best >= self.task.highest):
            return
        self.due += self.task.evaluate_every
        self.spent += time.process_time() - self.started
        found = evaluate(self.environment, act, self.task.episodes, self.seed)
        if self.reached is None and found >= self.task.threshold:
            self.reached = done, self.spent
        if found > self.best:
            self.best, self.kept = found, self._fresh(act)
        self.started = time.process_time()

    def _fresh(self, act: Act) -> float:
        """On episodes other than those that said which weights are best."""
        return evaluate(self.environment, act, max(50, self.task.episodes), self.seed + 500)

    def result(self, act: Act, done: int) -> dict[str, Any]:
        seconds = self.spent + time.process_time() - self.started
        steps, until = self.reached or (None, None)
        return {
            "seed": self.seed,
            "return": self._fresh(act),
            "return_kept": _finite(self.kept),
            "seconds": seconds,
            "steps_per_second": done / seconds,
            "threshold_steps": steps,
            "threshold_seconds": until,
        }


def ours(environment: str, task: Task, steps: int, seed: int) -> dict[str, Any]:
    held = make(environment, task.environments)
    space = held.single_action_space
    learner = task.make_learner(held.single_observation_space.shape[0], space, seed)
    act, progress = greedy(learner, space), Progress(environment, task, seed)
    for done in training(held, learner, seed):
        progress.after(done, act)
        if done >= steps:
            break
    found = progress.result(act, done)
    held.close()
    return found


def our_speed(environment: str, task: Task, seed: int, *, alike: bool = False) -> float:
    """Steps per second of CPU time, without any evaluation; `alike`: with only what the peer's algorithm has."""
    held = make(environment, task.environments)
    make_learner = task.alike if alike and task.alike else task.make_learner
    learner = make_learner(held.single_observation_space.shape[0], held.single_action_space, seed)
    started = time.process_time()
    for done in training(held, learner, seed):
        if done >= SPEED_STEPS:
            break
    held.close()
    return SPEED_STEPS / (time.process_time() - started)


def summary(runs: list[dict[str, Any]], threshold: float) -> dict[str, Any]:
    """Mean return, seeds at the threshold, and medians; a run that never got there counts as infinitely long."""
    returns = np.array([run["return"] for run in runs])
    until = [np.inf if run["threshold_seconds"] is None else run["threshold_seconds"] for run in runs]
    steps = [np.inf if run["threshold_steps"] is None else run["threshold_steps"] for run in runs]
    return {
        "mean_return": float(returns.mean()),
        "lowest_return": float(returns.min()),
        "at_threshold": int((returns >= threshold).sum()),
        "kept_at_threshold": sum((run["return_kept"] or -np.inf) >= threshold for run in runs),
        "seeds": len(runs),
        "median_threshold_steps": _finite(float(np.median(steps))),
        "median_threshold_seconds": _finite(float(np.median(until))),
        "median_steps_per_second": float(np.median([run["steps_per_second"] for run in runs])),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _told(who: str, run: dict[str, Any]) -> dict[str, Any]:
    print(who, json.dumps(run), file=sys.stderr, flush=True)
    return run


def measure(name: str, environment: str, options: argparse.Namespace) -> dict[str, Any]:
    task = tasks()[name, environment]
    steps = options.steps or task.steps
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs = [_told("ours", ours(environment, task, steps, seed)) for seed in seeds]
    found: dict[str, Any] = {
        "algorithm": name,
        "environment": environment,
        "steps": steps,
        "threshold": task.threshold,
        "settings": dict(task.settings),
        "ours": summary(runs, task.threshold),
        "runs": runs,
    }
    if options.peer:
        from benchmarks.agents_gymnasium_peer import peer_run, peer_speed

        peers = [_told("peer", peer_run(environment, task, steps, seed)) for seed in seeds[: options.peer_seeds]]
        # In turn, so that a busy moment of the machine falls on both.
        speeds = [
            (
                our_speed(environment, task, seed),
                peer_speed(environment, task, seed),
                our_speed(environment, task, seed, alike=True),
            )
            for seed in range(3)
        ]
        mine, theirs, alike = (float(np.median(values)) for values in zip(*speeds, strict=True))
        found |= {
            "peer": summary(peers, task.threshold),
            "peer_runs": peers,
            "speed": {"ours": mine, "peer": theirs, "ratio": mine / theirs, "alike": alike / theirs},
        }
    return found


def report(found: dict[str, Any]) -> None:
    print(f"{found['algorithm']} on {found['environment']}, {found['steps']:,} steps, {found['settings']}")
    columns = (
        "",
        "return",
        "lowest",
        f"at {found['threshold']:g}",
        "kept",
        "until (steps)",
        "until (CPU s)",
        "steps/s",
    )
    print(f"  {columns[0]:<8}" + "".join(f"{column:>15}" for column in columns[1:]))
    for who in ("ours", "peer"):
        if who in found:
            row = found[who]
            print(
                f"  {who:<8}{row['mean_return']:15.1f}{row['lowest_return']:15.1f}"
                f"{row['at_threshold']:>12}/{row['seeds']:<2}{row['kept_at_threshold']:15}{_shown(row['median_threshold_steps']):>15}"
                f"{_shown(row['median_threshold_seconds']):>15}{row['median_steps_per_second']:15,.0f}"
            )
    if "speed" in found:
        speed = found["speed"]
        print(
            f"  same settings and environments: {speed['ours']:,.0f} steps/s, "
            f"stable-baselines3 {speed['peer']:,.0f}: {speed['ratio']:.2f} times as fast "
            f"({speed['alike']:.2f} with only what the peer's algorithm has)"
        )


def _shown(value: float | None) -> str:
    return "never" if value is None else f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", required=True, choices=("ppo", "a2c", "dqn", "ddpg"))
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first-seed on")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="of all environments together; default: the task's budget")
    parser.add_argument("--peer", action="store_true", help="run stable-baselines3 beside it")
    parser.add_argument("--peer-seeds", type=int, default=3, help="how many seeds the peer trains")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    if (options.algorithm, options.environment) not in tasks():
        parser.error(f"no such task; there are {', '.join(' on '.join(key) for key in tasks())}")
    torch.set_num_threads(1)
    found = measure(options.algorithm, options.environment, options)
    if options.json:
        print(json.dumps(found, default=str))
    else:
        report(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
