"""The supervisor with small parts: restarts, order of start and stop, and what becomes of it all when it is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import ports, run_state, supervisor
from cogorch_dagster.settings import Settings

# Supervises `first` and, in the next stage, `second`; each says in a file of its own that it is ready.
SCRIPT = """
import os, sys
from pathlib import Path
from cogorch_dagster.errors import CogorchError
from cogorch_dagster.platform.processes import Command
from cogorch_dagster.platform.stack import Part
from cogorch_dagster.platform.supervisor import Supervisor
from cogorch_dagster.settings import Settings

PROGRAM = "import sys, time; open(sys.argv[1], 'w'); print('at work', flush=True); time.sleep(60)"

def parts(settings):
    def part(name, stage, program=PROGRAM):
        file = settings.home / f"{name}.ready"
        argv = (sys.executable, "-c", program, str(file))
        command = Command(name, argv, dict(os.environ), settings.home / "logs" / f"{name}.log", settings.home)
        return Part(command, stage, file.exists)
    broken = "import sys; sys.exit('no such model')"
    return [part("first", 0), part("second", 1, broken if "broken" in sys.argv else PROGRAM)]

settings = Settings(_env_file=None)
try:
    Supervisor(settings, lambda line: print(line, flush=True), parts=parts).run()
except CogorchError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation without a database: its PostgreSQL is said to be elsewhere, and nobody asks it anything."""
    service, webserver = ports_that_are_free(2)
    for name, value in {
        "COGORCH_HOME": tmp_path / "home",
        "COGORCH_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1",
        "COGORCH_SERVICE_PORT": service,
        "COGORCH_WEBSERVER_PORT": webserver,
    }.items():
        monkeypatch.setenv(name, str(value))
    return Settings(_env_file=None)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a supervisor in a process of its own; whatever is left at the end is stopped."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(child)
        return child

    yield start
    supervisor.down(settings, lambda _: None)
    for child in started:
        child.kill()
        child.wait()
        _stream(child).close()


def ports_that_are_free(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return numbers


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def ready(settings: Settings) -> run_state.State:
    def is_ready() -> bool:
        state = run_state.read(settings)
        return state is not None and state.phase == "ready"

    assert until(is_ready)
    state = run_state.read(settings)
    assert state is not None
    return state


def _stream(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdout is not None
    return child.stdout


def _alive(pids: list[int]) -> list[int]:
    return [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_reverse_order(
    start: Callable[..., subprocess.Popen[str]], settings: Settings, number: int
) -> None:
    child = start()
    state = ready(settings)
    assert [record.name for record in state.alive()] == ["first", "second"]
    child.send_signal(number)
    said = child.communicate(timeout=30)[0]
    assert child.returncode == 0
    assert said.index("first is ready") < said.index("second is ready")
    assert said.index("stopped second") < said.index("stopped first")
    assert _alive([record.pid for record in state.records]) == []
    assert run_state.read(settings) is None


def test_a_part_that_is_killed_starts_again(start: Callable[..., subprocess.Popen[str]], settings: Settings) -> None:
    start()
    first = ready(settings).records[0]
    os.kill(first.pid, signal.SIGKILL)

    def is_back() -> bool:
        state = run_state.read(settings)
        return state is not None and state.restarts == {"first": 1} and len(state.alive()) == 2

    assert until(is_back)
    state = run_state.read(settings)
    assert state is not None
    assert first not in state.records


def test_a_part_that_does_not_start_is_named_with_its_log_and_the_others_are_stopped(
    start: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    child = start("broken")
    said = child.communicate(timeout=30)[0]
    assert child.returncode == 1
    assert "Unavailable: The second ended with 1" in said
    assert "no such model" in said
    assert "stopped first" in said
    assert run_state.read(settings) is None


def test_there_is_one_supervisor_and_the_second_says_so(
    start: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    start()
    state = ready(settings)
    second = start()
    assert "AlreadyRunning: cogorch is already up" in second.communicate(timeout=30)[0]
    assert second.returncode == 1
    assert len(state.alive()) == 2


def test_down_stops_what_a_killed_supervisor_left(
    start: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    child = start()
    pids = [record.pid for record in ready(settings).records]
    child.kill()
    child.wait()
    assert _alive(pids) == pids
    assert not run_state.is_up(settings)
    said: list[str] = []
    assert supervisor.down(settings, said.append) == ["second", "first"]
    assert _alive(pids) == []
    assert supervisor.down(settings, said.append) == []


def test_the_next_supervisor_stops_what_a_killed_one_left(
    start: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    child = start()
    left = [record.pid for record in ready(settings).records]
    child.kill()
    child.wait()
    start()
    assert until(lambda: _alive(left) == [])
    assert until(lambda: len(ready(settings).alive()) == 2)


def test_a_damaged_state_file_counts_as_none(settings: Settings) -> None:
    file = settings.home / "run" / "state.json"
    file.parent.mkdir(parents=True)
    for text in ("", "{", "[]", json.dumps({"pid": 1})):
        file.write_text(text)
        assert run_state.read(settings) is None
    assert supervisor.down(settings, lambda _: None) == []


def test_a_recorded_supervisor_whose_id_was_used_again_is_left_alone(settings: Settings) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        content = {"pid": stranger.pid, "created": time.time() - 3600, "phase": "ready", "records": []}
        file = settings.home / "run" / "state.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
        assert not run_state.is_up(settings)
        assert supervisor.down(settings, lambda _: None) == []
        assert stranger.poll() is None
        stranger.kill()


def test_a_busy_port_is_named_with_the_setting_that_moves_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        number = holder.getsockname()[1]
        port = ports.Port("service", "127.0.0.1", number, "COGORCH_SERVICE_PORT")
        with pytest.raises(Unavailable, match=rf"Port {number} .*pid {os.getpid()}.*COGORCH_SERVICE_PORT"):
            ports.require_free(port)
    ports.require_free(port)


def test_a_unix_socket_accepts_only_while_someone_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not ports.accepts(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert ports.accepts(path)
    assert not ports.accepts(path)
