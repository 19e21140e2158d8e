"""The whole lab: model servers and a router, started together and stopped together.

with fleet.running(settings, service_url, ingest_token, read_token) as lab:
    load.run(lab.router_url, rate=35, count=1500, seed=7)
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx

from cogorch_dagster.errors import InvalidInput, Unavailable
from cogorch_dagster.lab import faults, models, process, router, server
from cogorch_dagster.lab.faults import Fault
from cogorch_dagster.settings import Settings

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running model server and its accuracy on held-out images, as it announced it."""

    child: process.Child
    url: str
    accuracy: float


class Fleet:
    """A running lab. Made by `running`, which also stops it."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._control_token = secrets.token_urlsafe(24)
        self._children: list[process.Child] = []
        self._router: process.Child | None = None
        self.servers: dict[str, Server] = {}
        self.router_url = ""

    def status(self) -> dict[str, Any]:
        """The router's `/status`: version in force, since when (`applied_at_ms`), counters.

        Raises:
            Unavailable: the router does not answer within 5 s.
        """
        return self._ask_router("GET", "/status", 5.0)

    def flush(self) -> bool:
        """Have the router deliver what it observed to the service; False when rows still wait after 10 s."""
        return bool(self._ask_router("POST", "/flush", 15.0)["delivered"])

    def inject(self, model: str, fault: Fault) -> None:
        """Switch a fault of one server on (or all off with kind `none`) and wait until it holds."""
        target = self._server(model)
        faults.switch(target.url, self._control_token, fault)
        if fault.kind == "kill":
            target.child.process.wait(process.GRACE_S)

    def restart(self, model: str) -> None:
        """Bring a server back, at the address it had; stops it first if it still runs."""
        old = self._server(model)
        process.stop([old.child])
        self._children.remove(old.child)
        child = self._spawn_server(model, port=int(old.url.rpartition(":")[2]))
        self._await_server(model, child)
        self._write_file()

    @property
    def pids(self) -> dict[str, int]:
        """Process id of the router and of each server."""
        return {child.name: child.pid for child in self._children}

    def start(self, service_url: str, ingest_token: str, read_token: str, policy_id: str) -> None:
        """Start everything and wait until it is ready. `running` calls this.

        Raises:
            Unavailable: a process is not ready after 60 s; the message holds the end of its log.
        """
        starting = {model: self._spawn_server(model, port=0) for model in models.MODELS}
        for model, child in starting.items():
            self._await_server(model, child)
        arguments = ["--service", service_url, "--policy", policy_id, "--seed", str(self._seed)]
        arguments += ["--state", str(self._settings.home / "lab" / "router")]
        for model, running in self.servers.items():
            arguments += ["--arm", f"{model}={running.url}"]
        tokens = {router.INGEST_TOKEN: ingest_token, router.READ_TOKEN: read_token}
        child = process.spawn("lab-router", "cogorch_dagster.lab.router", arguments, tokens, self._log("lab-router"))
        self._children.append(child)
        self._router = child
        self.router_url = process.announcement(child, READY_TIMEOUT_S)["url"]
        self._write_file()

    def stop(self) -> None:
        """End the fleet's processes, the router first so that no request of it meets a stopped server."""
        faults.fleet_file(self._settings).unlink(missing_ok=True)
        if self._router is not None:
            process.stop([self._router])
        process.stop([child for child in self._children if child is not self._router])

    def _server(self, model: str) -> Server:
        if model not in self.servers:
            raise InvalidInput(f"The lab has no server {model!r}; it has {', '.join(self.servers)}.")
        return self.servers[model]

    def _spawn_server(self, model: str, port: int) -> process.Child:
        arguments = ["--model", model, "--port", str(port)]
        token = {server.CONTROL_TOKEN: self._control_token}
        name = f"lab-{model}"
        child = process.spawn(name, "cogorch_dagster.lab.server", arguments, token, self._log(name))
        self._children.append(child)
        return child

    def _await_server(self, model: str, child: process.Child) -> None:
        announced = process.announcement(child, READY_TIMEOUT_S)
        self.servers[model] = Server(child, announced["url"], announced["accuracy"])

    def _ask_router(self, method: str, path: str, timeout_s: float) -> dict[str, Any]:
        try:
            response = httpx.request(method, f"{self.router_url}{path}", timeout=timeout_s, trust_env=False)
            response.raise_for_status()
        except httpx.HTTPError as error:
            log = self._log("lab-router")
            raise Unavailable(
                f"The lab's router at {self.router_url} does not answer ({error!r}); see {log}."
            ) from error
        answer: dict[str, Any] = response.json()
        return answer

    def _log(self, name: str) -> Path:
        return self._settings.home / "logs" / f"{name}.log"

    def _write_file(self) -> None:
        path = faults.fleet_file(self._settings)
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        document = {
            "router": {"url": self.router_url},
            "servers": {
                model: {"url": running.url, "pid": running.child.pid} for model, running in self.servers.items()
            },
            "control_token": self._control_token,
        }
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(document, file)
        scratch.replace(path)


@contextmanager
def running(
    settings: Settings,
    service_url: str,
    ingest_token: str,
    read_token: str,
    *,
    policy_id: str = "router-core",
    seed: int = 0,
) -> Iterator[Fleet]:
    """The lab, ready to be asked; stopped on leaving, however that happens.

    Args:
        ingest_token: of the service, scope `ingest`; `read_token`: scope `read`.
        seed: of the router's draws.

    Raises:
        Unavailable: a lab already runs on this installation, or a process of it is not ready after 60 s.
    """
    with _alone(settings):
        fleet = Fleet(settings, seed)
        try:
            fleet.start(service_url, ingest_token, read_token, policy_id)
            yield fleet
        finally:
            fleet.stop()


@contextmanager
def _alone(settings: Settings) -> Iterator[TextIO]:
    """Hold the installation's lock on its lab; the kernel releases it when this process ends."""
    folder = settings.home / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"A lab already runs under {settings.home}; stop it first.") from None
        yield lock
