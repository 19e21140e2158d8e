"""The real command, in processes of its own, on the test's installation."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cogorch_dagster.cli import app
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.settings import Settings, load_settings
from tests.forked import Forking

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
def cogorch(settings: Settings, forking: Forking, tmp_path: Path) -> Run:
    """Runs `cogorch ARGUMENTS` in an empty folder, so that no `.env` but the test's own is read."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    out, err = tmp_path / "stdout", tmp_path / "stderr"

    def run(*arguments: object, **environment: str) -> Ran:
        # Every warning is shown: none may reach stdout.
        all_of_it = {**os.environ, "PYTHONWARNINGS": "always", "COGORCH_ACTOR": "ann", **environment}
        code = forking.run(COMMAND[-1], list(map(str, arguments)), folder, all_of_it, (out, err))
        return Ran(code, out.read_text(), err.read_text())

    return run


Inside = Callable[..., Result]


@pytest.fixture
def inside(settings: Settings) -> Iterator[Inside]:
    """Runs `cogorch ARGUMENTS` in this process, which costs no start; its errors are the result's exceptions.

    For what a command does and says to people. JSON and exit codes of errors are those of a process: see `cogorch`.
    """
    load_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))
    load_settings.cache_clear()


@pytest.fixture
def seeded(settings: Settings) -> Settings:
    """An installation with its seed policies."""
    with transaction(settings) as connection:
        seed(connection)
    return settings
