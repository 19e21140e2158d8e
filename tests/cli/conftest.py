"""The real command, in processes of its own, on the test's installation."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import prepare_databases

COMMAND = (sys.executable, "-m", "cogorch_dagster.cli")
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value; fails when anything else is on stdout or a traceback on stderr."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"stdout: {self.out!r}, stderr: {self.err}"
        assert "Traceback" not in self.err
        return json.loads(lines[0])


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def forking() -> Iterator["subprocess.Popen[str]"]:
    """Forks the processes of `cogorch`: most of a short command's time goes into importing packages."""
    # Every warning is shown: none may reach stdout.
    environment = {**os.environ, "PYTHONWARNINGS": "always"}
    command = [sys.executable, str(Path(__file__).with_name("forking.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as server:
        yield server
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture
def cogorch(settings: Settings, forking: "subprocess.Popen[str]", tmp_path: Path) -> Run:
    """Runs `cogorch ARGUMENTS` in an empty folder, so that no `.env` but the test's own is read."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    out, err = tmp_path / "stdout", tmp_path / "stderr"

    def run(*arguments: object, **environment: str) -> Ran:
        assert forking.stdin is not None and forking.stdout is not None
        request = {
            "arguments": list(map(str, arguments)),
            "cwd": str(folder),
            "environment": {**os.environ, "PYTHONWARNINGS": "always", "COGORCH_ACTOR": "ann", **environment},
            "out": str(out),
            "err": str(err),
        }
        forking.stdin.write(json.dumps(request) + "\n")
        forking.stdin.flush()
        pid = int(forking.stdout.readline())
        if not select.select([forking.stdout], [], [], PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
        code = int(forking.stdout.readline())
        return Ran(code, out.read_text(), err.read_text())

    return run


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    """An installation with its seed policies."""
    prepare_databases(settings)
    return settings
