"""A run is held to be alive as long as somebody executes it: its code server, or a command."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient

from resources.launcher import WatchfulRunLauncher


@pytest.fixture
def launcher() -> Iterator[WatchfulRunLauncher]:
    created = WatchfulRunLauncher()
    with dg.DagsterInstance.ephemeral() as instance:
        created.register_instance(instance)
        yield created


def started(launcher: WatchfulRunLauncher, socket: Path | None) -> dg.DagsterRun:
    """A run that works, launched by the code server at the socket; None: executed by a command."""
    tags = {} if socket is None else {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(socket)})}
    job = dg.GraphDefinition("work").to_job("work")
    return launcher._instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)


def test_a_run_that_a_command_executes_is_left_alone(launcher: WatchfulRunLauncher) -> None:
    assert launcher.check_run_worker_health(started(launcher, None)).status is WorkerStatus.RUNNING


def test_a_run_whose_code_server_is_gone_has_failed(launcher: WatchfulRunLauncher, tmp_path: Path) -> None:
    result = launcher.check_run_worker_health(started(launcher, tmp_path / "gone.sock"))
    assert (result.status, result.msg) == (WorkerStatus.FAILED, "the code server that started this run is gone")


def test_a_run_that_a_new_code_server_does_not_know_has_failed(
    launcher: WatchfulRunLauncher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = tmp_path_factory.mktemp("s") / "code.sock"
    server = subprocess.Popen(
        [sys.executable, "-m", "dagster", "api", "grpc", "--socket", str(socket), "-m", "cogorch_dagster.definitions"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = DagsterGrpcClient(socket=str(socket), host="localhost")
        for _ in range(300):
            if socket.exists() and client.health_check_query() == "SERVING":
                break
            assert server.poll() is None
            time.sleep(0.1)
        result = launcher.check_run_worker_health(started(launcher, socket))
        assert (result.status, result.msg) == (WorkerStatus.FAILED, "the code server no longer executes this run")
    finally:
        server.terminate()
        server.wait(30)
