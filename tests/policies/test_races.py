"""Twenty activations at once, through the engine and around it: exactly one wins, the others learn why not."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, decisions, drafts, flags, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings

RACERS = 20
GATE = 4711

# Each process has five racers; each racer stops at the gate with its transaction open.
PROCESS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import psycopg

how, url, decision_id, gate = sys.argv[1:]

def engine(number):
    import sqlalchemy as sa
    from cogorch_dagster.errors import Refused
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies.activation import activate
    from cogorch_dagster.settings import load_settings
    try:
        with transaction(load_settings()) as connection:
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock_shared({gate})"))
            activate(connection, decision_id, f"engine-{number}")
    except Refused as refusal:
        return refusal.reason
    return "won"

def raw(number):
    with psycopg.connect(url) as connection:
        connection.execute(f"SELECT pg_advisory_xact_lock_shared({gate})")
        claimed = connection.execute(
            "UPDATE decisions SET claimed_at = now(), claimed_by = 'raw' WHERE decision_id = %s "
            "AND claimed_at IS NULL AND superseded_at IS NULL RETURNING policy_id, version", [decision_id]
        ).fetchone()
        if claimed is None:
            return "already_claimed"
        connection.execute("UPDATE policy_versions SET status = 'archived' WHERE policy_id = %s AND status = 'active'",
                           [claimed[0]])
        connection.execute("UPDATE policy_versions SET status = 'active', activated_at = now() "
                           "WHERE policy_id = %s AND version = %s", list(claimed))
    return "won"

with ThreadPoolExecutor(5) as pool:
    print(json.dumps(list(pool.map({"engine": engine, "raw": raw}[how], range(5)))))
"""


@pytest.fixture
def approved(settings: Settings, router: str, params: Any) -> decisions.Decision:
    """The waiting approval of router-x@1.0.1."""
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
        return decisions.approve(connection, router, "1.0.1", "ada", "good")


def race(settings: Settings, start: Callable[[], Any]) -> Any:
    """Close the gate, start the racers, open it once all of them wait."""
    with psycopg.connect(postgres.server_url(settings, settings.database), autocommit=True) as gate:
        gate.execute(f"SELECT pg_advisory_lock({GATE})")
        started = start()
        for _ in range(1200):
            waiting = gate.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                [GATE],
            ).fetchone()
            if waiting == (RACERS,):
                break
            time.sleep(0.05)
        assert waiting == (RACERS,)
        gate.execute(f"SELECT pg_advisory_unlock({GATE})")
    return started


def assert_one_activation(settings: Settings) -> None:
    with transaction(settings) as connection:
        statuses = Counter((each.version, each.status) for each in store.versions(connection, "router-x"))
        assert statuses == Counter([("1.0.0", "archived"), ("1.0.1", "active")])
        assert decisions.waiting(connection) == []
        assert audit.verify(connection).ok


def run_threads(settings: Settings, racer: Callable[[int], str]) -> Counter[str]:
    with ThreadPoolExecutor(RACERS) as pool:
        futures = race(settings, lambda: [pool.submit(racer, number) for number in range(RACERS)])
        return Counter(future.result(timeout=60) for future in futures)


def test_threads_through_the_engine(settings: Settings, approved: decisions.Decision) -> None:
    def racer(number: int) -> str:
        # Half of them name the decision, half the version.
        target = approved.decision_id if number % 2 else approved.ref
        try:
            with transaction(settings) as connection:
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock_shared({GATE})"))
                activate(connection, target, f"racer-{number}")
        except Refused as refused:
            return refused.reason
        return "won"

    assert run_threads(settings, racer) == {"won": 1, "already_claimed": RACERS - 1}
    assert_one_activation(settings)
    with transaction(settings) as connection:
        assert len(audit.records(connection, event="version.activated", subject="router-x@1.0.1")) == 1


def test_blind_sql_that_does_not_look_whether_the_decision_is_used(
    settings: Settings, approved: decisions.Decision
) -> None:
    url = postgres.server_url(settings, settings.database)

    def racer(number: int) -> str:
        try:
            with psycopg.connect(url) as connection:
                connection.execute(f"SELECT pg_advisory_xact_lock_shared({GATE})")
                connection.execute("UPDATE decisions SET claimed_at = now() WHERE version = '1.0.1'")
                connection.execute("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'")
                connection.execute("UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'")
        except psycopg.errors.RestrictViolation as error:
            return str(error.diag.message_primary).partition(" is ")[2]
        return "won"

    assert run_threads(settings, racer) == {"won": 1, "immutable and is used at most once": RACERS - 1}
    assert_one_activation(settings)


def test_processes_through_the_engine_and_by_raw_sql_together(settings: Settings, approved: decisions.Decision) -> None:
    url = postgres.server_url(settings, settings.database)

    def start() -> list[subprocess.Popen[str]]:
        return [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, how, url, str(approved.decision_id), str(GATE)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for how in ("engine", "raw", "engine", "raw")
        ]

    processes = race(settings, start)
    outcomes: Counter[str] = Counter()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        outcomes.update(json.loads(output))
    assert outcomes == {"won": 1, "already_claimed": RACERS - 1}
    assert_one_activation(settings)


def test_approvals_at_once_leave_one_waiting_decision(settings: Settings, router: str, params: Any) -> None:
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")

    def racer(number: int) -> str:
        try:
            with transaction(settings) as connection:
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock_shared({GATE})"))
                decisions.approve(connection, router, "1.0.1", f"racer-{number}", "good")
        except Refused as refused:
            return refused.reason
        return "won"

    assert run_threads(settings, racer) == {"won": 1, "already_approved": RACERS - 1}
    with transaction(settings) as connection:
        assert len(decisions.waiting(connection)) == 1


def test_proposals_at_once_get_numbers_of_their_own(settings: Settings, router: str, params: Any) -> None:
    def racer(number: int) -> str:
        with transaction(settings) as connection:
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock_shared({GATE})"))
            return drafts.propose_version(connection, router, params(number / 100), actor=f"racer-{number}").version

    numbers = run_threads(settings, racer)
    assert sorted(numbers, key=lambda each: int(each.split(".")[2])) == [f"1.0.{n}" for n in range(1, RACERS + 1)]
    with transaction(settings) as connection:
        assert [each.version for each in store.versions(connection, router, "draft")] == [f"1.0.{RACERS}"]
        assert audit.verify(connection).ok


def test_nobody_claims_a_decision_while_an_activation_looks_at_it(
    settings: Settings, approved: decisions.Decision, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.server_url(settings, settings.database)
    held = flags.require_learning

    def claimed_meanwhile(connection: sa.Connection, what: str) -> None:
        held(connection, what)
        with psycopg.connect(url) as raw, pytest.raises(psycopg.errors.LockNotAvailable):
            raw.execute("SET lock_timeout = '100ms'")
            raw.execute("UPDATE decisions SET claimed_at = now() WHERE version = '1.0.1'")

    monkeypatch.setattr(flags, "require_learning", claimed_meanwhile)
    with transaction(settings) as connection:
        activate(connection, approved.decision_id, "ada")
    assert_one_activation(settings)
