"""The file of a running process: everything from which the next one of its name goes on.

It is a joint training's checkpoint (`joint_checkpoints`) and beside it which version each agent had taken over, and
which stored checkpoint each began with. Written while the agents go on; only the copy of the figures holds a step up.
"""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

log = logging.getLogger("cogorch.serving")

FOLDER = "serving"


@dataclass(frozen=True)
class Kept:
    """What a process left.

    Attributes:
        versions: by policy id, those that the agents had taken over.
        origins: by agent, the digest of the stored checkpoint that it began with.
        settled_from: the step from which returns count.
    """

    checkpoint: Checkpoint
    configuration: "JointConfiguration"
    versions: Mapping[str, str]
    origins: Mapping[AgentName, str]
    settled_from: int


def path_of(settings: Settings, name: str) -> str:
    """Where the file of the processes of a name lies."""
    return f"{settings.lake_root}/{FOLDER}/{name}.safetensors"


def read(path: str) -> Kept | None:
    """What the last process left; None when there is nothing that can be gone on from, which is logged."""
    from cogorch_dagster.agents.training import joint_checkpoints
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    try:
        checkpoint = checkpoints.read(path)
        about = checkpoint.parts.get("serving")
        if checkpoint.agent != joint_checkpoints.JOINT or not isinstance(about, dict):
            raise InvalidInput(f"{path} is not of agents that ran")
        configuration = JointConfiguration.from_document(checkpoint.configuration)
        return Kept(checkpoint, configuration, about["versions"], about["origins"], about.get("settled_from", 0))
    except (InvalidInput, KeyError) as error:
        log.info("no earlier state to go on from: %s", error)
        return None


class Keeper:
    """Writes the file regularly from a thread, and at the end at once.

    Args:
        every_s: seconds from one checkpoint to the next, above 0.
        settled_from: the step from which returns count, kept for the next process.
    """

    def __init__(self, path: str, every_s: float, origins: Mapping[AgentName, str], settled_from: int) -> None:
        self._path, self._every_s, self._origins = path, every_s, dict(origins)
        self._settled_from = settled_from
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="cogorch-keeper")
        self._writing: Future[str] | None = None
        self._next = time.monotonic() + every_s
        self._last: Checkpoint | None = None

    def keep_when_due(self, training: "JointTraining", versions: Mapping[str, str]) -> None:
        """Begin to write, if it is time and the last file is written; what cannot be written is logged."""
        if time.monotonic() < self._next or (self._writing is not None and not self._writing.done()):
            return
        self._next = time.monotonic() + self._every_s
        self._writing = self._writer.submit(checkpoints.write, self._path, self._checkpoint(training, versions))
        self._writing.add_done_callback(_log_failure)

    def keep(self, training: "JointTraining", versions: Mapping[str, str]) -> None:
        """Write now, after whatever is being written.

        Raises:
            OSError: the lake cannot be written.
        """
        self._writer.submit(checkpoints.write, self._path, self._checkpoint(training, versions)).result()

    def remember(self, training: "JointTraining", versions: Mapping[str, str]) -> None:
        """Hold in memory what `restore` goes back to; so does every checkpoint."""
        self._checkpoint(training, versions)

    def restore(self, training: "JointTraining") -> dict[str, str]:
        """Put the training back to the last checkpoint, settings included; the versions in force then."""
        from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

        assert self._last is not None  # noqa: S101
        parts = self._last.parts
        training.configuration = JointConfiguration.from_document(self._last.configuration)
        for agent, learner in training.learners.items():
            learner.adopt(training.configuration.settings_of(agent))
        training.restore(parts)
        return dict(parts["serving"]["versions"])

    def _checkpoint(self, training: "JointTraining", versions: Mapping[str, str]) -> Checkpoint:
        from cogorch_dagster.agents.training import joint_checkpoints

        found = joint_checkpoints.of_training(training)
        about: dict[str, Any] = {
            "versions": dict(versions),
            "origins": self._origins,
            "settled_from": self._settled_from,
        }
        found.parts["serving"] = about
        self._last = found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()


def _log_failure(written: "Future[str]") -> None:
    if (error := written.exception()) is not None:
        log.error("the state of the agents is not written, the next time tries again: %s", error)
