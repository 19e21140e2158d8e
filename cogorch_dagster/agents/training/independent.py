"""The baseline of independent training: the same four agents, each alone in its environment, for its own utility.

Each meets fleets whose other knobs stay at their defaults, and none knows of the others' aims; put together they
steer one fleet. What joint training gains over that is what the shared reward and learning side by side are worth.
"""

from collections.abc import Callable
from dataclasses import replace

from cogorch_dagster.agents.training.joint import JointTraining, Progress, train
from cogorch_dagster.agents.training.joint_checkpoints import of_agents
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.agents.training.joint_controller import JointController, controller_of
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName


def shares(configuration: JointConfiguration) -> dict[AgentName, JointConfiguration]:
    """The trainings: each agent alone, with a quarter of the joint training's steps, so that the sum is the same.

    Raises:
        InvalidInput: fewer steps than agents.
    """
    if configuration.steps < len(AGENTS):
        raise InvalidInput(f"{configuration.steps} steps cannot be shared by {len(AGENTS)} agents; give more")
    steps = configuration.steps // len(AGENTS)
    return {
        agent: replace(
            configuration,
            learning=(agent,),
            aim="own",
            steps=steps,
            warm_up=configuration.warm_up // len(AGENTS) if agent == "resource" else 0,
            seed=configuration.seed_of(f"independent {agent}"),
            evaluate_every=min(configuration.evaluate_every, steps),
        )
        for agent in AGENTS
    }


def train_independently(
    parameters: FleetParameters,
    configuration: JointConfiguration,
    *,
    progress: Callable[[AgentName, Progress], None] | None = None,
) -> tuple[JointController, dict[AgentName, JointTraining]]:
    """Train the four agents one after the other; the controller of all of them, and their trainings.

    Args:
        configuration: of the joint training to compare with; its budget is shared out.
        progress: called after every evaluation with the agent in training.

    Raises:
        As `joint.train` and `shares`.
    """

    def told(agent: AgentName) -> Callable[[Progress], None] | None:
        return None if progress is None else lambda now: progress(agent, now)

    trainings = {
        agent: train(parameters, share, progress=told(agent)) for agent, share in shares(configuration).items()
    }
    best = {agent: of_agents(training)[agent] for agent, training in trainings.items()}
    return controller_of(best, name="independent"), trainings
