"""Trainings as checkpoints: one file from which all four agents train on, and one for each agent to act from.

The training's file holds everything (learners with their replays, the environment, counters, the best agents so far)
and is replaced while it runs; it is named by what is trained on what, so that the same training finds it again. An
agent's checkpoint holds the best agent, and goes to the store when training has ended.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.training.joint import CURVE, JointTraining
from cogorch_dagster.agents.training.joint_configuration import ALGORITHMS, JointConfiguration, Sizes, sizes_of
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies.document import digest
from cogorch_dagster.settings import Settings

JOINT = "joint"
FOLDER = "trainings"
# Settings that came when trainings had been kept without them, and what had been meant: those trainings are found and
# gone on with as well.
_PLAIN: dict[str, Any] = {"activation": "relu", "dropout": 0}
_LATER: dict[str, dict[str, Any]] = {
    "policy": _PLAIN,
    "consensus": {"dropout": 0},
    "ethical": {"dropout": 0},
    "resource": _PLAIN,
}


def open_path(settings: Settings, parameters: FleetParameters, configuration: JointConfiguration) -> str:
    """Where the checkpoint of this training lies in the lake while it has not ended."""
    name = digest({"parameters": parameters.digest, "configuration": _as_before(configuration.document())})
    return f"{settings.lake_root}/{FOLDER}/{name.removeprefix('sha256:')[:16]}.safetensors"


def of_training(training: JointTraining) -> Checkpoint:
    """Everything, to go on from."""
    sizes = _sizes(training.configuration)
    return Checkpoint(
        agent=JOINT,
        algorithm=JOINT,
        configuration=training.configuration.document(),
        calibration=training.parameters.digest,
        states=sizes.states,
        actions=sizes.actions,
        steps=training.fleet_steps,
        seed=training.configuration.seed,
        metrics=_metrics(training),
        parts=training.parts(),
    )


def parts_of(checkpoint: Checkpoint, parameters: FleetParameters, configuration: JointConfiguration) -> dict[str, Any]:
    """What `joint.train` resumes from.

    Raises:
        Refused: `incompatible_checkpoint`: it is of another training, with every difference.
    """
    sizes = _sizes(configuration)
    checkpoints.require_compatible(
        replace(checkpoint, configuration=_as_now(checkpoint.configuration)),
        agent=JOINT,
        algorithm=JOINT,
        configuration=configuration.document(),
        states=sizes.states,
        actions=sizes.actions,
        calibration=parameters.digest,
    )
    return checkpoint.parts


def of_agents(training: JointTraining) -> dict[AgentName, Checkpoint]:
    """The best agents of a training that was evaluated at least once, each by itself."""
    steps, parts = training.best["steps"], training.best["parts"]
    about = {"configuration": training.configuration.document(), "steps": training.steps, "best_steps": steps}
    return {
        agent: Checkpoint(
            agent=agent,
            algorithm=ALGORITHMS[agent],
            configuration=training.configuration.settings_of(agent),
            calibration=training.parameters.digest,
            states=sizes_of(agent).states,
            actions=sizes_of(agent).actions,
            steps=steps * training.configuration.fleets,
            seed=training.configuration.seed,
            metrics=_metrics(training),
            parts={**parts[agent], "training": about},
        )
        for agent in training.learners
    }


def configuration_of(checkpoint: Checkpoint) -> JointConfiguration:
    """The configuration of the training that an agent's checkpoint comes from.

    Raises:
        InvalidInput: it does not say, or not in a way that this version reads.
    """
    about = checkpoint.parts.get("training")
    if not isinstance(about, dict) or "configuration" not in about:
        raise InvalidInput(f"the checkpoint of agent {checkpoint.agent} is not from a joint training")
    return JointConfiguration.from_document(about["configuration"])


def _as_before(document: Mapping[str, Any]) -> dict[str, Any]:
    """A training's document without the settings of _LATER, where they are what was meant before."""
    settings = {
        agent: {name: value for name, value in own.items() if _LATER[agent].get(name, ...) != value}
        for agent, own in document["settings"].items()
    }
    return {**document, "settings": settings}


def _as_now(document: Mapping[str, Any]) -> dict[str, Any]:
    """A training's document as it was saved, with the settings of _LATER that it has not."""
    settings = document.get("settings")
    if not isinstance(settings, Mapping):
        return dict(document)
    return {**document, "settings": {agent: {**_LATER.get(agent, {}), **own} for agent, own in settings.items()}}


def _sizes(configuration: JointConfiguration) -> Sizes:
    """Summed over the agents."""
    each = [sizes_of(agent) for agent in configuration.learning]
    return Sizes(sum(sizes.states for sizes in each), sum(sizes.actions for sizes in each))


def _metrics(training: JointTraining) -> dict[str, float]:
    return {name: training.best_point[name] for name in CURVE} if training.best else {}
