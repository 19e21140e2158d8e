"""`cogorch up` and `down` as they are: every process real, the web UI and PostgreSQL included."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cogorch_dagster.platform import postgres, run_state, supervisor
from cogorch_dagster.platform.processes import MARK
from cogorch_dagster.settings import Settings
from tests.cli.conftest import COMMAND

LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An installation of its own with an embedded PostgreSQL and free ports; nothing of it survives the test."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    service, webserver = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    for name in [name for name in os.environ if name.startswith("COGORCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COGORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COGORCH_SERVICE_PORT", str(service))
    monkeypatch.setenv("COGORCH_WEBSERVER_PORT", str(webserver))
    monkeypatch.chdir(tmp_path)
    settings = Settings(_env_file=None)
    yield settings
    supervisor.down(settings, lambda _: None)
    assert _left(settings) == []


def _cogorch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)


def _left(settings: Settings) -> list[str]:
    """Every process of the installation, by the mark it inherited or the data folder it serves."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == str(settings.home)
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if marked or f"-D {postgres.data_directory(settings)}" in command:
            found.append(command)
    return found


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def _locations(webserver: str) -> Any:
    answer = httpx.post(f"{webserver}/graphql", json={"query": LOCATIONS}, timeout=30)
    return answer.json()["data"]["workspaceOrError"]["locationEntries"]


def test_up_keeps_everything_running_and_down_leaves_nothing(environment: Settings) -> None:
    settings = environment
    with socket.create_server(("127.0.0.1", settings.webserver_port)):
        busy = _cogorch("up")
    assert busy.returncode == 4
    assert f"Port {settings.webserver_port}" in busy.stderr
    assert "COGORCH_WEBSERVER_PORT" in busy.stderr
    assert _left(settings) == []

    up = _cogorch("up", "--detach", "--json")
    assert up.returncode == 0, up.stderr
    running = json.loads(up.stdout)
    assert running["phase"] == "ready"
    assert sorted(running["running"]) == ["code-server", "daemon", "service", "webserver"]
    assert _status(f"{running['urls']['service']}/readyz") == 200
    locations = _locations(running["urls"]["webserver"])
    assert locations == [{"name": "cogorch", "locationOrLoadError": {"__typename": "RepositoryLocation"}}]

    again = _cogorch("up", "--json")
    assert again.returncode == 0
    assert "already up" in again.stderr
    assert json.loads(again.stdout)["pid"] == running["pid"]

    killed = postgres.server_pid(settings)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert _until(lambda: postgres.server_pid(settings) not in (None, killed))
    assert _until(lambda: _status(f"{running['urls']['service']}/readyz") == 200)

    state = run_state.read(settings)
    assert state is not None
    service = next(record for record in state.records if record.name == "service")
    os.kill(service.pid, signal.SIGKILL)
    assert _until(lambda: not service.is_alive())
    assert _until(lambda: _status(f"{running['urls']['service']}/readyz") == 200)
    state = run_state.read(settings)
    assert state is not None
    assert (state.restarts["postgres"], state.restarts["service"]) == (1, 1)

    os.kill(running["pid"], signal.SIGKILL)
    assert _until(lambda: not run_state.is_up(settings))
    assert len(_left(settings)) >= 5
    down = _cogorch("down", "--json")
    assert down.returncode == 0, down.stderr
    assert set(json.loads(down.stdout)["stopped"]) == {"service", "code-server", "webserver", "daemon", "postgres"}
    assert _left(settings) == []
    assert _cogorch("down").stdout == "Nothing was running.\n"
