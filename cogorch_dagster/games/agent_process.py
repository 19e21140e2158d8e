"""Each agent in a process of its own, asked for its intention within a time limit.

None can hold up a step or bring it down: a process that was killed, hangs, raises or answers nonsense is replaced by a
new one, which loads its checkpoint while the step goes on without it. What runs in the process is `agent_worker.py`;
what is done instead is decided by `coordinator.py`.
"""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.agents import store
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.games import intentions
from cogorch_dagster.games.intentions import Intention, Silence
from cogorch_dagster.settings import Settings

Answer = Intention | Silence

# A process that has not loaded its checkpoint by then is replaced.
LONGEST_START_S = 120.0
# From the end of its output to its own, also where many processes want the same core.
LONGEST_END_S = 0.5
MOST_BYTES = 65_536
_ENDED_KEPT = 64


@dataclass(frozen=True)
class AgentSource:
    """Where an agent's checkpoint lies, a path or URL that other processes can read, and its digest if known."""

    agent: AgentName
    path: str
    digest: str | None = None

    def command(self) -> list[str]:
        """What starts its process."""
        worker = [sys.executable, "-m", "cogorch_dagster.games.agent_worker", self.agent, self.path]
        return worker if self.digest is None else [*worker, self.digest]


def stored_sources(settings: Settings, calibration: str | None = None) -> tuple[AgentSource, ...]:
    """Every agent's newest checkpoint.

    Args:
        calibration: only those that were trained in this environment.

    Raises:
        Refused: `no_checkpoint`: an agent has none.
    """
    found = []
    for agent in AGENTS:
        stored = store.latest(settings, agent, calibration)
        if stored is None:
            where = f" for calibration {calibration}" if calibration else ""
            raise Refused("no_checkpoint", f"agent {agent} has no checkpoint{where}; `cogorch agents train` makes one")
        found.append(AgentSource(agent, f"{settings.lake_root}/{stored.path}", stored.digest))
    return tuple(found)


class _Failed(Exception):
    """That a process is of no more use, with the reason."""


class AgentProcess:
    """One agent's process: started at once, replaced by `restart`; nothing here ever waits for it.

    Attributes:
        pid: of the present process.
        checkpoint: digest of what it acts from; None while it is starting.
        failure: why the process before this one was replaced; None once this one has answered.
    """

    def __init__(self, source: AgentSource, command: Sequence[str] | None = None) -> None:
        self.source = source
        self._command = list(command or source.command())
        self._ended: list[subprocess.Popen[bytes]] = []
        self._number, self._buffer = 0, b""
        self._in = self._out = -1
        self.failure: str | None = None
        self.checkpoint: str | None = None
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Of its answers, for selectors."""
        return self._out

    def restart(self, reason: str) -> None:
        """Put a new process in the place of one that failed."""
        self.failure = reason
        self.stop()
        self._start()

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._ended = [each for each in [*self._ended, self._process] if each.poll() is None][-_ENDED_KEPT:]

    def ask(self, state: NDArray[np.float32]) -> None:
        """Ask for the intention in a state [size]. Raises _Failed if it cannot be asked."""
        self._number += 1
        line = intentions.request(self._number, state)
        try:
            whole = os.write(self._in, line) == len(line)
        except OSError as error:
            raise _Failed(self._ending()) from error
        if not whole:
            raise _Failed("it does not read what it is asked")

    def read(self) -> Intention | None:
        """The answer to the last question, if it has come. Raises _Failed if there will be none."""
        try:
            content = os.read(self._out, MOST_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _Failed(self._ending()) from error
        self._buffer += content
        answer = None
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            answer = self._taken(line)
        if len(self._buffer) > MOST_BYTES:
            raise _Failed(f"answered nonsense: {len(self._buffer)} bytes without an end of line")
        if not content and answer is None:
            raise _Failed(self._ending())
        return answer

    @property
    def overdue(self) -> bool:
        """Whether it should long have loaded its checkpoint."""
        return self.checkpoint is None and time.monotonic() - self._began > LONGEST_START_S

    def _taken(self, line: bytes) -> Intention | None:
        try:
            found = intentions.message(line)
            if "error" in found:
                raise _Failed(str(found["error"])[:1000])
            if self.checkpoint is None:
                if not isinstance(found.get("ready"), str):
                    raise InvalidInput(f"answered nonsense: {str(found)[:80]}")
                self.checkpoint = found["ready"]
                return None
            if found.get("id") != self._number:
                raise InvalidInput(f"answered question {found.get('id')!r}, the last was {self._number}")
            return intentions.intention(self.source.agent, self.checkpoint, found)
        except InvalidInput as error:
            raise _Failed(str(error)) from error

    def _start(self) -> None:
        self._buffer, self.checkpoint = b"", None
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        self._in, self._out = _unblocked(self._process.stdin), _unblocked(self._process.stdout)

    def _ending(self) -> str:
        code = self._process.poll()
        if code is None:  # its output is closed, so it is about to end
            try:
                code = self._process.wait(LONGEST_END_S)
            except subprocess.TimeoutExpired:
                return "its process closed its output"
        return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"


def _unblocked(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise RuntimeError("the process was started without pipes")
    os.set_blocking(pipe.fileno(), False)
    return pipe.fileno()


class AgentProcesses:
    """The processes of the four agents; a context that ends them."""

    def __init__(self, sources: Sequence[AgentSource], commands: Mapping[str, Sequence[str]] | None = None) -> None:
        """Start them.

        Args:
            sources: one for each agent. commands: by agent what to run instead of the worker.

        Raises:
            InvalidInput: an agent is missing or there twice.
        """
        if sorted(source.agent for source in sources) != sorted(AGENTS):
            given = ", ".join(source.agent for source in sources) or "none"
            raise InvalidInput(f"checkpoints are given for {given}; give one each for {', '.join(AGENTS)}")
        self.processes = {source.agent: AgentProcess(source, (commands or {}).get(source.agent)) for source in sources}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all processes."""
        for process in self.processes.values():
            process.stop()

    def wait_ready(self, limit_s: float) -> bool:
        """Wait until all have loaded their checkpoints; False if one has not within the limit, or cannot."""
        deadline = time.monotonic() + limit_s
        waiting = {agent for agent, each in self.processes.items() if each.checkpoint is None}
        while waiting and time.monotonic() < deadline:
            for process in _readable([self.processes[agent] for agent in waiting], deadline):
                try:
                    process.read()
                except _Failed as failed:
                    process.restart(str(failed))
                    return False
            waiting = {agent for agent in waiting if self.processes[agent].checkpoint is None}
        return not waiting

    def broadcast(self, states: Mapping[str, NDArray[np.float32]], *, limit_s: float) -> dict[AgentName, Answer]:
        """Every agent's intention, or why there is none; takes no longer than the limit, whatever they do.

        An agent that gave none has a new process afterwards, unless it is only still loading its checkpoint.

        Args:
            states: by agent what it sees, float32 [size].
        """
        deadline = time.monotonic() + limit_s
        found: dict[AgentName, Answer] = {}
        asked: set[AgentName] = set()
        while True:
            for agent, process in self.processes.items():
                if process.checkpoint is not None and agent not in asked and agent not in found:
                    asked.add(agent)
                    _attempt(found, process, partial(process.ask, states[agent]))
            silent = [process for agent, process in self.processes.items() if agent not in found]
            if not silent or time.monotonic() >= deadline:
                break
            for process in _readable(silent, deadline):
                _attempt(found, process, process.read)
        for agent, answer in found.items():
            if isinstance(answer, Intention):
                self.processes[agent].failure = None
            else:
                self.processes[agent].restart(answer.reason)
        return {agent: found.get(agent) or self._late(agent, agent in asked, limit_s) for agent in AGENTS}

    def _late(self, agent: AgentName, asked: bool, limit_s: float) -> Silence:
        """Of an agent that neither answered nor failed: it hangs, unless it is still loading."""
        process = self.processes[agent]
        before = f"; the process before it failed: {process.failure}" if process.failure else ""
        reason = f"gave no answer within {limit_s:.3g} s" if asked else "its process is still loading the checkpoint"
        if asked or process.overdue:
            process.restart(reason)
        return Silence(agent, reason + before)


def _attempt(found: dict[AgentName, Answer], process: AgentProcess, act: Callable[[], Intention | None]) -> None:
    """Take in the answer that a process gives, or that it failed."""
    agent = process.source.agent
    try:
        answer = act()
    except _Failed as failed:
        found[agent] = Silence(agent, str(failed))
        return
    if answer is not None:
        found[agent] = answer


def _readable(processes: Sequence[AgentProcess], deadline: float) -> list[AgentProcess]:
    """Those that have something to say, waiting until the deadline for the first."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.fileno(), selectors.EVENT_READ, process)
        return [key.data for key, _ in selector.select(max(deadline - time.monotonic(), 0.0))]
