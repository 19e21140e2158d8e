"""Asking `forking.py` for a process: most of a short program's time goes into importing packages."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Forking:
    """A running `forking.py`."""

    server: "subprocess.Popen[str]"

    def run(
        self, program: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], said: Sequence[Path]
    ) -> int:
        """Run a module or a file until it ends; returns its exit code, negative where a signal ended it.

        Args:
            folder: where it runs.
            environment: all of its environment.
            said: the files for stdout and stderr.
        """
        assert self.server.stdin is not None and self.server.stdout is not None
        request = {
            "program": program,
            "arguments": list(arguments),
            "cwd": str(folder),
            "environment": dict(environment),
            "out": str(said[0]),
            "err": str(said[1]),
        }
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        pid = int(self.server.stdout.readline())
        if not select.select([self.server.stdout], [], [], PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
        return int(self.server.stdout.readline())


@contextmanager
def running() -> Iterator[Forking]:
    """A server of processes that show every warning; it ends with the context."""
    environment = {**os.environ, "PYTHONWARNINGS": "always", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, str(Path(__file__).with_name("forking.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as server:
        yield Forking(server)
        assert server.stdin is not None
        server.stdin.close()
