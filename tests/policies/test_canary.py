"""The life of a ramp in the control plane: guarded by triggers, safe in races, under kill -9 and in a rollback."""

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, canary, decisions, drafts, kinds, ramps, store
from cogorch_dagster.policies.activation import Activation, activate
from cogorch_dagster.settings import Settings

PLAN = {
    "stages": [0.1, 0.5, 1.0],
    "stageDurationMs": 1000,
    "minSamples": 10,
    "maxRewardDrop": 0.05,
    "maxErrorRateIncrease": 0.05,
}
EVIDENCE = {"verdict": "better", "reason": "a test"}


def bring(connection: sa.Connection, policy_id: str, params: dict[str, Any]) -> Activation:
    draft = drafts.propose_version(connection, policy_id, params, actor="ada")
    decision = decisions.approve(connection, policy_id, draft.version, "ada", "good")
    return activate(connection, decision.decision_id, "job")


def pace(connection: sa.Connection, policy_id: str = "pace", **changes: Any) -> None:
    administration.create_policy(connection, policy_id, "canary", actor="ada")
    bring(connection, policy_id, {**PLAN, **changes})


@pytest.fixture
def ramp(settings: Settings, router: str, params: Any) -> ramps.Ramp:
    """1.0.1 has 10 % of the traffic of `router-x`, committed."""
    with transaction(settings) as connection:
        pace(connection)
        bring(connection, router, params(0.6))
        return canary.running(connection, router)


def now(settings: Settings) -> tuple[dict[str, str], ramps.Ramp]:
    with transaction(settings) as connection:
        assert audit.verify(connection).ok
        found = ramps.latest(connection, "router-x")
        assert found is not None
        return {each.version: each.status for each in store.versions(connection, "router-x")}, found


def test_without_a_plan_an_activation_is_whole(connection: sa.Connection, rx: str, params: Any) -> None:
    pace(connection, appliesTo="another-router")
    assert bring(connection, rx, params(0.6)).share == 1.0
    assert ramps.ramps(connection) == []


def test_the_own_plan_goes_before_the_default(connection: sa.Connection, rx: str, params: Any) -> None:
    pace(connection)
    pace(connection, "pace-x", appliesTo=rx, stages=[0.2])
    done = bring(connection, rx, params(0.6))
    assert (done.share, done.previous, canary.running(connection, rx).plan.ref) == (0.2, "1.0.0", "pace-x@1.0.0")
    # Only routers split their traffic: nothing else ramps, whatever the default says.
    administration.create_policy(connection, "reward-y", "reward", actor="ada")
    bring(connection, "reward-y", {})
    assert bring(connection, "reward-y", {"base": 0.3}).share == 1.0


def test_a_ramp_ends_in_force(connection: sa.Connection, rx: str, params: Any) -> None:
    pace(connection)
    begun = bring(connection, rx, params(0.6))
    first = canary.running(connection, rx)
    assert (begun.share, first.share, first.next_share) == (0.1, 0.1, 0.5)
    second = canary.advance(connection, first, canary.RULE, "good", EVIDENCE)
    assert isinstance(second, ramps.Ramp) and (second.share, second.next_share) == (0.5, 1.0)
    done = canary.advance(connection, second, canary.RULE, "good", EVIDENCE)
    assert isinstance(done, Activation) and (done.version, done.previous, done.share) == ("1.0.1", "1.0.0", 1.0)
    active = store.active(connection, rx)
    assert active is not None and active.version == "1.0.1"
    assert store.version(connection, rx, "1.0.0").status == "archived"


def test_while_one_ramps_another_waits_and_a_rollback_does_not(connection: sa.Connection, rx: str, params: Any) -> None:
    bring(connection, rx, params(0.7))
    pace(connection)
    bring(connection, rx, params(0.6))
    draft = drafts.propose_version(connection, rx, params(0.8), actor="ada")
    decisions.approve(connection, rx, draft.version, "ada", "good")
    with pytest.raises(Refused) as refusal:
        activate(connection, draft.ref, "job")
    assert refusal.value.reason == "canary_running"
    decision = decisions.rollback(connection, rx, "1.0.0", "ada", "safety")
    activate(connection, decision.decision_id, "ada")
    found = ramps.latest(connection, rx)
    assert found is not None and found.outcome == "rolled_back"
    statuses = {each.version: each.status for each in store.versions(connection, rx)}
    assert statuses == {"1.0.0": "active", "1.0.1": "rolled_back", "1.0.2": "rolled_back", "1.0.3": "expired"}


def test_an_abort_is_a_decision_and_changes_nothing_that_waits(settings: Settings, ramp: ramps.Ramp) -> None:
    with transaction(settings) as connection:
        canary.abort(connection, ramp, "grace", "customers complain", {})
    statuses, ended = now(settings)
    assert statuses == {"1.0.0": "active", "1.0.1": "rolled_back"}
    assert (ended.outcome, ended.reason) == ("rolled_back", "customers complain")
    with transaction(settings) as connection:
        last = decisions.decisions_of(connection, "router-x", "1.0.1")[-1]
        assert (last.action, last.actor, last.waits, last.claimed_by) == ("abort", "grace", False, "grace")
        assert decisions.waiting(connection) == []
    with pytest.raises(Refused, match="no version of router-x ramps"), transaction(settings) as connection:
        canary.abort(connection, ramp, "grace", "again", {})


BY_HAND = {
    "active without its ramp's end": "UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'",
    "canary without an approval": "UPDATE policy_versions SET status = 'canary' WHERE version = '1.0.0'",
    "a smaller share": "UPDATE canary_ramps SET share = 0.05",
    "an edited plan": "UPDATE canary_ramps SET plan = '{}'",
    "a deleted ramp": "DELETE FROM canary_ramps",
    "a truncated table": "TRUNCATE canary_ramps",
    "a ramp out of nothing": """
        INSERT INTO canary_ramps
            (decision_id, policy_id, version, control, plan_ref, plan, step, share,
             started_at, step_started_at, changed_at)
        SELECT gen_random_uuid(), policy_id, version, control, plan_ref, plan, step, share, now(), now(), now()
        FROM canary_ramps""",
}


@pytest.mark.parametrize("statement", BY_HAND.values(), ids=list(BY_HAND))
def test_the_database_refuses_what_goes_round_the_code(settings: Settings, ramp: ramps.Ramp, statement: str) -> None:
    with pytest.raises(sa.exc.IntegrityError), transaction(settings) as connection:
        # The active one out of the way, so that the unique index is not what refuses.
        connection.execute(sa.text("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'"))
        connection.execute(sa.text(statement))


def test_a_version_that_was_rolled_back_comes_back_by_no_update(settings: Settings, ramp: ramps.Ramp) -> None:
    with transaction(settings) as connection:
        canary.abort(connection, ramp, "grace", "enough", {})
    for status in ("active", "canary"):
        with pytest.raises(sa.exc.IntegrityError), transaction(settings) as connection:
            connection.execute(sa.text("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'"))
            connection.execute(
                sa.text("UPDATE policy_versions SET status = :status WHERE version = '1.0.1'"), {"status": status}
            )
    with pytest.raises(sa.exc.IntegrityError), transaction(settings) as connection:
        connection.execute(sa.text("UPDATE canary_ramps SET ended_at = NULL, outcome = NULL"))


def test_of_many_judges_one_moves_the_ramp(settings: Settings, ramp: ramps.Ramp) -> None:
    outcomes: list[str] = []

    def move(action: Any) -> None:
        try:
            with transaction(settings) as connection:
                action(connection, ramp, canary.RULE, "a race", EVIDENCE)
            outcomes.append(action.__name__)
        except Refused as refusal:
            outcomes.append(refusal.reason)

    threads = [
        threading.Thread(target=move, args=(canary.advance if number % 2 else canary.abort,)) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6 and sum(each in ("advance", "abort") for each in outcomes) == 1
    statuses, found = now(settings)
    if "advance" in outcomes:
        assert (statuses["1.0.1"], found.share, found.outcome) == ("canary", 0.5, None)
    else:
        assert (statuses["1.0.1"], found.outcome) == ("rolled_back", "rolled_back")


# Moves the ramp and kills itself right after the server has executed the n-th statement with the given beginning.
PROCESS = """
import sys
from cogorch_dagster.platform import database
from cogorch_dagster.policies import canary
from cogorch_dagster.settings import load_settings
from tests.policies.dying import die_after

action, words, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
die_after(words, nth)
with database.transaction(load_settings()) as connection:
    ramp = canary.running(connection, "router-x")
    getattr(canary, action)(connection, ramp, "judge", "a reason", {})
"""


def test_kill_at_any_point_of_a_move_leaves_the_ramp_before_it(settings: Settings, ramp: ramps.Ramp) -> None:
    def run(action: str, words: str, nth: int) -> int:
        command = [sys.executable, "-c", PROCESS, action, words, str(nth)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

    before = now(settings)
    points = [
        ("advance", "UPDATE canary_ramps", 1),
        ("abort", "UPDATE policy_versions", 1),
        ("abort", "SELECT pg_notify", 1),
    ]
    for action, words, nth in points:
        assert run(action, words, nth) == -signal.SIGKILL, (action, words)
        assert now(settings) == before, (action, words)
    assert run("advance", "never", 1) == 0
    # At the end: killed between the old version's end and the new one's beginning, and then not killed.
    middle = now(settings)
    for words, nth in [("UPDATE policy_versions", 1), ("UPDATE policy_versions", 2), ("SELECT pg_notify", 1)]:
        assert run("advance", words, nth) == -signal.SIGKILL, words
        assert now(settings) == middle, words
    assert run("advance", "never", 1) == 0
    assert now(settings)[0] == {"1.0.0": "archived", "1.0.1": "active"}


def test_a_plan_is_checked() -> None:
    kinds.validated("canary", {**PLAN, "gates": [0.5]})
    with pytest.raises(InvalidInput, match="none of the stages"):
        kinds.validated("canary", {**PLAN, "gates": [0.4]})
