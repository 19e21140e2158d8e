"""kill -9 in the middle of an activation: nothing or everything has happened, and the next run completes."""

import signal
import subprocess
import sys
from typing import Any

import pytest

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings

# Kills itself right after the server has executed the n-th statement that begins with the given words.
PROCESS = """
import sys
import sqlalchemy as sa
from cogorch_dagster.platform import database
from cogorch_dagster.policies import decisions
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import load_settings
from tests.policies.dying import die, die_after

words, nth = sys.argv[1], int(sys.argv[2])
settings = load_settings()
die_after(words, nth)
if words == "COMMIT":
    sa.event.listen(database.engine(settings), "commit", lambda connection: die())
with database.transaction(settings) as connection:
    for decision in decisions.waiting(connection):
        activate(connection, decision.decision_id, "job")
if words == "AFTER COMMIT":
    die()
print("finished")
"""

BEFORE_COMMIT = [
    ("SELECT pg_advisory_xact_lock", 1),
    ("SELECT decisions", 2),
    ("SAVEPOINT", 1),
    ("UPDATE decisions", 1),
    ("UPDATE policy_versions", 1),
    ("UPDATE policy_versions", 2),
    ("INSERT INTO audit_log", 1),
    ("INSERT INTO audit_head", 1),
    ("SELECT pg_notify", 1),
    ("COMMIT", 1),
]


def run_job(words: str, nth: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROCESS, words, str(nth)], capture_output=True, text=True, timeout=60, check=False
    )


def snapshot(settings: Settings) -> Any:
    with transaction(settings) as connection:
        report = audit.verify(connection)
        assert report.ok, report
        return store.versions(connection), decisions.decisions_of(connection, "router-x"), report


def test_kill_at_any_point_of_an_activation(settings: Settings, router: str, params: Any) -> None:
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
        approval = decisions.approve(connection, router, "1.0.1", "ada", "good")
    before = snapshot(settings)
    for words, nth in BEFORE_COMMIT:
        killed = run_job(words, nth)
        assert killed.returncode == -signal.SIGKILL, (words, killed.stderr)
        assert snapshot(settings) == before, words
    assert run_job("AFTER COMMIT", 1).returncode == -signal.SIGKILL
    after = snapshot(settings)
    assert [(each.version, each.status) for each in after[0]] == [("1.0.0", "archived"), ("1.0.1", "active")]
    again = run_job("never", 1)
    assert (again.returncode, again.stdout) == (0, "finished\n"), again.stderr
    assert snapshot(settings) == after
    with pytest.raises(Refused, match="used at"), transaction(settings) as connection:
        activate(connection, approval.decision_id, "job")


def test_the_next_run_completes_what_a_killed_one_began(settings: Settings, router: str, params: Any) -> None:
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
        decisions.approve(connection, router, "1.0.1", "ada", "good")
    assert run_job("UPDATE policy_versions", 2).returncode == -signal.SIGKILL
    assert run_job("never", 1).returncode == 0
    versions, _, _ = snapshot(settings)
    assert [(each.version, each.status) for each in versions] == [("1.0.0", "archived"), ("1.0.1", "active")]
