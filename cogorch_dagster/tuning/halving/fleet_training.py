"""An agent's trainings in the fleet as trials of halving: several at once, one for each training seed.

What a whole training is worth is `tuning/objective.py`. The configuration always says the whole length, so schedules
of learning rate and exploration run as in a training that is not interrupted, and what a low rung sees is the beginning
of that training, not a short training. Below the top an agent that learns on its policy (A2C, PPO) is judged by what it
earns while it explores: long before its best action changes, and with it anything that an evaluation would see, its
policy leans towards what pays; and all trials meet the same traffic then. Agents that explore beside their policy (DQN,
DDPG) are evaluated at every rung, as their earnings would say how much they explore.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning import normalised
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.halving.resumable import Reached
from cogorch_dagster.tuning.objective import FLEETS_PER_SEED, configuration_of, measured, score
from cogorch_dagster.tuning.seeds import evaluation_seeds, training_seed

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

# Kinds whose policy is itself what explores.
ON_POLICY = ("a2c", "ppo")


@dataclass(frozen=True)
class FleetTrials:
    """A `Resumable` whose steps are those of single fleets, summed over the training seeds.

    Attributes:
        parameters: of the fleets.
        agent: that learns; the others leave everything at its defaults.
        budget: of the whole training of one trial.
        seed: of the study; training and evaluation seeds follow from it, the same for every trial.
        params_of: the complete params of a trial's values.
    """

    parameters: FleetParameters
    agent: AgentName
    budget: Budget
    seed: int
    params_of: Callable[[Mapping[str, Any]], dict[str, Any]]

    @property
    def unit(self) -> int:
        """Steps that are done together: one of each fleet of each training."""
        return self.budget.fleets * self.budget.seeds

    @property
    def full(self) -> int:
        """Steps of the whole training of a trial."""
        return self.unit * self.budget.episodes * self.parameters.horizon

    def start(self, params: Mapping[str, Any]) -> "FleetTraining":
        """See `Resumable.start`."""
        from cogorch_dagster.agents.training.joint import JointTraining

        return FleetTraining(self, [JointTraining(self.parameters, each) for each in self._configurations(params)])

    def resume(self, params: Mapping[str, Any], content: bytes) -> "FleetTraining":
        """See `Resumable.resume`."""
        from cogorch_dagster.agents import checkpoints
        from cogorch_dagster.agents.checks import part
        from cogorch_dagster.agents.training import joint_checkpoints

        first, found = self._configurations(params)[0], self.start(params)
        parts = joint_checkpoints.parts_of(checkpoints.unpack(content), self.parameters, first)
        for index, training in enumerate(found.trainings):
            training.restore(part(parts, str(index)))
        return found

    def _configurations(self, values: Mapping[str, Any]) -> "list[JointConfiguration]":
        params, horizon = self.params_of(values), self.parameters.horizon
        seeds = [training_seed(self.seed, number) for number in range(self.budget.seeds)]
        return [configuration_of(self.agent, params, seed, self.budget, horizon=horizon) for seed in seeds]


@dataclass(frozen=True, eq=False)
class FleetTraining:
    """A `Training`: the same params learned with each training seed, side by side."""

    trials: FleetTrials
    trainings: "list[JointTraining]"

    def reach(self, level: int, stop: Callable[[], bool]) -> Reached | None:
        """See `Training.reach`; at the top the score is `objective.score`, the lower bound of the mean return."""
        from cogorch_dagster.agents.training.joint import one_thread

        steps = level // self.trials.unit
        rewards: list[list[float]] = [[] for _ in self.trainings]
        with one_thread():
            for training, earned in zip(self.trainings, rewards, strict=True):
                while training.steps < steps:
                    if stop():
                        return None
                    earned.append(training.advance())
        if level < self.trials.full and AGENT_KINDS[self.trials.agent] in ON_POLICY:
            return self._learning([each[len(each) // 2 :] for each in rewards])
        seeds = evaluation_seeds(self.trials.seed, self.trials.budget)
        found = score([measured(training, self.trials.agent, seeds) for training in self.trainings])
        figures = {"mean": found.mean, "inference_ms": found.inference_ms}
        return Reached(found.value, figures)

    def _learning(self, rewards: list[list[float]]) -> Reached:
        """What the agents earned, exploring, in the later half of the way to this rung; on the same scale."""
        budget, agent = self.trials.budget, self.trials.agent
        seeds = evaluation_seeds(self.trials.seed, budget)
        floor = normalised.floor(self.trials.parameters, agent, seeds, FLEETS_PER_SEED)
        ceiling = normalised.ceiling(self.trainings[0].configuration.weights)
        found = [normalised.normalised(fmean(each), floor, ceiling) for each in rewards]
        return Reached(fmean(found), {"mean": fmean(found)})

    def checkpoint(self) -> bytes:
        """See `Training.checkpoint`; in the format of all checkpoints, which executes nothing when it is read."""
        from cogorch_dagster.agents import checkpoints
        from cogorch_dagster.agents.training import joint_checkpoints

        parts = {str(index): training.parts() for index, training in enumerate(self.trainings)}
        steps = sum(training.fleet_steps for training in self.trainings)
        return checkpoints.pack(replace(joint_checkpoints.of_training(self.trainings[0]), parts=parts, steps=steps))
