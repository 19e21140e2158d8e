"""`cogorch up` and `cogorch down`: start every part in order, keep it alive, stop it in the reverse order.

What runs is written to the `run_state`; a lock held for life tells one supervisor from the next. A supervisor
that was killed leaves its records, by which `down`, or the next `up`, stops what it started.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType

import psutil

from cogorch_dagster.errors import CogorchError, Unavailable
from cogorch_dagster.platform import ports, postgres, processes, run_state, stack
from cogorch_dagster.platform.processes import ProcessRecord
from cogorch_dagster.platform.run_state import State
from cogorch_dagster.platform.stack import Part
from cogorch_dagster.settings import Settings

TICK_S = 0.25
LOG_CHECK_S = 600.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
# A process that lived this long has started well: its next end counts as the first.
HEALTHY_AFTER_S = 60.0

Say = Callable[[str], None]


class AlreadyRunning(CogorchError):
    """Another supervisor has the installation; `state` is what it runs."""

    def __init__(self, state: State | None) -> None:
        super().__init__("cogorch is already up for this installation")
        self.state = state


def down(settings: Settings, say: Say, *, patience_s: float = 60.0) -> list[str]:
    """Stop everything that `up` started, and the embedded PostgreSQL; safe to call at any time.

    Returns:
        The names of what was running.
    """
    stopped = []
    state = run_state.read(settings)
    supervisor = state.supervisor() if state else None
    if state and supervisor:
        stopped = [record.name for record in state.alive()]
        with contextlib.suppress(psutil.Error):
            supervisor.terminate()
            supervisor.wait(patience_s)
        with contextlib.suppress(psutil.Error):
            supervisor.kill()
        say(f"stopped the supervisor (pid {state.pid})")
        state = run_state.read(settings)
    stopped += processes.stop_each(state.records, say) if state else []
    if postgres.stop(settings):
        stopped.append("postgres")
        say("stopped postgres")
    elif postgres.is_embedded(settings) and supervisor:
        stopped.append("postgres")
    run_state.forget(settings)
    return stopped


class Supervisor:
    """Runs the parts of one installation until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        say: Say,
        *,
        on_ready: Callable[[State], None] = lambda _: None,
        parts: Callable[[Settings], list[Part]] = stack.parts,
    ) -> None:
        """`say` is told each event, `on_ready` once what runs when everything does."""
        self._settings = settings
        self._say = say
        self._on_ready = on_ready
        self._parts = parts
        self._stop = threading.Event()
        self._interrupts = 0
        self._children: dict[str, _Child] = {}
        self._postgres_failures = 0
        self._postgres_not_before = 0.0
        self._state = State(os.getpid(), psutil.Process().create_time())

    def run(self, prepare: Callable[[], object] = lambda: None) -> None:
        """Start everything, supervise, and stop everything on SIGINT, SIGTERM or SIGHUP.

        Args:
            prepare: brings the databases into shape; called once PostgreSQL runs.

        Raises:
            AlreadyRunning: another supervisor has the installation.
            Unavailable: a port is taken, PostgreSQL does not start, or a part does not become ready.
        """
        with self._sole_supervisor(), self._signals():
            left = run_state.read(self._settings)
            if left and processes.stop_each(left.records, self._say):
                self._say("these were left by a supervisor that was killed")
            for port in ports.ports(self._settings):
                ports.require_free(port)
            self._write()
            try:
                self._start(prepare)
                self._supervise()
            finally:
                self._stop_everything()

    def _start(self, prepare: Callable[[], object]) -> None:
        begun = time.monotonic()
        postgres.ensure_running(self._settings)
        prepare()
        self._say(f"postgres is ready ({time.monotonic() - begun:.1f} s)")
        parts = self._parts(self._settings)
        for stage in sorted({part.stage for part in parts}):
            starting = [part for part in parts if part.stage == stage]
            for part in starting:
                if not self._stop.is_set():
                    self._children[part.name] = self._launch(part)
            self._await_ready(starting)
        if not self._stop.is_set():
            self._change(phase="ready", urls={part.name: part.url for part in parts if part.url})
            self._on_ready(self._state)

    def _launch(self, part: Part) -> "_Child":
        def remember(record: ProcessRecord) -> None:
            # A predecessor's run workers may have survived it; they are stopped with everything else.
            known = tuple(old for old in self._state.records if processes.members(old))
            self._change(records=(*known, record))

        return _Child(part, processes.spawn(part.command, self._settings.home, remember), time.monotonic())

    def _await_ready(self, parts: Sequence[Part]) -> None:
        waiting = list(parts)
        begun = time.monotonic()
        while waiting and not self._stop.wait(TICK_S):
            for part in list(waiting):
                code = self._children[part.name].process.poll()
                waited = time.monotonic() - begun
                if code is not None or waited > part.ready_within_s:
                    how = (
                        f"ended with {code}" if code is not None else f"is not ready after {part.ready_within_s:.0f} s"
                    )
                    log = part.command.log
                    raise Unavailable(f"The {part.name} {how}. Last lines of {log}:\n{processes.log_tail(log)}")
                if part.ready():
                    waiting.remove(part)
                    self._say(f"{part.name} is ready ({waited:.1f} s)" + (f": {part.url}" if part.url else ""))

    def _supervise(self) -> None:
        logs_checked = time.monotonic()
        while not self._stop.wait(TICK_S):
            self._tend_postgres()
            for child in self._children.values():
                self._tend(child)
            if time.monotonic() - logs_checked > LOG_CHECK_S:
                logs_checked = time.monotonic()
                for child in self._children.values():
                    processes.shorten_log(child.part.command.log)

    def _tend(self, child: "_Child") -> None:
        if child.process.poll() is None:
            return
        now = time.monotonic()
        name = child.part.name
        if child.restart_at is None:
            child.failures = 0 if now - child.started > HEALTHY_AFTER_S else child.failures + 1
            delay = _delay_s(child.failures)
            child.restart_at = now + delay
            self._say(
                f"{name} ended with {child.process.returncode}, starts again in {delay:.1f} s; "
                f"see {child.part.command.log}"
            )
        elif now >= child.restart_at:
            successor = self._launch(child.part)
            self._children[name] = replace(successor, failures=child.failures)
            self._change(restarts={**self._state.restarts, name: self._state.restarts.get(name, 0) + 1})

    def _tend_postgres(self) -> None:
        settings = self._settings
        now = time.monotonic()
        if not postgres.is_embedded(settings) or postgres.server_pid(settings) is not None:
            return
        if now < self._postgres_not_before:
            return
        self._say("postgres is gone, starting it again")
        try:
            postgres.ensure_running(settings)
        except Unavailable as error:
            self._postgres_failures += 1
            delay = _delay_s(self._postgres_failures)
            self._postgres_not_before = time.monotonic() + delay
            self._say(f"{error} Next attempt in {delay:.1f} s.")
        else:
            self._postgres_failures = 0
            self._change(restarts={**self._state.restarts, "postgres": self._state.restarts.get("postgres", 0) + 1})
            self._say(f"postgres is ready again ({time.monotonic() - now:.1f} s)")

    def _stop_everything(self) -> None:
        self._change(phase="stopping")
        for record in reversed(self._state.records):
            # Whoever presses Ctrl-C again does not want to wait.
            if processes.stop(record, grace_s=10.0 if self._interrupts < 2 else 0.0):
                self._say(f"stopped {record.name}")
        if postgres.stop(self._settings):
            self._say("stopped postgres")
        run_state.forget(self._settings)

    def _change(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
        self._write()

    def _write(self) -> None:
        run_state.write(self._settings, self._state)

    @contextlib.contextmanager
    def _sole_supervisor(self) -> Iterator[None]:
        with (stack.run_directory(self._settings) / "up.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AlreadyRunning(run_state.read(self._settings)) from None
            yield

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, _frame: FrameType | None) -> None:
            self._interrupts += number == signal.SIGINT
            self._stop.set()

        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass
class _Child:
    part: Part
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = None


def _delay_s(failures: int) -> float:
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, 10)))
