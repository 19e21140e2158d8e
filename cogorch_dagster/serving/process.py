"""A process in which the four agents act and go on learning, without an end.

One step after the other; between two of them, versions that have arrived are taken over. Everything that may have to
wait (the service, PostgreSQL, the lake) is left to threads. What the loop is made of is in the files beside this one.
"""

import fcntl
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.serving import kept, watching
from cogorch_dagster.serving.beginning import Beginning, begin
from cogorch_dagster.serving.following import Following
from cogorch_dagster.serving.kept import Keeper
from cogorch_dagster.serving.reload import Reload, reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.serving.returns import Window
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
# A thread that has read a version waits this long for the interpreter while a step computes, seconds.
SWITCH_S = 0.0005
FIRST_VERSIONS_S = 5.0
# In the folder of a name, with the pid of the process that holds it.
LOCK = "lock"
STARTED = "it was in force when the process started"

Around = Callable[["JointTraining", AgentName], AbstractContextManager[None]]


@dataclass(frozen=True)
class Options:
    """How a process runs.

    Attributes:
        name: of the process on this installation; the next one of the same name goes on from where it stopped.
        agents: those that act and learn; the others leave everything at its defaults.
        fleets: simulated at once; None: as many as the agents were trained in, `beginning.NEW_FLEETS` for new ones.
        steps: to do, of all fleets at once; None: until it is stopped.
        seed: of the fleets and of new agents.
        checkpoint_every_s: seconds between two files from which a process that was killed goes on.
        poll_interval_s: seconds between two questions to the service beneath its events.

    Raises:
        InvalidInput: the name is not possible.
    """

    name: str = "agents"
    agents: tuple[AgentName, ...] = AGENTS
    fleets: int | None = None
    steps: int | None = None
    seed: int = 0
    checkpoint_every_s: float = 60.0
    poll_interval_s: float = 5.0

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInput(f"name is {self.name!r}; it must be 1 to 63 characters of a-z 0-9 _ -")


@dataclass(frozen=True)
class Served:
    """What a process did.

    Attributes:
        steps: of all fleets at once, done by this process.
        versions: by policy id, in force at its end.
        path: the file from which the next process of its name goes on.
    """

    process: str
    steps: int
    accepted: int
    refused: int
    versions: dict[str, str]
    path: str


def serve(
    settings: Settings,
    token: str,
    options: Options,
    *,
    stop: Callable[[], bool],
    began: Callable[[Beginning, str], None] = lambda _beginning, _process: None,
    told: Callable[[Reload], None] = lambda _: None,
    parameters: FleetParameters | None = None,
    around: Around = lambda _training, _agent: nullcontext(),
) -> Served:
    """Run until `stop` says so, or the steps are done; then keep everything in a file.

    Args:
        token: of the service, scope `read`.
        stop: asked after every step.
        began: told once, before the first step.
        told: told what became of each version that arrived.
        parameters: of the fleets; None: of the latest calibration.
        around: entered for each version before it is taken over and left after it.

    Raises:
        InvalidInput: another process of this name runs, or a stored checkpoint does not fit.
        Unavailable: PostgreSQL or the lake cannot be reached at the start. OSError: the last file cannot be written.
        Refused: `training_diverged`, where no version is to blame, or a stored checkpoint is damaged.
    """
    from cogorch_dagster.agents.training.joint import one_thread

    process = f"{socket.gethostname()}/{options.name}"
    path = kept.path_of(settings, options.name)
    with (
        _alone(settings.home / "serving" / options.name) as folder,
        Following(settings.service_url, token, options.agents, folder, options.poll_interval_s) as following,
    ):
        documents = following.wait(FIRST_VERSIONS_S)
        beginning = begin(
            settings,
            path,
            options.agents,
            documents,
            fleets=options.fleets,
            seed=options.seed,
            parameters=parameters,
        )
        began(beginning, process)
        with (
            Keeper(path, options.checkpoint_every_s, beginning.origins) as keeper,
            Reports(settings, process) as reports,
            _watched(settings),
            _short_switches(),
            one_thread(),
        ):
            running = _Running(beginning, following, reports, keeper, told, around)
            try:
                while not stop() and (options.steps is None or running.steps < options.steps):
                    running.step()
            finally:
                if running.sound:
                    keeper.keep(running.training, running.versions)
    return Served(process, running.steps, running.accepted, running.refused, running.versions, path)


class _Running:
    """The loop's state between two steps."""

    def __init__(
        self,
        beginning: Beginning,
        following: Following,
        reports: Reports,
        keeper: Keeper,
        told: Callable[[Reload], None],
        around: Around,
    ) -> None:
        self.training, self.versions = beginning.training, beginning.versions
        self._following, self._reports, self._keeper = following, reports, keeper
        self._told, self._around = told, around
        self._window = Window(self.training.parameters.horizon)
        self._heard: set[AgentName] = set()
        self._latest: dict[AgentName, tuple[str, str]] = {}
        self._complete: list[AgentName] = []
        self._changed = False
        self.steps = self.accepted = self.refused = 0
        self.sound = True
        keeper.remember(self.training, self.versions)

    def step(self) -> None:
        """Take over what has arrived, then one step of all fleets.

        What arrives meanwhile waits for the end of its own agent's step alone: a step of all lasts as long as the
        updates of all four together.
        """
        for agent in self.training.learners:
            self._take_over(agent)
        self._complete.clear()
        try:
            reward = self.training.advance(self._completed)
        except Refused as error:
            self._recover(error)
            return
        self.steps += 1
        earned = self._window.add(reward, self.versions, self.training.steps)
        if self._changed:
            # What is open holds steps under another version.
            self._window.restart()
            self._changed = False
        elif earned is not None:
            self._reports.earned(earned)
        self._keeper.keep_when_due(self.training, self.versions)

    def _completed(self, agent: AgentName) -> None:
        self._complete.append(agent)
        for each in self._complete:
            self._take_over(each)

    def _take_over(self, agent: AgentName) -> None:
        for document in self._following.arrived(agent):
            first = agent not in self._heard
            if not first and self._latest.get(agent) == (document.version, document.digest):
                continue  # Only what is tried beside it has changed.
            self._latest[agent] = document.version, document.digest
            with self._around(self.training, agent):
                found = reload(self.training, agent, document)
            self._take(agent, found)
            if first:
                # What was in force at the start is what a divergence goes back to.
                self._keeper.remember(self.training, self.versions)

    def _take(self, agent: AgentName, found: Reload) -> None:
        if found.accepted and agent not in self._heard:
            found = Reload(found.policy_id, found.version, True, STARTED, found.steps)
        self._heard.add(agent)
        self._report(found)
        if found.accepted:
            self.versions[found.policy_id] = found.version
            self._changed = True

    def _report(self, found: Reload) -> None:
        self._reports.acknowledge(found)
        self.accepted += found.accepted
        self.refused += not found.accepted
        self._told(found)

    def _recover(self, error: Refused) -> None:
        """Go back to the last checkpoint, if versions came since: they are refused, and the good ones stay."""
        diverged, steps = self.versions, self.training.steps
        self.sound = False
        self.versions = self._keeper.restore(self.training)
        guilty = {name: version for name, version in diverged.items() if self.versions.get(name) != version}
        if not guilty:
            raise error
        self.sound = True
        self._changed = False
        self._window.restart()
        for policy_id, version in guilty.items():
            self._report(Reload(policy_id, version, False, f"the agents diverged with it: {error}"[:2000], steps))


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """The folder of this name, held for as long as the process lives."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = (folder / LOCK).read_text().strip()
            raise InvalidInput(
                f"agents named {folder.name} already run on this installation (pid {pid}); give these another --name"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield folder
    finally:
        os.close(descriptor)


@contextmanager
def _watched(settings: Settings) -> Iterator[None]:
    """Judge what was changed from a thread, as long as agents run."""
    ended = threading.Event()
    judge = threading.Thread(target=watching.watch, args=(settings, ended), name="cogorch-returns", daemon=True)
    judge.start()
    try:
        yield
    finally:
        ended.set()
        judge.join(timeout=10.0)


@contextmanager
def _short_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
