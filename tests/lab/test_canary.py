"""A ramp on real processes: service, router, servers, load. A fault of the new version alone takes it back."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scipy.stats import binom

from cogorch_dagster.lab import fleet, load
from cogorch_dagster.lab.faults import Fault
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, canary, decisions, drafts, ramps, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings
from tests.lab.installation import observed, serving

POLICY = "router-core"
PLAN = {
    "stages": [0.2, 0.5, 1.0],
    "stageDurationMs": 1000,
    "minSamples": 40,
    "maxRewardDrop": 0.15,
    "maxErrorRateIncrease": 0.15,
    "maxLatencyIncrease": None,
    "maxCostIncrease": None,
}


def router(linear: float) -> dict[str, Any]:
    """Only a version with weight on the forest meets the forest's faults."""
    return {
        "modelWeights": {"digits-linear": linear, "digits-forest": 1 - linear},
        "latencyTargetMs": 200,
        "maxCostUsd": 0.002,
        "fallbackOn": [],
        "cooldownMs": 0,
        "timeoutMs": 2000,
    }


def put_in_force(settings: Settings, policy_id: str, params: dict[str, Any]) -> str:
    with transaction(settings) as connection:
        draft = drafts.propose_version(connection, policy_id, params, actor="tests")
        decision = decisions.approve(connection, policy_id, draft.version, "tests", "the test wants it")
        activate(connection, decision.decision_id, "tests")
    return draft.version


@contextmanager
def under_load(url: str, rate: float) -> Iterator[None]:
    """Requests until the end, from a thread."""
    ended = threading.Event()

    def send() -> None:
        seed = 0
        while not ended.is_set():
            seed += 1
            load.run(url, rate=rate, count=int(rate * 2), seed=seed)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def latest(settings: Settings) -> ramps.Ramp:
    with transaction(settings) as connection:
        found = ramps.latest(connection, POLICY)
    assert found is not None
    return found


def test_a_faulty_version_is_taken_back_and_a_sound_one_comes_into_force(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, tmp_path) as (url, ingest, read):
        with transaction(settings) as connection:
            administration.create_policy(connection, "pace", "canary", actor="tests")
        baseline = put_in_force(settings, POLICY, router(1.0))
        put_in_force(settings, "pace", PLAN)
        with fleet.running(settings, url, ingest, read, seed=5) as lab, under_load(lab.router_url, 40):
            faulty = put_in_force(settings, POLICY, router(0.1))
            wait(lambda: lab.status()["canary"] == {"version": faulty, "share": 0.2}, 20, "the router splits")
            lab.inject("digits-forest", Fault(kind="errors", rate=1.0))
            begun = time.monotonic()
            wait(lambda: latest(settings).outcome is not None, 60, "the rollback")
            wait(lambda: lab.status()["canary"] is None, 60 - (time.monotonic() - begun), "the router goes by it")
            back = latest(settings)
            lab.inject("digits-forest", Fault(kind="none"))

            sound = put_in_force(settings, POLICY, router(0.1))
            wait(lambda: latest(settings).outcome is not None, 120, "the end of the ramp")
            done = latest(settings)
            wait(lambda: lab.status()["version"] == sound, 20, "the router switches")
            assert lab.flush()
    assert (back.version, back.outcome, done.version, done.outcome) == (faulty, "rolled_back", sound, "activated")
    with transaction(settings) as connection:
        assert audit.verify(connection).ok
        assert store.version(connection, POLICY, baseline).status == "archived"
        why = audit.records(connection, subject=back.ref, event="canary.rolled_back")[0]
        went = audit.records(connection, subject=done.ref, event="canary.advanced")
    assert why.actor == canary.RULE and why.payload["evidence"]["verdict"] in ("worse", "invalid")
    assert "Worse" in why.payload["reason"] and why.payload["evidence"]["n_canary"] >= PLAN["minSamples"]
    assert [(each.payload["from"], each.payload["to"]) for each in reversed(went)] == [(0.2, 0.5), (0.5, 1.0)]
    _require_shares_kept(observed(settings), {faulty, sound})


def _require_shares_kept(rows: list[dict[str, Any]], versions: set[str]) -> None:
    """At each share no more requests than that went to the canary, and each row's propensity is the mixture's."""
    asked: Counter[tuple[str, float]] = Counter()
    exposed: Counter[tuple[str, float]] = Counter()
    for row in rows:
        tags = json.loads(row.get("tags") or "{}")
        if "canary" not in tags:
            assert row["propensity"] in (1.0, 0.9, 0.1) or row["policy_version"] not in versions
            continue
        key = (tags["canary"], tags["canary_share"])
        asked[key] += 1
        exposed[key] += row["policy_version"] == tags["canary"]
        forest = tags["canary_share"] * 0.9
        assert abs(row["propensity"] - (forest if row["action"] == "digits-forest" else 1 - forest)) < 1e-9
    assert {version for version, _ in asked} == versions
    for key, count in asked.items():
        assert exposed[key] <= binom.isf(1e-4, count, key[1]), (key, exposed[key], count)
