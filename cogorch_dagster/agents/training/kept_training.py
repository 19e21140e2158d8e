"""Trainings whose state survives whatever kills them, and whose agents go to the store at their end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cogorch_dagster.agents import checkpoints, store
from cogorch_dagster.agents.store import StoredCheckpoint
from cogorch_dagster.agents.training import joint_checkpoints
from cogorch_dagster.agents.training.joint import JointTraining, Progress, train
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.agents.training.joint_controller import JointController, controller_of
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.lake import blobs
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class KeptTraining:
    """What a training left.

    Attributes:
        training: as it ended or was stopped.
        agents: checkpoints of the best agents, in the store; of a stopped training only if it was to store them.
        open: the file from which a stopped training goes on; None where it has ended.
    """

    training: JointTraining
    agents: dict[AgentName, StoredCheckpoint]
    open: str | None

    @property
    def ended(self) -> bool:
        """Whether it did all its steps."""
        return self.open is None


def train_and_keep(
    settings: Settings,
    parameters: FleetParameters,
    configuration: JointConfiguration,
    *,
    resume: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    kept: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    store_stopped: bool = False,
    run_id: str | None = None,
) -> KeptTraining:
    """Train the four agents, writing everything to a file after each evaluation, and store the best at the end.

    The file is `joint_checkpoints.open_path`; the training that is begun again without `resume` replaces it.

    Args:
        resume: a training's file to go on from, see `resumable`.
        progress, stop: see `joint.train`.
        kept: called with the file and its steps (of all fleets at once) whenever it was written.
        store_stopped: store the best agents so far even of a training that `stop` ended.
        run_id: of the run that stores.

    Raises:
        InvalidInput: `resume` cannot be read. Refused: it is of another training, or `training_diverged`.
    """
    path = joint_checkpoints.open_path(settings, parameters, configuration)
    parts = None
    if resume is not None:
        parts = joint_checkpoints.parts_of(checkpoints.read(resume), parameters, configuration)

    def keep(training: JointTraining) -> None:
        checkpoints.write(path, joint_checkpoints.of_training(training))
        if kept is not None:
            kept(path, training.steps)

    training = train(parameters, configuration, resume=parts, progress=progress, keep=keep, stop=stop)
    ended = training.steps == configuration.steps
    agents: dict[AgentName, StoredCheckpoint] = {}
    if training.best and (ended or store_stopped):
        best = joint_checkpoints.of_agents(training)
        agents = {agent: store.save(settings, checkpoint, run_id) for agent, checkpoint in best.items()}
    if ended:
        _delete(path)
    return KeptTraining(training, agents, None if ended else path)


def resumable(settings: Settings, parameters: FleetParameters, configuration: JointConfiguration) -> str:
    """The file of a training that was stopped or killed.

    Raises:
        InvalidInput: there is none.
    """
    path = joint_checkpoints.open_path(settings, parameters, configuration)
    if not _there(path):
        raise InvalidInput(
            "there is nothing to resume: no training with this configuration, the hyperparameters in force included, "
            f"is open in this calibration ({path}). "
            "Give the same options as before, name the file, or train without --resume."
        )
    return path


def stored_agents(settings: Settings, calibration: str | None = None) -> dict[AgentName, StoredCheckpoint]:
    """Each agent's newest checkpoint, with `calibration` among those trained in that environment.

    Raises:
        InvalidInput: an agent has none.
    """
    found = {agent: store.latest(settings, agent, calibration) for agent in AGENTS}
    if missing := [agent for agent, stored in found.items() if stored is None]:
        where = "" if calibration is None else f" trained in calibration {calibration}"
        raise InvalidInput(f"no checkpoint{where} of {', '.join(missing)}; run `cogorch agents train`")
    return {agent: stored for agent, stored in found.items() if stored is not None}


def stored_controller(settings: Settings, agents: dict[AgentName, StoredCheckpoint]) -> JointController:
    """The controller of stored checkpoints.

    Raises:
        As `store.load` and `joint_controller.controller_of`.
    """
    return controller_of({agent: store.load(settings, stored) for agent, stored in agents.items()})


def _there(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name in blobs.written(folder)


def _delete(path: str) -> None:
    if _there(path):
        blobs.delete(path)
