"""The whole lab against a real service: what is observed is what happened, whatever is switched, killed or hung."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa
from scipy.stats import chisquare

from cogorch_dagster.errors import InvalidInput, Unavailable
from cogorch_dagster.lab import digits, faults, fleet, load
from cogorch_dagster.lab.faults import Fault
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.conftest import cloned
from tests.lab.installation import judged, observed, put_in_force, serving

LINEAR, FOREST, ENSEMBLE = "digits-linear", "digits-forest", "digits-ensemble"
BEFORE = {LINEAR: 0.2, FOREST: 0.2, ENSEMBLE: 0.6}
AFTER = {LINEAR: 0.1, FOREST: 0.7, ENSEMBLE: 0.2}

# Only what hangs takes as long, however busy the cores are.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Running:
    """A lab with its service, and what one needs to start another beside it."""

    settings: Settings
    lab: fleet.Fleet
    arguments: tuple[str, str, str]


@pytest.fixture(scope="module")
def running(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The lab that tests share which end nothing for good: its five processes take as long to start as to be asked."""
    folder = tmp_path_factory.mktemp("lab")
    with (
        cloned(server, folder / "home") as settings,
        serving(settings, folder) as arguments,
        fleet.running(settings, *arguments, seed=3) as lab,
    ):
        yield Running(settings, lab, arguments)


def follow(running: Running, **changes: Any) -> str:
    """Put a change in force and wait until the router goes by it; its version."""
    version = put_in_force(running.settings, **changes)
    _wait(lambda: running.lab.status()["version"] == version)
    return version


def test_a_switch_of_versions_under_load_fails_no_request(running: Running) -> None:
    settings, lab = running.settings, running.lab
    switched: list[str] = []

    def switch_once(progress: load.LoadProgress) -> None:
        if not switched and progress.sent >= 50:
            switched.append(put_in_force(settings, modelWeights=AFTER))

    follow(running, modelWeights=BEFORE, timeoutMs=20_000.0)
    begun = lab.status()
    report = load.run(lab.router_url, rate=60, count=250, seed=11, progress=switch_once)
    status = lab.status()
    assert lab.flush()
    with pytest.raises(Unavailable, match="already runs"), fleet.running(settings, *running.arguments):
        pass
    assert (report.sent, report.ok, report.failed, report.feedback_failed) == (250, 250, 0, 0)
    assert set(report.by_version) == {begun["version"], *switched}
    assert status["version"] == switched[0] and status["applied_at_ms"] > begun["applied_at_ms"]

    rows, quality = observed(settings), judged(settings)
    assert len(rows) == len({row["decision_id"] for row in rows}) == 250
    assert Counter(row["policy_version"] for row in rows) == report.by_version
    assert Counter(row["action"] for row in rows) == report.by_model
    for version, weights in ((begun["version"], BEFORE), (switched[0], AFTER)):
        mine = [row for row in rows if row["policy_version"] == version]
        assert all(row["propensity"] == pytest.approx(weights[row["action"]]) for row in mine)
        drawn = Counter(row["action"] for row in mine)
        expected = [weight * len(mine) for weight in weights.values()]
        assert chisquare([drawn[arm] for arm in weights], expected).pvalue > 0.001
    assert sum(quality[row["observation_id"]] for row in rows) / 250 == pytest.approx(report.accuracy)
    assert 0.9 < report.accuracy < 1
    for row in rows:
        assert row["outcome"] == "success" and row["component"] == "router:core"
        assert row["duration_ms"] > row["queue_ms"] >= 0 and row["cost_amount"] > 0
    mean_cost = {arm: _mean(row["cost_amount"] for row in rows if row["action"] == arm) for arm in BEFORE}
    assert mean_cost[LINEAR] < mean_cost[FOREST] < mean_cost[ENSEMBLE] / 4


def test_every_attempt_through_kill_hang_and_errors_is_observed(running: Running) -> None:
    settings, lab = running.settings, running.lab
    weights = {LINEAR: 0.2, FOREST: 0.3, ENSEMBLE: 0.5}
    every = ["error", "timeout", "rate_limit"]
    with transaction(settings) as connection:
        connection.execute(sa.text("TRUNCATE inbox_observations"))
    before = _attempts(lab, ENSEMBLE)

    def ask(until: Callable[[], bool], expected: int = 200) -> None:
        for _ in range(60):
            assert _ask(lab.router_url).status_code == expected
            if until():
                return
        raise AssertionError("60 requests did not bring it about")

    follow(running, modelWeights=weights, fallbackOn=every, timeoutMs=20_000.0, cooldownMs=600_000.0)
    # A killed server: the first draw of it fails over, from then on it rests.
    lab.inject(ENSEMBLE, Fault(kind="kill"))
    ask(lambda: ENSEMBLE in lab.status()["cooling"])
    assert _attempts(lab, ENSEMBLE) == before | {"failure": before.get("failure", 0) + 1}
    # An erring server, switched on as somebody at a shell would.
    faults.inject(settings, FOREST, Fault(kind="errors", rate=1.0))
    ask(lambda: FOREST in lab.status()["cooling"])
    # The last one stops answering: everything was tried, the request fails, and nothing hides it.
    lab.inject(LINEAR, Fault(kind="hang"))
    follow(running, timeoutMs=500.0)
    assert _ask(lab.router_url).status_code == 502
    assert lab.status()["cooling"] == sorted(weights)
    # All rest, all are well again: a doubtful arm is asked rather than none.
    follow(running, timeoutMs=20_000.0, fallbackOn=[])
    lab.restart(ENSEMBLE)
    lab.inject(FOREST, Fault(kind="none"))
    lab.inject(LINEAR, Fault(kind="none"))
    assert _ask(lab.router_url).status_code == 200
    # The policy falls back on nothing now and passes the failure on after one attempt.
    for arm in weights:
        lab.inject(arm, Fault(kind="errors", rate=1.0))
    assert _ask(lab.router_url).json()["attempts"] == 1
    with pytest.raises(InvalidInput, match="digits-oracle"):
        lab.inject("digits-oracle", Fault(kind="hang"))
    assert lab.flush()

    told = _told(settings, weights)
    killed = next(i for i, attempts in enumerate(told) if attempts[0]["action"] == ENSEMBLE)
    assert (told[killed][0]["outcome"], told[killed][0]["error_type"]) == ("failure", "ConnectError")
    assert told[killed][0]["action_set"] == sorted(weights) and told[killed][1]["outcome"] == "success"
    erring = next(i for i, attempts in enumerate(told) if attempts[0].get("error_type") == "http_500")
    assert (told[erring][0]["action"], told[erring][0]["http_status"]) == (FOREST, 500)
    for attempts in told[killed + 1 : erring + 1]:
        assert attempts[0]["action_set"] == [FOREST, LINEAR]
    hung, well, passed_on = told[-3:]
    assert len(hung) == 3 and hung[0]["action"] == LINEAR
    assert (hung[0]["outcome"], hung[0]["propensity"]) == ("timeout", 1.0)
    assert hung[0]["duration_ms"] >= 500
    assert hung[1]["action_set"] == [ENSEMBLE, FOREST] and json.loads(hung[1]["tags"]) == {"all_cooling": True}
    assert well[0]["action_set"] == sorted(weights) and well[0]["outcome"] == "success"
    assert [row["error_type"] for row in passed_on] == ["http_500"]


def test_nothing_outlives_its_parent(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, tmp_path) as (url, ingest, read):
        _end_under_load(signal.SIGKILL, url, ingest, read)
        # What the file names is gone, and that is said; a new lab starts all the same.
        with pytest.raises(Unavailable, match="does not take the fault"):
            faults.inject(settings, LINEAR, Fault(kind="hang"))
        errors = _end_under_load(signal.SIGINT, url, ingest, read)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    with pytest.raises(Unavailable, match="No lab runs"):
        faults.inject(settings, LINEAR, Fault(kind="hang"))


def _end_under_load(number: signal.Signals, *arguments: str) -> str:
    """Signal a process that runs a lab under load, check that the whole lab ends, and return what it said last."""
    command = [sys.executable, "-c", PARENT, *arguments]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 4 and all(psutil.pid_exists(pid) for pid in pids)
        assert parent.stdout.readline() == "under load\n"
        parent.send_signal(number)
        _, errors = parent.communicate(timeout=PATIENCE_S)
    finally:
        parent.kill()
    _wait(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    return errors


PARENT = """
import sys
from cogorch_dagster.lab import fleet, load
from cogorch_dagster.settings import load_settings
url, ingest, read = sys.argv[1:]
with fleet.running(load_settings(), url, ingest, read) as lab:
    print(*lab.pids.values(), flush=True)
    said = []
    def progress(now):
        if now.ok and not said:
            said.append(print("under load", flush=True))
    load.run(lab.router_url, rate=20, count=100_000, seed=1, progress=progress)
"""


def _told(settings: Settings, weights: dict[str, float]) -> list[list[dict[str, Any]]]:
    """The attempts of each request in order, after checking what holds for all of them."""
    decisions: dict[str, list[dict[str, Any]]] = {}
    for row in observed(settings):
        decisions.setdefault(row["decision_id"], []).append(row)
        total = sum(weights[arm] for arm in row["action_set"])
        assert row["propensity"] == pytest.approx(weights[row["action"]] / total)
    for attempts in decisions.values():
        assert [row["attempt"] for row in attempts] == list(range(1, len(attempts) + 1))
        assert all(row["outcome"] != "success" for row in attempts[:-1])
        assert len({row["action"] for row in attempts}) == len(attempts)
        for earlier, later in pairwise(attempts):
            assert earlier["action"] not in later["action_set"]
    return list(decisions.values())


def _ask(router_url: str) -> httpx.Response:
    question = {"pixels": digits.split()[1].pixels[0].tolist(), "tenant": "tests"}
    return httpx.post(f"{router_url}/v1/classify", json=question, timeout=30, trust_env=False)


def _attempts(lab: fleet.Fleet, arm: str) -> dict[str, int]:
    prefix = f"attempts.{arm}."
    counters: dict[str, int] = lab.status()["counters"]
    return {name.removeprefix(prefix): count for name, count in counters.items() if name.startswith(prefix)}


def _wait(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def _mean(values: Any) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
