"""Ramps of a new version in the lab: how soon a fault that hurts only the new one takes it back, and how well it ramps.

    .venv/bin/python benchmarks/canary.py [--runs 10] [--sound 10] [--rate 40] [--delay 2 24] [--seed 1]

Starts a PostgreSQL, a service, three model servers and a router of its own, and sends a steady load. The active version
asks one model; the new one sends most of its requests to another. First come the runs with a fault: at a random moment
of the ramp the other model's server begins to err, in every second run to hang. Then come runs without. Reported are
the time from the fault to the rollback in the audit log and to the router, how many requests the new version got
against its share (and the binomial bound of that), and how many ramps without a fault came to their end. The last line
is JSON.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ingest import wait_ready, with_free_port

from cogorch_dagster.lab import digits, fleet, load
from cogorch_dagster.lab.arrivals import schedule
from cogorch_dagster.lab.faults import Fault
from cogorch_dagster.lab.fleet import Fleet
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.platform.tables import inbox_observations
from cogorch_dagster.policies import administration, audit, decisions, drafts, ramps, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.seed import seed as plant
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings

POLICY, ACTOR = "router-core", "benchmark"
OLD, NEW = "digits-linear", "digits-forest"
PLAN = {
    "stages": [0.1, 0.25, 0.5, 1.0],
    "stageDurationMs": 2000,
    "minSamples": 40,
    "maxRewardDrop": 0.1,
    "maxErrorRateIncrease": 0.1,
    "maxLatencyIncrease": 3.0,
    "maxCostIncrease": None,
}
BASE = {
    "latencyTargetMs": 200,
    "maxCostUsd": 0.002,
    "fallbackOn": [],
    "cooldownMs": 0,
    "timeoutMs": 1000,
}
BASELINE = {**BASE, "modelWeights": {OLD: 1.0, NEW: 0.0}}
CANDIDATE = {**BASE, "modelWeights": {OLD: 0.2, NEW: 0.8}}
EXPOSURE_TAIL = 0.001
"""Probability with which a router that keeps to its share would still be said to exceed it, in each step."""


def put_in_force(settings: Settings, policy_id: str, params: dict[str, Any]) -> str:
    """Propose, approve and claim; with the canary's document in force this begins a ramp. Returns the version."""
    with database.transaction(settings) as connection:
        draft = drafts.propose_version(connection, policy_id, params, actor=ACTOR)
        decision = decisions.approve(connection, policy_id, draft.version, ACTOR, "measured")
        activate(connection, decision.decision_id, ACTOR)
    return draft.version


def roll_back(settings: Settings, version: str) -> None:
    """Return to the baseline at once."""
    with database.transaction(settings) as connection:
        decision = decisions.rollback(connection, POLICY, version, ACTOR, "the next run begins there")
        activate(connection, decision.decision_id, ACTOR)


@contextmanager
def steady_load(url: str, rate: float, seed: int) -> Iterator[None]:
    """Requests at a mean rate until the end, from a thread."""
    ended = threading.Event()
    _, images = digits.split()

    def send() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            arrivals = schedule(rate, max(int(rate * 3), 1), seed + number, len(images))
            asyncio.run(load.drive(url, arrivals, images))

    thread = threading.Thread(target=send, name="load")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wait(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def latest(settings: Settings) -> ramps.Ramp:
    with database.transaction(settings) as connection:
        found = ramps.latest(connection, POLICY)
    assert found is not None
    return found


def exposure(settings: Settings, ramp: ramps.Ramp) -> dict[str, Any]:
    """Requests of both versions at each share, and whether the canary's are within the binomial bound."""
    from scipy.stats import binom

    with database.transaction(settings) as connection:
        payloads = connection.scalars(
            sa.select(inbox_observations.c.payload).where(inbox_observations.c.occurred_at >= ramp.started_at)
        ).all()
    by_share: dict[float, list[str]] = {}
    for payload in payloads:
        tags = json.loads(payload.get("tags") or "{}")
        if tags.get("canary") == ramp.version:
            by_share.setdefault(tags["canary_share"], []).append(payload["policy_version"])
    steps = []
    for share, versions in sorted(by_share.items()):
        exposed = versions.count(ramp.version)
        bound = int(binom.isf(EXPOSURE_TAIL, len(versions), share))
        steps.append({"share": share, "requests": len(versions), "exposed": exposed, "bound": bound})
    return {"steps": steps, "within": all(each["exposed"] <= each["bound"] for each in steps)}


def ramp_once(settings: Settings, lab: Fleet, fault: Fault | None, delay_s: float, within_s: float) -> dict[str, Any]:
    """One ramp: with a fault until it is taken back, without until it is in force."""
    with database.transaction(settings) as connection:
        baseline = store.active(connection, POLICY)
    assert baseline is not None
    began = time.monotonic()
    version = put_in_force(settings, POLICY, CANDIDATE)
    result: dict[str, Any] = {"version": version, "fault": fault.kind if fault else None}
    faulty_at = 0.0
    if fault is not None:
        time.sleep(delay_s)
        result["share_at_fault"] = latest(settings).share
        if latest(settings).outcome is not None:
            result["note"] = "the ramp had ended before the fault"
        lab.inject(NEW, fault)
        faulty_at = time.time()
    ended = wait(lambda: latest(settings).outcome is not None, within_s)
    result["seconds"] = round(time.monotonic() - began, 1)
    ramp = latest(settings)
    result.update(outcome=ramp.outcome or "still running", reason=ramp.reason or (ramp.verdict or {}).get("reason"))
    if ended and fault is not None and ramp.ended_at is not None:
        result["rollback_s"] = round(recorded_at(settings, ramp.ref).timestamp() - faulty_at, 2)
        gone = wait(lambda: lab.status()["canary"] is None, 30)
        result["router_s"] = round(time.time() - faulty_at, 2) if gone else None
    if fault is not None:
        lab.inject(NEW, Fault(kind="none"))
    lab.flush()
    result["exposure"] = exposure(settings, ramp)
    if ramp.outcome is None:
        from cogorch_dagster.policies import canary

        with database.transaction(settings) as connection:
            canary.abort(connection, ramp, ACTOR, "the run is over", {})
    with database.transaction(settings) as connection:
        current = store.active(connection, POLICY)
    if current is not None and current.version != baseline.version:
        roll_back(settings, baseline.version)
    wait(lambda: lab.status()["version"] == baseline.version and lab.status()["canary"] is None, 30)
    return result


def recorded_at(settings: Settings, ref: str) -> datetime:
    """When the audit log recorded the end of a ramp."""
    with database.transaction(settings) as connection:
        found = audit.records(connection, subject=ref, event="canary.rolled_back", limit=1)
        found = found or audit.records(connection, subject=ref, event="version.activated", limit=1)
    return found[0].at


def measure(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    with database.transaction(settings) as connection:
        secret = tokens.issue(connection, "benchmark", ["ingest", "read"])
        plant(connection)
        administration.create_policy(connection, "canary-lab", "canary", actor=ACTOR)
    put_in_force(settings, POLICY, BASELINE)
    put_in_force(settings, "canary-lab", PLAN)
    generator = random.Random(arguments.seed)
    faulty, sound = [], []
    with (
        fleet.running(settings, settings.service_url, secret, secret, policy_id=POLICY, seed=arguments.seed) as lab,
        steady_load(lab.router_url, arguments.rate, arguments.seed * 1_000_000),
    ):
        wait(lambda: lab.status()["counters"].get("requests", 0) > 2 * arguments.rate, 30)
        for number in range(arguments.runs):
            fault = Fault(kind="errors", rate=0.7) if number % 2 == 0 else Fault(kind="hang")
            faulty.append(ramp_once(settings, lab, fault, generator.uniform(*arguments.delay), arguments.within))
            report("fault", faulty[-1])
        for _ in range(arguments.sound):
            sound.append(ramp_once(settings, lab, None, 0.0, arguments.within))
            report("no fault", sound[-1])
    with database.transaction(settings) as connection:
        intact = audit.verify(connection).ok
    return summary(arguments, faulty, sound, intact)


def report(kind: str, result: dict[str, Any]) -> None:
    took = f"back after {result['rollback_s']} s" if "rollback_s" in result else f"{result['seconds']} s"
    print(f"{kind:<9} {result['fault'] or '':<7} {result['outcome']:<12} {took}: {result['reason']}", flush=True)


def summary(
    arguments: argparse.Namespace, faulty: list[dict[str, Any]], sound: list[dict[str, Any]], intact: bool
) -> dict[str, Any]:
    back = [each["rollback_s"] for each in faulty if each["outcome"] == "rolled_back" and "rollback_s" in each]
    done = [each["seconds"] for each in sound if each["outcome"] == "activated"]
    return {
        "runs": arguments.runs,
        "sound_runs": arguments.sound,
        "delay_s": list(arguments.delay),
        "rate": arguments.rate,
        "plan": PLAN,
        "rolled_back": len(back),
        "within_60_s": sum(each <= 60 for each in back),
        "rollback_s": {"median": statistics.median(back), "worst": max(back)} if back else None,
        "within_share": sum(each["exposure"]["within"] for each in [*faulty, *sound]),
        "completed": len(done),
        "completed_s": {"median": statistics.median(done), "worst": max(done)} if done else None,
        "audit_intact": intact,
        "load_1m": os.getloadavg()[0],
        "faulty": faulty,
        "sound": sound,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="with a fault")
    parser.add_argument("--sound", type=int, default=10, help="runs without a fault")
    parser.add_argument("--delay", type=float, nargs=2, default=(2.0, 24.0), help="of the fault, seconds, at random")
    parser.add_argument("--rate", type=float, default=40, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=120, help="longest ramp, seconds")
    parser.add_argument("--json", type=Path, help="also write the result there")
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
        with (settings.home / "service.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "cogorch_dagster.service"], env=environment, stderr=log)
        try:
            wait_ready(settings.service_url)
            found = measure(settings, arguments)
        finally:
            process.terminate()
            process.wait()
            print((settings.home / "service.log").read_text()[-2000:], file=sys.stderr)
            database.dispose()
            postgres.stop(settings, mode="immediate")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    print(
        f"{found['rolled_back']} of {found['runs']} faults rolled back, {found['within_60_s']} within 60 s; "
        f"{found['completed']} of {found['sound_runs']} sound ramps completed"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
