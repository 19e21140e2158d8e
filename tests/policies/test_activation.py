"""Activation: what it does in its one transaction, and every reason for which it refuses and changes nothing."""

import uuid
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.replacement import CHANNEL
from cogorch_dagster.settings import Settings


@pytest.fixture
def approved(settings: Settings, router: str, params: Any) -> decisions.Decision:
    """The waiting approval of router-x@1.0.1."""
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
        return decisions.approve(connection, router, "1.0.1", "ada", "good")


def refused(settings: Settings, target: uuid.UUID | str) -> str:
    """The reason of the refusal, after checking that it left no trace."""
    with transaction(settings) as connection:
        before = (store.versions(connection), decisions.decisions_of(connection, "router-x"), audit.verify(connection))
        with pytest.raises(Refused) as caught:
            activate(connection, target, "bob")
        after = (store.versions(connection), decisions.decisions_of(connection, "router-x"), audit.verify(connection))
    assert before == after
    return caught.value.reason


def test_activation_changes_everything_at_once_and_notifies_at_commit(
    settings: Settings, approved: decisions.Decision
) -> None:
    url = postgres.server_url(settings, settings.database)
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        with transaction(settings) as connection:
            done = activate(connection, approved.decision_id, "bob")
            assert list(listener.notifies(timeout=0.1)) == []
        assert [each.payload for each in listener.notifies(timeout=5, stop_after=1)] == ["router-x"]
    assert (done.policy_id, done.version, done.previous) == ("router-x", "1.0.1", "1.0.0")
    assert done.decision_id == approved.decision_id
    with transaction(settings) as connection:
        new, old = store.version(connection, "router-x", "1.0.1"), store.version(connection, "router-x", "1.0.0")
        assert (new.status, new.activated_at, new.ended_at) == ("active", done.activated_at, None)
        assert old.status == "archived"
        assert old.ended_at is not None
        used = decisions.decision(connection, approved.decision_id)
        assert used.claimed_by == "bob"
        assert decisions.waiting(connection) == []
        records = audit.records(connection, limit=2)
        assert [(each.event, each.subject) for each in records] == [
            ("version.activated", "router-x@1.0.1"), ("version.archived", "router-x@1.0.0"),
        ]  # fmt: skip
        assert records[0].payload["decision_id"] == str(approved.decision_id)
        assert audit.verify(connection).ok


def test_a_draft_is_not_activated(settings: Settings, router: str, params: Any) -> None:
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
    assert refused(settings, "router-x@1.0.1") == "not_approved"


def test_unknown_targets(settings: Settings, router: str) -> None:
    assert refused(settings, uuid.uuid4()) == "unknown_decision"
    assert refused(settings, "router-x@3.0.0") == "unknown_version"
    assert refused(settings, "nobody@1.0.0") == "unknown_policy"
    with (
        pytest.raises(InvalidInput, match="neither a decision id nor a reference"),
        transaction(settings) as connection,
    ):
        activate(connection, "latest", "bob")


def test_a_decision_is_used_once(settings: Settings, approved: decisions.Decision) -> None:
    with transaction(settings) as connection:
        activate(connection, str(approved.decision_id), "bob")
    assert refused(settings, approved.decision_id) == "already_claimed"
    assert refused(settings, "router-x@1.0.1") == "already_claimed"


def test_a_used_decision_does_not_revive_what_was_rolled_back(settings: Settings, approved: decisions.Decision) -> None:
    with transaction(settings) as connection:
        activate(connection, approved.decision_id, "bob")
        decisions.rollback(connection, "router-x", "1.0.0", "ada", "worse")
        activate(connection, "router-x@1.0.0", "bob")
    assert refused(settings, approved.decision_id) == "already_claimed"
    assert refused(settings, "router-x@1.0.1") == "already_claimed"


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE policy_versions SET params = jsonb_set(params, '{timeoutMs}', '9') WHERE version = '1.0.1'",
        "UPDATE policy_versions SET digest = 'sha256:0' WHERE version = '1.0.1'",
        "UPDATE decisions SET digest = 'sha256:0' WHERE version = '1.0.1'",
    ],
)
def test_an_edited_digest_is_refused(
    settings: Settings, approved: decisions.Decision, unguarded: Any, edit: str
) -> None:
    unguarded(edit)
    assert refused(settings, approved.decision_id) == "digest_mismatch"


def test_params_and_digest_edited_together_do_not_match_the_decision(
    settings: Settings, approved: decisions.Decision, unguarded: Any, params: Any
) -> None:
    unguarded(
        "UPDATE policy_versions SET (params, digest) = (SELECT params, digest FROM policy_versions "
        "WHERE version = '1.0.0') WHERE version = '1.0.1'"
    )
    assert refused(settings, approved.decision_id) == "digest_mismatch"


def test_rollback_to_an_edited_version_is_refused(
    settings: Settings, approved: decisions.Decision, unguarded: Any
) -> None:
    with transaction(settings) as connection:
        activate(connection, approved.decision_id, "bob")
        back = decisions.rollback(connection, "router-x", "1.0.0", "ada", "worse")
    unguarded("UPDATE policy_versions SET params = jsonb_set(params, '{timeoutMs}', '9') WHERE version = '1.0.0'")
    assert refused(settings, back.decision_id) == "digest_mismatch"


def test_a_parent_that_is_not_active_any_more_is_refused(
    settings: Settings, approved: decisions.Decision, unguarded: Any
) -> None:
    unguarded("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'")
    assert refused(settings, approved.decision_id) == "stale_parent"


@pytest.mark.parametrize("status", ["draft", "archived", "rejected", "expired", "rolled_back", "active"])
def test_an_approval_activates_only_an_approved_version(
    settings: Settings, approved: decisions.Decision, unguarded: Any, status: str
) -> None:
    unguarded("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'")
    unguarded("UPDATE policy_versions SET status = :status WHERE version = '1.0.1'", status=status)
    assert refused(settings, approved.decision_id) == "not_approved"


DIRECT_EDITS = [
    "UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'",
    "UPDATE policy_versions SET params = params || '{\"timeoutMs\": 9}'",
    "UPDATE policy_versions SET digest = 'sha256:0'",
    "UPDATE policy_versions SET evidence = '{}'",
    "UPDATE policy_versions SET parent = '0.0.1'",
    "UPDATE policy_versions SET created_by = 'eve'",
    "UPDATE policy_versions SET version = '9.9.9' WHERE version = '1.0.1'",
    "DELETE FROM policy_versions WHERE version = '1.0.1'",
    "TRUNCATE policy_versions CASCADE",
    "INSERT INTO policy_versions SELECT policy_id, '7.0.0', params, digest, parent, evidence, 'active', created_at, "
    "created_by, activated_at, ended_at FROM policy_versions WHERE version = '1.0.0'",
    "INSERT INTO policy_versions SELECT policy_id, '7.0.0', params, digest, parent, evidence, 'approved', created_at, "
    "created_by, activated_at, ended_at FROM policy_versions WHERE version = '1.0.0'",
    "UPDATE decisions SET digest = 'sha256:0'",
    "UPDATE decisions SET actor = 'eve' WHERE version = '1.0.1'",
    "UPDATE decisions SET claimed_at = NULL WHERE version = '1.0.0'",
    "DELETE FROM decisions",
    "TRUNCATE decisions",
]


def test_the_database_refuses_edits_by_hand(settings: Settings, approved: decisions.Decision) -> None:
    with transaction(settings) as connection:
        before = (store.versions(connection), decisions.decisions_of(connection, "router-x"))
    for sql in DIRECT_EDITS:
        with pytest.raises(sa.exc.IntegrityError), transaction(settings) as connection:
            connection.execute(sa.text("UPDATE policy_versions SET status = 'archived' WHERE status = 'active'"))
            connection.execute(sa.text(sql))
    with transaction(settings) as connection:
        assert (store.versions(connection), decisions.decisions_of(connection, "router-x")) == before


def test_a_claim_of_an_earlier_transaction_activates_nothing(settings: Settings, approved: decisions.Decision) -> None:
    with transaction(settings) as connection:
        connection.execute(sa.text("UPDATE decisions SET claimed_at = now() WHERE version = '1.0.1'"))
    with pytest.raises(sa.exc.IntegrityError, match="claimed here"), transaction(settings) as connection:
        connection.execute(sa.text("UPDATE policy_versions SET status = 'archived' WHERE version = '1.0.0'"))
        connection.execute(sa.text("UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'"))


def test_two_active_versions_are_impossible_even_without_triggers(
    settings: Settings, approved: decisions.Decision, unguarded: Any
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="policy_versions_one_active"):
        unguarded("UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'")
