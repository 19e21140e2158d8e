"""Joint training: four agents learn at once in one environment of many fleets, each from its own view.

Every agent's transition has its own state and action and the shared reward; what the others do is part of the
environment to it. Settings are `joint_configuration.py`, how a training becomes files `joint_checkpoints.py`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cogorch_dagster.agents import algorithms
from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.checks import chosen_device, part, whole
from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.agents.learner import Learner, Transition
from cogorch_dagster.agents.training.joint_configuration import ALGORITHMS, JointConfiguration, sizes_of
from cogorch_dagster.agents.training.joint_controller import Act, JointController
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.actions import RESOURCE_DIMENSIONS, Values
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName

# Of evaluations while training; far from those that reports and tests count from 0.
FIRST_VALIDATION_SEED = 2**62
FLEETS_PER_SEED = 8
# Of the warm-up: steps for which levels are kept, and the lowest of the concurrency.
TRIED_FOR = 20
LEAST_CONCURRENCY = 0.4
# Of a validation that is a point of the curve.
CURVE = ("reward", "latency", "success", "unfairness", "violations", "cost", "conflicts")

Point = dict[str, float]


class JointTraining:
    """A training at one moment: learners, environment, counters, the curve and the best agents so far.

    Attributes:
        steps: of all fleets at once, done so far.
        curve: a point per evaluation: `steps`, `training_reward` (mean reward since the last point, with
            exploration) and the names of CURVE from fleets that training does not meet, without exploration; latency
            in ms, cost in USD of a useful answer, the others per step or as shares.
        best: `steps` of the best point and the learners' `parts` then; empty before the first evaluation.

    Raises:
        InvalidInput: the device cannot be used, or a setting of an algorithm is out of its range.
    """

    def __init__(self, parameters: FleetParameters, configuration: JointConfiguration) -> None:
        self.parameters, self.configuration = parameters, configuration
        self.device = chosen_device(configuration.device)
        self.environment = FleetEnvironment(
            parameters,
            configuration.fleets,
            seed=configuration.seed_of("environment"),
            weights=configuration.weights,
            stagger=True,
        )
        self.learners = {agent: _learner(configuration, agent) for agent in configuration.learning}
        self.steps = 0
        self.curve: list[Point] = []
        self.best: dict[str, Any] = {}
        self._rewards = 0.0  # summed since the last point

    @property
    def fleet_steps(self) -> int:
        """Steps of single fleets, done so far."""
        return self.steps * self.configuration.fleets

    def advance(
        self,
        done: Callable[[AgentName], None] | None = None,
        order: Callable[[Sequence[AgentName]], AgentName] | None = None,
    ) -> float:
        """One step of all fleets: every agent acts, and learns from what came of it.

        Args:
            done: called with each agent as soon as its own step is complete; it may change that agent's settings, and
                those of the agents before it.
            order: asked, of the agents that have not learned yet, which of them does next; None: the first. No agent
                learns from what another one has learned in the step, so the order changes no result.

        Returns:
            The fleets' mean shared reward in the step, with exploration.

        Raises:
            Refused: `training_diverged`: an agent's figures are no longer finite.
        """
        before = {agent: self._tensor(self.environment.states[agent]) for agent in self.learners}
        actions = {agent: learner.act(before[agent], explore=True) for agent, learner in self.learners.items()}
        if "resource" in actions and self.steps < self.configuration.warm_up:
            actions["resource"] = self._tensor(tried_levels(self.configuration, self.steps))
        taken: dict[str, Values] = passive(self.configuration.fleets)
        step = self.environment.step(taken | {agent: values.cpu().numpy() for agent, values in actions.items()})
        terminated, truncated = self._tensor(step.terminated), self._tensor(step.truncated)
        waiting = list(self.learners)
        while waiting:
            agent = waiting[0] if order is None else order(waiting)
            waiting.remove(agent)
            after = self._tensor(step.final_states[agent])
            rewards = self._tensor(self._reward(step, agent))
            found = self.learners[agent].learn(
                Transition(before[agent], actions[agent], rewards, after, terminated, truncated)
            )
            _require_finite(agent, found, self.steps)
            if done is not None:
                done(agent)
        reward = float(step.rewards.mean())
        self._rewards += reward
        self.steps += 1
        return reward

    def _reward(self, step: Step, agent: AgentName) -> np.ndarray[Any, np.dtype[np.float32]]:
        joint = self.configuration
        rewards = step.rewards if joint.aim == "shared" else step.utilities[agent]
        return (rewards - np.float32(joint.reward_center)) * np.float32(joint.reward_scale)

    def _tensor(self, values: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)

    def controller(self) -> JointController:
        """The agents as they are now, without exploration; they change while training goes on."""
        return JointController("joint", {agent: self._greedy(learner) for agent, learner in self.learners.items()})

    def _greedy(self, learner: Learner) -> Act:
        def act(states: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
            found: np.ndarray[Any, Any] = learner.act(self._tensor(states), explore=False).cpu().numpy()
            return found

        return act

    def validate(self) -> Point:
        """A new point of the curve; the agents are kept if no earlier point had as much reward."""
        joint = self.configuration
        seeds = range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + joint.validation_seeds)
        scores = evaluate(
            self.parameters, self.controller(), seeds=seeds, fleets_per_seed=FLEETS_PER_SEED, weights=joint.weights
        )
        since = self.steps - (int(self.curve[-1]["steps"]) if self.curve else 0)
        point = {"steps": float(self.steps), "training_reward": self._rewards / max(since, 1)}
        point |= {name: float(scores.values[name].mean()) for name in CURVE}
        self._rewards = 0.0
        if all(point["reward"] > earlier["reward"] for earlier in self.curve):
            self.best = {"steps": self.steps, "parts": {agent: each.parts() for agent, each in self.learners.items()}}
        self.curve.append(point)
        return point

    @property
    def best_point(self) -> Point:
        """The curve's point of the best agents."""
        return next(point for point in self.curve if point["steps"] == self.best["steps"])

    def parts(self) -> dict[str, Any]:
        """All that going on needs, as nested dicts and lists of tensors, arrays, numbers and texts."""
        return {
            "steps": self.steps,
            "rewards": self._rewards,
            "curve": [dict(point) for point in self.curve],
            "best": self.best,
            "environment": self.environment.parts(),
            "learners": {agent: learner.parts() for agent, learner in self.learners.items()},
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Take in what `parts` gave, so that going on is the same as never having stopped, bit for bit.

        Raises:
            InvalidInput: a part is missing, or does not fit the configuration.
        """
        whole("steps of the saved training", part(parts, "steps"), 0, self.configuration.steps)
        for agent, learner in self.learners.items():
            learner.restore(part(part(parts, "learners"), agent))
        self.environment.restore(part(parts, "environment"))
        self.steps, self._rewards = parts["steps"], part(parts, "rewards")
        self.curve, self.best = [dict(point) for point in part(parts, "curve")], part(parts, "best")


@dataclass(frozen=True)
class Progress:
    """Where a training stands, after each evaluation.

    Attributes:
        steps, total: of all fleets at once.
        point: of the curve.
        best: whether these agents are the best so far.
    """

    steps: int
    total: int
    point: Point
    best: bool


def train(
    parameters: FleetParameters,
    configuration: JointConfiguration,
    *,
    resume: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
    keep: Callable[[JointTraining], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> JointTraining:
    """Train the agents; the same configuration and parameters give the same agents, bit for bit, on the same device.

    Agents that are kept as the best are chosen by the reward on validation seeds, so what they reach there is a little
    flattering: report them on others.

    Args:
        resume: the parts of a training of this configuration, from where to go on.
        progress: called after every evaluation.
        keep: called after every evaluation, and when `stop` ended the training: the moment to write a checkpoint. A
            training that is killed is then gone on with from the last one.
        stop: asked after every step; True ends the training there.

    Returns:
        The training at its end, where its `steps` are the configuration's, or where it was stopped.

    Raises:
        Refused: `training_diverged`: an agent's figures are no longer finite; what was kept before is good.
        InvalidInput: `resume` is of another configuration.
    """
    training = JointTraining(parameters, configuration)
    if resume is not None:
        training.restore(resume)
    with one_thread():
        while training.steps < configuration.steps:
            training.advance()
            if training.steps % configuration.evaluate_every == 0 or training.steps == configuration.steps:
                point = training.validate()
                if progress is not None:
                    best = training.best["steps"] == training.steps
                    progress(Progress(training.steps, configuration.steps, point, best))
                if keep is not None:
                    keep(training)
            if stop is not None and stop():
                if keep is not None:
                    keep(training)
                break
    return training


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: these networks are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tried_levels(configuration: JointConfiguration, step: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the resource agent does in a step of the warm-up: any numbers of replicas, float32 [B, 4] in 0..1.

    Many are likelier than few (the larger of two draws), as agents that learn in want unlearn what they need in plenty.
    Each fleet keeps its own for TRIED_FOR steps: replicas need that long to start and to show what they change.
    """
    drawn = np.random.default_rng((configuration.seed_of("warm-up"), step // TRIED_FOR))
    levels = drawn.random((2, configuration.fleets, len(RESOURCE_DIMENSIONS))).max(axis=0)
    levels[:, -1] = LEAST_CONCURRENCY + (1 - LEAST_CONCURRENCY) * levels[:, -1]
    found: np.ndarray[Any, np.dtype[np.float32]] = levels.astype(np.float32)
    return found


def _learner(configuration: JointConfiguration, agent: AgentName) -> Learner:
    states, actions = sizes_of(agent)
    settings, seed = configuration.settings_of(agent), configuration.seed_of(agent)
    learner = algorithms.learner(ALGORITHMS[agent], settings, states=states, actions=actions, seed=seed)
    if agent == "resource":
        _begin_at_defaults(learner)
    return learner


def _begin_at_defaults(learner: Learner) -> None:
    """Let the actor propose the default levels at first, by the biases of its last layer."""
    parts = learner.parts()
    levels = torch.from_numpy(passive(1)["resource"][0])
    for name in ("actor", "actor_target"):
        last = str(len(parts[name]) - 1)
        parts[name][last] = levels.to(parts[name][last])
    learner.restore(parts)


def _require_finite(agent: str, figures: Mapping[str, float], steps: int) -> None:
    wrong = {name: value for name, value in figures.items() if not math.isfinite(value)}
    if wrong:
        raise Refused(
            "training_diverged",
            f"after {steps} steps the {agent} agent's figures are no longer finite: {wrong}. "
            "Lower its learning rate, or train with another seed; the checkpoint kept before is good.",
        )
