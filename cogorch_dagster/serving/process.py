"""A process in which the four agents act and go on learning, without an end.

Here: what surrounds the loop (`loop.py`): the lock of a name, the threads beside it, and what is kept at its end.
"""

import fcntl
import gc
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.serving import kept, watching
from cogorch_dagster.serving.beginning import Beginning, begin
from cogorch_dagster.serving.following import Following
from cogorch_dagster.serving.kept import Keeper
from cogorch_dagster.serving.loop import Around, Loop
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.settings import Settings

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
# A thread that has read a version waits this long for the interpreter while a step computes, seconds.
SWITCH_S = 0.0005
FIRST_VERSIONS_S = 5.0
PROGRESS_EVERY_S = 30.0
# In the folder of a name, with the pid of the process that holds it.
LOCK = "lock"


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
class Progress:
    """Where a process is.

    Attributes:
        steps: of all fleets at once, those of earlier processes of the name included.
        reward: mean shared reward per step of the last window; None before the first.
        settled_from: the step from which returns are recorded.
        versions: by policy id, in force in this process.
    """

    steps: int
    reward: float | None
    settled_from: int
    versions: dict[str, str]


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
    progress: Callable[[Progress], None] = lambda _: None,
    progress_every_s: float = PROGRESS_EVERY_S,
    parameters: FleetParameters | None = None,
    around: Around = lambda _training, _agent, _document: nullcontext(),
) -> Served:
    """Run until `stop` says so, or the steps are done; then keep everything in a file.

    Args:
        token: of the service, scope `read`.
        stop: asked after every step.
        began: told once, before the first step.
        told: told what became of each version that arrived.
        progress: told where the process is, every `progress_every_s` seconds.
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
            Keeper(path, options.checkpoint_every_s, beginning.origins, beginning.settled_from) as keeper,
            Reports(settings, process) as reports,
            _watched(settings),
            _short_switches(),
            _short_collections(),
            one_thread(),
        ):
            running = Loop(beginning, following, reports, keeper, told, around)
            due = time.monotonic() + progress_every_s
            try:
                while not stop() and (options.steps is None or running.steps < options.steps):
                    running.step()
                    if time.monotonic() >= due:
                        due = time.monotonic() + progress_every_s
                        progress(_progress(running))
            finally:
                if running.sound:
                    keeper.keep(running.training, running.versions)
    return Served(process, running.steps, running.accepted, running.refused, running.versions, path)


def _progress(running: Loop) -> Progress:
    return Progress(running.training.steps, running.reward, running.settled_from, dict(running.versions))


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


@contextmanager
def _short_collections() -> Iterator[None]:
    """Let the collector of garbage pass over what has been made by now: it holds every thread up while it looks."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
