"""How many observations a second the service takes, beside the same rows put into the table without it.

    .venv/bin/python benchmarks/ingest.py [--seconds 20] [--batch 1000] [--connections 2]

Starts a PostgreSQL, a service process and a sending process of its own in a temporary home and leaves nothing behind.
In one run it measures, one after the other: the service; psycopg `COPY` into the inbox table; psycopg with
the one `INSERT` that the service uses. The peers neither parse nor validate and hold the rows
ready in memory, so that the ratio is the price of HTTP, tokens, JSON and validation. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import sqlalchemy as sa

from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings

COPY = "COPY inbox_observations (source, source_id, occurred_at, payload) FROM STDIN"
INSERT = """INSERT INTO inbox_observations (source, source_id, occurred_at, payload)
    SELECT r ->> 'source', r ->> 'source_id', CAST(r ->> 'occurred_at' AS timestamptz), r
    FROM jsonb_array_elements(%s::jsonb) AS r ON CONFLICT DO NOTHING"""


def row(source: str, number: int) -> dict[str, Any]:
    """An observation as the lab's router sends it."""
    return {
        "source": source,
        "source_id": f"{number:012d}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "component": "router:core",
        "component_kind": "llm_router",
        "policy_id": "router-core",
        "policy_version": "1.0.0",
        "decision_id": str(uuid.UUID(int=number)),
        "action": "small",
        "propensity": 0.5,
        "action_set": ["small", "medium", "large"],
        "tenant": f"tenant-{number % 7}",
        "context": {"pixels": number % 64},
        "outcome": "success",
        "http_status": 200,
        "attempt": 1,
        "cache_hit": False,
        "duration_ms": 12.25 + number % 100,
        "queue_ms": 0.5,
        "provider_name": "lab",
        "request_model": "small",
        "input_tokens": 64,
        "output_tokens": 1,
        "cost_amount": 0.00012,
        "cost_currency": "USD",
    }


def bodies(source: str, batch: int) -> Any:
    """Encoded requests without end, each of `batch` new rows."""
    number = 0
    while True:
        rows = [orjson.dumps(row(source, number + i)) for i in range(batch)]
        number += batch
        yield b'{"observations":[' + b",".join(rows) + b"]}"


def send(url: str, token: str, arguments: argparse.Namespace, out: Any) -> None:
    """The sending process: each connection posts the next batch when the one before is acknowledged."""
    latencies: list[float] = []
    accepted = 0
    lock = threading.Lock()
    stop_at = time.perf_counter() + arguments.seconds

    def one(which: int) -> None:
        nonlocal accepted
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
            for body in bodies(f"bench-{which}", arguments.batch):
                began = time.perf_counter()
                if began >= stop_at:
                    return
                answer = client.post("/api/v1/observations", content=body)
                took = time.perf_counter() - began
                assert answer.status_code == 200, answer.text
                with lock:
                    latencies.append(took)
                    accepted += answer.json()["accepted"]

    began = time.perf_counter()
    threads = [threading.Thread(target=one, args=(which,)) for which in range(arguments.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.send((accepted, time.perf_counter() - began, latencies))


def measure_service(settings: Settings, arguments: argparse.Namespace) -> dict[str, float]:
    with database.transaction(settings) as connection:
        token = tokens.issue(connection, "benchmark", ["ingest"])
    environment = {
        **os.environ,
        "COGORCH_HOME": str(settings.home),
        "COGORCH_SERVICE_PORT": str(settings.service_port),
    }
    process = subprocess.Popen([sys.executable, "-m", "cogorch_dagster.service"], env=environment)
    try:
        wait_ready(settings.service_url)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        worker = multiprocessing.get_context("spawn").Process(
            target=send,
            args=(settings.service_url, token, arguments, sender),
        )
        worker.start()
        accepted, took, latencies = receiver.recv()
        worker.join()
    finally:
        process.terminate()
        process.wait()
    with database.transaction(settings) as connection:
        stored = connection.execute(sa.text("SELECT count(*) FROM inbox_observations")).scalar_one()
    assert stored == accepted, f"{accepted} rows were acknowledged, {stored} are stored"
    return figures(accepted, took, latencies)


def wait_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the service did not become ready within 60 s")


def measure_peer(settings: Settings, arguments: argparse.Namespace, statement: str) -> dict[str, float]:
    """The same rows, batches and commits over one connection, from memory; encoding is not in the measured time."""
    with database.transaction(settings) as connection:
        connection.execute(sa.text("TRUNCATE inbox_observations"))
    latencies: list[float] = []
    rows = number = 0
    stop_at = time.perf_counter() + arguments.seconds
    with psycopg.connect(postgres.server_url(settings, settings.database)) as connection:
        while time.perf_counter() < stop_at:
            batch = [row("peer", number + i) for i in range(arguments.batch)]
            number += arguments.batch
            values = [(r["source"], r["source_id"], r["occurred_at"], orjson.dumps(r).decode()) for r in batch]
            document = orjson.dumps(batch).decode()
            began = time.perf_counter()
            with connection.cursor() as cursor:
                if statement == COPY:
                    with cursor.copy(COPY) as copy:
                        for each in values:
                            copy.write_row(each)
                else:
                    cursor.execute(INSERT, [document])
            connection.commit()
            latencies.append(time.perf_counter() - began)
            rows += arguments.batch
    return figures(rows, sum(latencies), latencies)


def with_free_port(home: Path) -> Settings:
    """Settings of a fresh installation, whatever the caller's environment says."""
    for name in [name for name in os.environ if name.startswith("COGORCH_")]:
        del os.environ[name]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Settings(home=home, service_port=probe.getsockname()[1], _env_file=None)


def figures(rows: int, seconds: float, latencies: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(latencies, n=20) if len(latencies) > 1 else latencies * 19
    return {
        "rows": rows,
        "rows_per_s": round(rows / seconds),
        "batch_p50_ms": round(statistics.median(latencies) * 1000, 1),
        "batch_p95_ms": round(cuts[18] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (default 20)")
    parser.add_argument("--batch", type=int, default=1000, help="rows in one request (default 1000)")
    parser.add_argument("--connections", type=int, default=2, help="of the sending process (default 2)")
    arguments = parser.parse_args()
    # A socket path has at most 107 characters, hence no deeper folder.
    with tempfile.TemporaryDirectory(prefix="cogorch-bench-") as folder:
        settings = with_free_port(Path(folder))
        migrate.prepare(settings)
        try:
            found = {
                "service": measure_service(settings, arguments),
                "copy": measure_peer(settings, arguments, COPY),
                "insert": measure_peer(settings, arguments, INSERT),
            }
        finally:
            database.dispose()
            postgres.stop(settings, mode="immediate")
    for name, values in found.items():
        print(
            f"{name:8} {values['rows_per_s']:>8,} rows/s   batch of {arguments.batch}: "
            f"p50 {values['batch_p50_ms']} ms, p95 {values['batch_p95_ms']} ms"
        )
    ratios = {
        f"{peer}_over_service": found[peer]["rows_per_s"] / found["service"]["rows_per_s"]
        for peer in ("copy", "insert")
    }
    print(
        f"without the service: COPY {ratios['copy_over_service']:.2f} x, INSERT {ratios['insert_over_service']:.2f} x"
    )
    print(json.dumps({"batch": arguments.batch, "load_1m": os.getloadavg()[0], **found, **ratios}))


if __name__ == "__main__":
    main()
