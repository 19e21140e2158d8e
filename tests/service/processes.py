"""The service as a process of its own, and tokens for it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cogorch_dagster.platform import database
from cogorch_dagster.policies import administration, drafts, store
from cogorch_dagster.policies.activation import Activation, activate
from cogorch_dagster.policies.decisions import approve
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings

START_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(settings: Settings, port: int) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("COGORCH_")}
    env["COGORCH_HOME"] = str(settings.home)
    env["COGORCH_DATABASE"] = settings.database
    env["COGORCH_SERVICE_PORT"] = str(port)
    if settings.postgres_url is not None:
        env["COGORCH_POSTGRES_URL"] = settings.postgres_url.get_secret_value()
    return env


@dataclass
class Service:
    """A running `python -m cogorch_dagster.service`; start, kill and stop it as often as needed."""

    settings: Settings
    log_path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def start(self, *, ready: bool = True) -> "Service":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cogorch_dagster.service"],
                env=environment(self.settings, self.port),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_for("/readyz" if ready else "/healthz")
        return self

    def wait_for(self, path: str, status: int = 200) -> httpx.Response:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                response = self.get(path)
                if response.status_code == status:
                    return response
            assert self.process is not None and self.process.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(f"{path} never answered {status}:\n{self.log}")

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.log}"
            time.sleep(0.02)

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.get(self.url + path, headers=headers, timeout=30, trust_env=False)

    def post(self, path: str, token: str | None, json: Any = None, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers.update(kwargs.pop("headers", {}))
        return httpx.post(self.url + path, json=json, headers=headers, timeout=30, trust_env=False, **kwargs)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def service_of(settings: Settings, folder: Path) -> Iterator[Service]:
    service = Service(settings, folder / "service.log")
    try:
        yield service.start()
    finally:
        service.end()


def token_for(settings: Settings, *scopes: str, name: str | None = None) -> str:
    with database.transaction(settings) as connection:
        return tokens.issue(connection, name or "-".join(scopes), scopes)


def observation(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A sound row; `number` makes its identity."""
    return {
        "source": "test",
        "source_id": f"row-{number}",
        "occurred_at": "2026-01-31T12:00:00.123456Z",
        "component": "router:core",
        "component_kind": "llm_router",
        "outcome": "success",
        "action": "small",
        "propensity": 0.5,
        "action_set": ["small", "large"],
        "duration_ms": 12.5,
        "cost_amount": 0.001,
        **fields,
    }


def router_params(first: float = 0.5) -> dict[str, Any]:
    return {
        "modelWeights": {"small": first, "large": 1 - first},
        "latencyTargetMs": 100,
        "maxCostUsd": 0.01,
        "fallbackOn": ["error"],
        "cooldownMs": 0,
        "timeoutMs": 1000.5,
    }


def create_router(settings: Settings, policy_id: str = "router-x") -> None:
    with database.transaction(settings) as connection:
        administration.create_policy(connection, policy_id, "router", "router:x", actor="ada")


def propose(settings: Settings, first: float, policy_id: str = "router-x") -> store.PolicyVersion:
    with database.transaction(settings) as connection:
        return drafts.propose_version(connection, policy_id, router_params(first), actor="ada")


def put_into_force(settings: Settings, first: float, policy_id: str = "router-x") -> Activation:
    """Propose, approve and activate router parameters with this weight of the first arm."""
    version = propose(settings, first, policy_id)
    with database.transaction(settings) as connection:
        approve(connection, policy_id, version.version, "ada", "looks good")
        return activate(connection, version.ref, "ada")
