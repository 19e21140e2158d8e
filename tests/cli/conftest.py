"""The real command, in processes of its own, on the test's installation."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import prepare_databases

COMMAND = (sys.executable, "-m", "cogorch_dagster.cli")


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


@pytest.fixture
def cogorch(settings: Settings, tmp_path: Path) -> Run:
    """Runs `cogorch ARGUMENTS` in an empty folder, so that no `.env` but the test's own is read."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def run(*arguments: object, **environment: str) -> Ran:
        # Every warning is shown: none may reach stdout.
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "always", "COGORCH_ACTOR": "ann", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    """An installation with its seed policies."""
    prepare_databases(settings)
    return settings
