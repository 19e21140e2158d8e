"""Worker processes of this machine: each runs `worker.py` on one study, and ends with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from typing import IO

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.settings import Settings

POLL_S = 0.2
# For the step of a training that they are in.
_PATIENCE_S = 60.0


def worker_name() -> str:
    """A name that no other worker has; says where it runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def share(
    settings: Settings,
    study: str,
    task: Sequence[str],
    workers: int,
    *,
    look: Callable[[], bool],
    stop: Callable[[], bool],
) -> int:
    """Let processes work on a study until they have ended, or `stop` says so; how many of them died.

    Args:
        task: what they do of it, as `worker.py` has it.
        look: called while they work, and at the end; says whether all is done.

    Raises:
        Unavailable: all of them died while there was work left.
    """
    with tempfile.TemporaryFile("w+") as log:
        begun: list[subprocess.Popen[bytes]] = []
        try:
            begun += (_started(settings, study, task, log) for _ in range(workers))
            while any(process.poll() is None for process in begun) and not stop():
                look()
                time.sleep(POLL_S)
        finally:
            _ended(begun)
        # One that was interrupted before it could listen has not died.
        lost = len([process for process in begun if process.returncode not in (0, -signal.SIGINT)])
        if not look() and lost == workers and not stop():
            log.seek(0)
            raise Unavailable(
                f"all {workers} workers died; what they had begun is gone on with by the next run. "
                f"Their last words: {log.read()[-2000:].strip() or '(none)'}"
            )
        return lost


def _started(settings: Settings, study: str, task: Sequence[str], log: IO[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cogorch_dagster.tuning.worker", study, str(os.getpid()), *task]
    return subprocess.Popen(
        command, env=_environment(settings), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
    )


def _environment(settings: Settings) -> dict[str, str]:
    """This process's, with the settings, so that a worker finds the same installation."""
    given = {name: value for name, value in settings.model_dump().items() if value is not None}
    url = settings.postgres_url
    if url is not None:
        given["postgres_url"] = url.get_secret_value()
    # Networks this small gain nothing from threads, and workers would take each other's cores.
    return {**os.environ, "OMP_NUM_THREADS": "1"} | {f"COGORCH_{name.upper()}": str(v) for name, v in given.items()}


def _ended(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Ask the workers to stop after their present step, and see to it that none is left."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
