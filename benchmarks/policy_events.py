"""How soon followers of a policy hold a new version, and what that costs the service.

    .venv/bin/python benchmarks/policy_events.py [--clients 300] [--activations 50] [--per-second 5]

Starts a PostgreSQL and a service of its own in a temporary home and opens that many event streams to it. Each
activation is a whole one: proposed, approved, claimed, audited, notified. Measured is the time from the return of its
commit until each stream has read the event, and the CPU time of the service. The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from ingest import wait_ready, with_free_port

from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.policies import administration, drafts
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.decisions import approve
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings


def put_into_force(settings: Settings, number: int) -> tuple[str, float]:
    """One whole activation; returns the version and the time after its commit."""
    params = {
        "modelWeights": {"small": number / 100_000, "large": 1 - number / 100_000},
        "latencyTargetMs": 100,
        "maxCostUsd": 0.01,
        "fallbackOn": ["error"],
        "cooldownMs": 0,
        "timeoutMs": 1000,
    }
    with database.transaction(settings) as connection:
        version = drafts.propose_version(connection, "router-x", params, actor="benchmark")
        approve(connection, "router-x", version.version, "benchmark", "measured")
    with database.transaction(settings) as connection:
        activate(connection, version.ref, "benchmark")
    return version.version, time.perf_counter()


async def follow(port: int, token: str, received: dict[str, list[float]], opened: asyncio.Semaphore) -> None:
    """One stream: notes when each version arrives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /api/v1/policies/router-x/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    while line := await reader.readline():
        if line.startswith(b"id: "):
            version = line[4:].decode().strip()
            received.setdefault(version, []).append(time.perf_counter())
            if version == "1.0.0":
                opened.release()


async def measure(settings: Settings, arguments: argparse.Namespace, service: psutil.Process) -> dict[str, Any]:
    with database.transaction(settings) as connection:
        token = tokens.issue(connection, "benchmark", ["read"])
        administration.create_policy(connection, "router-x", "router", "router:x", actor="benchmark")
    put_into_force(settings, 1)
    received: dict[str, list[float]] = {}
    opened = asyncio.Semaphore(0)
    followers = [
        asyncio.create_task(follow(settings.service_port, token, received, opened)) for _ in range(arguments.clients)
    ]
    async with asyncio.timeout(120):
        for _ in range(arguments.clients):
            await opened.acquire()
    committed: dict[str, float] = {}
    cpu_before, began = sum(service.cpu_times()[:2]), time.perf_counter()
    for number in range(arguments.activations):
        version, moment = await asyncio.to_thread(put_into_force, settings, number + 2)
        committed[version] = moment
        await asyncio.sleep(max(0.0, (number + 1) / arguments.per_second - (time.perf_counter() - began)))
    async with asyncio.timeout(30):
        while any(len(received.get(version, [])) < arguments.clients for version in committed):
            await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    cpu = sum(service.cpu_times()[:2]) - cpu_before
    for follower in followers:
        follower.cancel()
    # The notification may overtake the return of the commit.
    waits = [max(0.0, at - moment) * 1000 for version, moment in committed.items() for at in received[version]]
    cuts = statistics.quantiles(waits, n=100)
    return {
        "clients": arguments.clients,
        "activations": len(committed),
        "events": len(waits),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "service_cpu_share": round(cpu / took, 3),
        "load_1m": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--activations", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=5)
    arguments = parser.parse_args()
    # A socket path has at most 107 characters, hence no deeper folder.
    with tempfile.TemporaryDirectory(prefix="cogorch-bench-") as folder:
        settings = with_free_port(Path(folder))
        migrate.prepare(settings)
        environment = {
            **os.environ,
            "COGORCH_HOME": str(settings.home),
            "COGORCH_SERVICE_PORT": str(settings.service_port),
        }
        process = subprocess.Popen([sys.executable, "-m", "cogorch_dagster.service"], env=environment)
        try:
            wait_ready(settings.service_url)
            found = asyncio.run(measure(settings, arguments, psutil.Process(process.pid)))
        finally:
            process.terminate()
            process.wait()
            database.dispose()
            postgres.stop(settings, mode="immediate")
    print(
        f"{found['clients']} followers, {found['activations']} activations: p50 {found['p50_ms']} ms, "
        f"p95 {found['p95_ms']} ms, p99 {found['p99_ms']} ms; service {found['service_cpu_share']:.1%} of a core"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
