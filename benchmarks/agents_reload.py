"""How soon running agents have taken an approved update over, and whether anything is lost by it.

    .venv/bin/python benchmarks/agents_reload.py [--updates 500] [--per-second 4] [--fleets 4] [--rows-per-second 500]

Starts in a temporary home a PostgreSQL, the service, and a process of four agents (the engine's `serve`) that act and
learn without a pause, while another process sends observations to the service. Every update is a whole one: proposed
and approved, then activated, announced, fetched, taken over between two steps, acknowledged. The clock starts before
the activation's transaction is opened and stops when the acknowledgement's transaction is committed (PostgreSQL's own
commit time stamps: of the two waits for the disk, that for the activation lies before it, that for the acknowledgement
after it). Proposal and approval lie before it. Within it, the process also compares every byte of the agent's weights,
optimiser, replay, rollout and random state before and after the swap.
The stages that an update passes through, each by time stamps of the process that it ends in:

    activation       from before its transaction is opened until it is committed
    announcement     until a thread of the agents' process has the document: NOTIFY, service, event
    waiting          until the step, or the part of it, that was under way has ended
    comparing        copying every byte before the swap and after it: the benchmark's own, no update needs it
    swap             the agent takes the settings over
    acknowledgement  until the row is committed

The last line is JSON.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import sqlalchemy as sa
from ingest import row, wait_ready, with_free_port

from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.policies import decisions, drafts, seed, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings

RATES = {"policy": "learningRate", "consensus": "learningRate", "ethical": "learningRate", "resource": "criticRate"}
# New agents have tried what they can do by then (800 steps), and learning of all four is under way.
WARM_STEPS = 1000
STAGES = ("activation", "announcement", "waiting", "comparing", "swap", "acknowledgement")


def serve(out: Path, token: str, fleets: int) -> None:
    """The process of the agents: until SIGTERM; then its figures in a file."""
    from cogorch_dagster.serving.process import Options
    from cogorch_dagster.serving.process import serve as run

    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    moments: list[float] = []
    cpu: list[float] = []
    compared = {"swaps": 0, "differing": 0}
    passed: dict[str, list[float]] = {}

    def stop() -> bool:
        moments.append(time.perf_counter())
        cpu.append(time.thread_time())
        return bool(told)

    @contextmanager
    def verified(training: Any, agent: Any, document: Any) -> Iterator[None]:
        arrived, begun = document.received_at.timestamp(), time.time()
        before = flat(training.learners[agent].parts())
        copied = time.time()
        yield
        swapped = time.time()
        compared["swaps"] += 1
        compared["differing"] += before != flat(training.learners[agent].parts())
        passed[f"{document.policy_id}@{document.version}"] = [arrived, begun, copied, swapped, time.time()]

    served = run(Settings(_env_file=None), token, Options(fleets=fleets), stop=stop, around=verified)
    found = {
        "steps": served.steps,
        "accepted": served.accepted,
        "refused": served.refused,
        "passed": passed,
        **compared,
    }
    for name, clock in (("step", moments), ("step_cpu", cpu)):
        each = [1000 * (after - before) for before, after in itertools.pairwise(clock)][WARM_STEPS:]
        found |= {f"{name}_{cut}_ms": value for cut, value in cuts(each).items()}
    out.write_text(json.dumps(found))


def flat(parts: Any, path: str = "") -> dict[str, bytes]:
    """Every tensor and number of nested parts by its path, as bytes."""
    if isinstance(parts, dict):
        return {name: value for key, part in parts.items() for name, value in flat(part, f"{path}/{key}").items()}
    return {path: parts.numpy().tobytes() if hasattr(parts, "numpy") else repr(parts).encode()}


def cuts(values: list[float]) -> dict[str, float]:
    quantiles = statistics.quantiles(values, n=1000)
    return {"p50": round(quantiles[499], 1), "p99": round(quantiles[989], 1), "max": round(max(values), 1)}


def load(out: Path, token: str, per_second: int) -> None:
    """A process that sends observations in batches of fifty, at a steady rate until SIGTERM; their number in a file.

    Not a thread of the process that activates: the two would wait for each other's interpreter.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    number, began = 0, time.monotonic()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = Settings(_env_file=None).service_url
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
        while not ended.wait(max(0.0, number / per_second - (time.monotonic() - began))):
            body = orjson.dumps({"observations": [row("load", number + at) for at in range(50)]})
            answer = client.post("/api/v1/observations", content=body)
            assert answer.status_code == 200, answer.text
            number += 50
    out.write_text(str(number))


@dataclass(frozen=True)
class Sent:
    """An update: when its activation began and when it was committed, seconds."""

    ref: str
    began: float
    activated: float


def update(settings: Settings, number: int) -> Sent:
    """One update of one agent."""
    agent = AGENTS[number % len(AGENTS)]
    policy_id, name = policy_of(agent), RATES[agent]
    with database.transaction(settings) as connection:
        current = store.active(connection, policy_id)
        assert current is not None
        params = {**current.params, name: current.params[name] * (1.02 if number // 8 % 2 else 1 / 1.02)}
        draft = drafts.propose_version(connection, policy_id, params, actor="benchmark")
        decision = decisions.approve(connection, policy_id, draft.version, "benchmark", "measured")
    began = time.time()
    with database.transaction(settings) as connection:
        activate(connection, decision.decision_id, "benchmark")
    return Sent(draft.ref, began, time.time())


def measure(settings: Settings, arguments: argparse.Namespace, agents: subprocess.Popen[bytes]) -> list[Sent]:
    wait_until(settings, "SELECT coalesce(max(steps), 0) >= :steps FROM agent_returns", steps=WARM_STEPS)
    sent = []
    start = time.monotonic()
    for number in range(arguments.updates):
        sent.append(update(settings, number))
        time.sleep(max(0.0, (number + 1) / arguments.per_second - (time.monotonic() - start)))
        assert agents.poll() is None, "the agents' process has ended"
    wait_until(settings, "SELECT count(*) >= :expected FROM acknowledgements", expected=len(sent) + len(AGENTS))
    return sent


def committed(settings: Settings) -> dict[str, float]:
    """When the acknowledgement of each version that was taken over was committed, seconds."""
    query = "SELECT policy_id, version, pg_xact_commit_timestamp(xmin) FROM acknowledgements WHERE accepted"
    with database.transaction(settings) as connection:
        found = connection.execute(sa.text(query)).all()
    return {f"{policy_id}@{version}": at.timestamp() for policy_id, version, at in found}


def figures(sent: list[Sent], passed: dict[str, list[float]], ended: dict[str, float]) -> dict[str, Any]:
    """Whole latencies and those of each stage, ms."""
    known = [each for each in sent if each.ref in ended]
    whole = [1000 * (ended[each.ref] - each.began) for each in known]
    stages: dict[str, list[float]] = {name: [] for name in STAGES}
    for each in known:
        arrived, begun, copied, swapped, compared = passed[each.ref]
        lasted = (
            each.activated - each.began,
            arrived - each.activated,
            begun - arrived,
            copied - begun + compared - swapped,
            swapped - copied,
            ended[each.ref] - compared,
        )
        for name, seconds in zip(STAGES, lasted, strict=True):
            stages[name].append(1000 * seconds)
    return {
        "updates": len(sent),
        "acknowledged": len(known),
        **{f"{name}_ms": value for name, value in cuts(whole).items()},
        "over_50_ms": sum(each > 50 for each in whole),
        "stages": {name: cuts(values) for name, values in stages.items()},
    }


def wait_until(settings: Settings, query: str, seconds: float = 120, **values: Any) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.transaction(settings) as connection:
            if connection.execute(sa.text(query), values).scalar_one():
                return
        time.sleep(0.2)
    raise SystemExit(f"not within {seconds:.0f} s: {query} {values}")


def prepare(settings: Settings) -> str:
    """Databases with commit time stamps, the seed policies, and a token."""
    migrate.prepare(settings)
    with database.engine(settings).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ALTER SYSTEM SET track_commit_timestamp = on"))
    database.dispose()
    postgres.stop(settings)
    with database.transaction(settings) as connection:
        seed.seed(connection)
        return tokens.issue(connection, "benchmark", ["ingest", "read"])


def run(settings: Settings, arguments: argparse.Namespace, token: str) -> dict[str, Any]:
    out = settings.home / "agents.json"
    environment = {
        **os.environ,
        "COGORCH_HOME": str(settings.home),
        "COGORCH_SERVICE_PORT": str(settings.service_port),
    }
    sent = settings.home / "sent"
    own = [sys.executable, __file__, "--token", token]
    service = subprocess.Popen([sys.executable, "-m", "cogorch_dagster.service"], env=environment)
    children = [service]
    try:
        wait_ready(settings.service_url)
        command = [*own, "--serve", str(out), "--fleets", str(arguments.fleets)]
        agents = subprocess.Popen(command, env=environment)
        children.append(agents)
        command = [*own, "--load", str(sent), "--rows-per-second", str(arguments.rows_per_second)]
        loader = subprocess.Popen(command, env=environment)
        children.append(loader)
        updates = measure(settings, arguments, agents)
        ended_at = committed(settings)
        for child in (loader, agents):
            child.send_signal(signal.SIGTERM)
        exit_code = agents.wait(60)
        assert loader.wait(60) == 0, "the load has failed"
    finally:
        for child in reversed(children):
            if child.poll() is None:
                child.terminate()
                child.wait(60)
    about = json.loads(out.read_text())
    found = figures(updates, about.pop("passed"), ended_at)
    return {**found, "exit_code": exit_code, "rows_sent": int(sent.read_text()), "agents": about}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--per-second", type=float, default=4)
    parser.add_argument("--fleets", type=int, default=4)
    parser.add_argument("--rows-per-second", type=int, default=500, help="of observations sent to the service")
    parser.add_argument("--json", action="store_true", help="the JSON line alone")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--token", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.token, arguments.fleets)
        return
    if arguments.load:
        load(arguments.load, arguments.token, arguments.rows_per_second)
        return
    # A socket path has at most 107 characters, hence no deeper folder.
    with tempfile.TemporaryDirectory(prefix="cogorch-bench-") as folder:
        settings = with_free_port(Path(folder))
        try:
            found = run(settings, arguments, prepare(settings))
        finally:
            database.dispose()
            postgres.stop(settings, mode="immediate")
    agents = found["agents"]
    if not arguments.json:
        stages = "".join(
            f"  {name:15} p50 {each['p50']:5.1f} ms, p99 {each['p99']:5.1f} ms, longest {each['max']:5.1f} ms\n"
            for name, each in found["stages"].items()
        )
        print(
            f"{found['acknowledged']} of {found['updates']} updates acknowledged: p50 {found['p50_ms']} ms, "
            f"p99 {found['p99_ms']} ms, longest {found['max_ms']} ms (bar: p99 50 ms)\n{stages}"
            f"{agents['steps']} steps of four agents in {arguments.fleets} fleets: p50 {agents['step_p50_ms']} ms, "
            f"p99 {agents['step_p99_ms']} ms, of these p50 {agents['step_cpu_p50_ms']} and p99 "
            f"{agents['step_cpu_p99_ms']} ms on a core; exit code {found['exit_code']}, {agents['refused']} refused\n"
            f"{agents['swaps']} swaps compared byte by byte, {agents['differing']} differ; "
            f"{found['rows_sent']} observations taken by the service meanwhile"
        )
    print(json.dumps({"fleets": arguments.fleets, "load_1m": os.getloadavg()[0], **found}))


if __name__ == "__main__":
    main()
