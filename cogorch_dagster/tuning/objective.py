"""The objective of a search: what an agent trained with some hyperparameters earns, by real training and evaluation.

All trials of a study meet the same training seeds and the same evaluation seeds (`seeds.py`), so that what sets two of
them apart is what they tried. What is measured is the agent at the end of its training, not the best of its curve: it
is what running agents have, and no choice among its own figures flatters it.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import STATE_SIZES, AgentName
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning import normalised
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.seeds import evaluation_seeds

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

# By agent what it does in its states, as `joint_controller.Act`.
Companions = Mapping[AgentName, Callable[[Any], Any]]

# An evaluation costs a tenth of a training and less, so it is not to add to what the training's own luck does: with 8
# fleets it was off by as much as trainings differ.
FLEETS_PER_SEED = 64
DEFAULT_HORIZON = 240
# Of the resource agent's training the share in which it only tries levels, as in a joint training.
WARM_UP = 4 / 15
# One-sided, of the mean over training seeds.
CONFIDENCE = 0.9


class Interrupted(Exception):
    """A training was asked to stop; nothing of it was measured."""


@dataclass(frozen=True)
class Measured:
    """What one training came to.

    Attributes:
        reward: mean per step over the evaluation seeds.
        normalised: the same as `normalised.normalised` has it.
        conflicts: of all agents per step, where this one acts beside the study's companions on the same seeds; None
            without companions, as agents that do nothing conflict with nobody.
        inference_ms: CPU time of one decision in one state.
        steps: of single fleets, trained.
        by_seed: normalised return on each evaluation seed.
    """

    reward: float
    normalised: float
    conflicts: float | None
    inference_ms: float
    steps: int
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Score:
    """What a trial of several trainings is worth.

    Attributes:
        value: lower bound of the mean normalised return, one-sided at CONFIDENCE: over the training seeds, of a single
            training over its evaluation seeds.
        mean: of the normalised return.
        conflicts: mean over the trainings; None where they were measured without companions.
        inference_ms: mean over the trainings.
        steps: of single fleets, of all trainings.
    """

    value: float
    mean: float
    conflicts: float | None
    inference_ms: float
    steps: int


def configuration_of(
    agent: AgentName, params: Mapping[str, Any], seed: int, budget: Budget, *, horizon: int = DEFAULT_HORIZON
) -> "JointConfiguration":
    """The training of one agent with these hyperparameters, while the others leave everything at its defaults.

    Args:
        params: some or all hyperparameters of the agent's kind, as in its document.
        seed: of the training.
        horizon: steps of an episode.

    Raises:
        InvalidInput: an unknown agent or hyperparameter, or a value that the algorithm refuses.
    """
    from cogorch_dagster.agents.hyperparameters import settings_of
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    if agent not in AGENT_KINDS:
        raise InvalidInput(f"agent {agent!r} is unknown; the agents are {', '.join(AGENT_KINDS)}")
    steps = budget.episodes * horizon
    return JointConfiguration(
        fleets=budget.fleets,
        steps=steps,
        seed=seed,
        warm_up=int(WARM_UP * steps) if agent == "resource" else 0,
        evaluate_every=steps,
        learning=(agent,),
        settings={agent: settings_of(AGENT_KINDS[agent], params)},
        device="cpu",
    )


def measure(
    parameters: FleetParameters,
    agent: AgentName,
    params: Mapping[str, Any],
    seed: int,
    budget: Budget,
    *,
    seeds: Sequence[int] | None = None,
    companions: Companions | None = None,
    stop: Callable[[], bool] | None = None,
) -> Measured:
    """Train an agent with these hyperparameters and evaluate what it has become; deterministic but for the time.

    Args:
        parameters: the fleets.
        params: hyperparameters as in the agent's document.
        seed: of the training.
        seeds: of the evaluation; without it those of a study with seed 0.
        companions: together with which the agent's conflicts are measured.
        stop: asked after every step.

    Raises:
        InvalidInput: as `configuration_of`.
        Refused: `training_diverged`: figures are no longer finite.
        Interrupted: `stop` said so.
    """
    training = trained(parameters, configuration_of(agent, params, seed, budget, horizon=parameters.horizon), stop)
    return measured(training, agent, evaluation_seeds(0, budget) if seeds is None else seeds, companions)


def trained(
    parameters: FleetParameters, configuration: "JointConfiguration", stop: Callable[[], bool] | None = None
) -> "JointTraining":
    """A training at its end, without a look at its validation seeds on the way; raises as `measure`."""
    from cogorch_dagster.agents.training.joint import JointTraining, one_thread

    training = JointTraining(parameters, configuration)
    with one_thread():
        while training.steps < configuration.steps:
            training.advance()
            if stop is not None and stop():
                raise Interrupted
    return training


def measured(
    training: "JointTraining", agent: AgentName, seeds: Sequence[int], companions: Companions | None = None
) -> Measured:
    """What the agent of a training earns now, without exploration, on these evaluation seeds.

    The others do nothing, as in its training; only its conflicts are measured together with companions.

    Raises:
        InvalidInput: seeds that are not distinct or not possible.
    """
    from cogorch_dagster.agents.training.joint import one_thread

    parameters, controller = training.parameters, training.controller()
    with one_thread():
        scores = evaluate(parameters, controller, seeds=seeds, fleets_per_seed=FLEETS_PER_SEED)
        conflicts = None
        if companions:
            together = replace(controller, policies={**companions, agent: controller.policies[agent]})
            beside = evaluate(parameters, together, seeds=seeds, fleets_per_seed=FLEETS_PER_SEED)
            conflicts = float(beside.values["conflicts"].mean())
        inference_ms = _inference_ms(controller.policies[agent], agent)
    floor = normalised.floor(parameters, agent, tuple(seeds), FLEETS_PER_SEED)
    ceiling = normalised.ceiling(training.configuration.weights)
    rewards = scores.values["reward"]
    reward = float(rewards.mean())
    return Measured(
        reward=reward,
        normalised=normalised.normalised(reward, floor, ceiling),
        conflicts=conflicts,
        inference_ms=inference_ms,
        steps=training.fleet_steps,
        by_seed=tuple(normalised.normalised(float(each), floor, ceiling) for each in rewards),
    )


def score(found: Sequence[Measured]) -> Score:
    """What the trainings of a trial come to together.

    Raises:
        InvalidInput: there are none.
    """
    if not found:
        raise InvalidInput("a score needs at least one training, got none")
    values = [each.normalised for each in found] if len(found) > 1 else list(found[0].by_seed)
    conflicts = [each.conflicts for each in found if each.conflicts is not None]
    return Score(
        value=lower_bound(values),
        mean=float(np.mean(values)),
        conflicts=float(np.mean(conflicts)) if len(conflicts) == len(found) else None,
        inference_ms=float(np.mean([each.inference_ms for each in found])),
        steps=sum(each.steps for each in found),
    )


def lower_bound(values: Sequence[float]) -> float:
    """Of the mean, one-sided at CONFIDENCE by Student's t; the value itself where there is only one."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return float(values[0])
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)) - float(stdtrit(len(values) - 1, CONFIDENCE)) * error


def _inference_ms(act: Callable[[Any], Any], agent: AgentName, batches: int = 5, each: int = 20) -> float:
    """CPU time of one decision: the median of batches, so that a single interruption does not count."""
    state = np.zeros((1, STATE_SIZES[agent]), dtype=np.float32)
    times = []
    for _ in range(batches + 1):
        begun = time.process_time()
        for _ in range(each):
            act(state)
        times.append(time.process_time() - begun)
    return 1000 * float(np.median(times[1:])) / each
