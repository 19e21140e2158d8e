"""Proposing, deciding, modes and the kill switch, one rule per test."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import CogorchError, InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, autonomy, decisions, drafts, flags, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings


def refusal(error: type[CogorchError] = Refused, reason: str | None = None, match: str | None = None) -> Any:
    def check(raised: CogorchError) -> bool:
        return reason is None or (isinstance(raised, Refused) and raised.reason == reason)

    return pytest.raises(error, match=match, check=check)


def turn_learning(connection: sa.Connection, value: bool) -> None:
    flags.set_flag(connection, flags.LEARNING, value, actor="ada", reason="test")


def test_a_proposal_bumps_the_patch_and_expires_the_older_draft(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    first = drafts.propose_version(connection, rx, params(0.6), {"ci95": [0.1, 0.2]}, actor="rule:x")
    second = drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    assert (first.version, first.status, first.parent, first.evidence) == (
        "1.0.1", "draft", "1.0.0", {"ci95": [0.1, 0.2]},
    )  # fmt: skip
    assert second.version == "1.0.2"
    assert store.version(connection, rx, "1.0.1").status == "expired"
    assert drafts.propose_version(connection, rx, params(0.8), actor="ada", bump="minor").version == "1.1.0"
    assert drafts.propose_version(connection, rx, params(0.9), actor="ada", bump="major").version == "2.0.0"
    with refusal(reason="expired"):
        decisions.approve(connection, rx, "1.0.1", "ada", "too late")


def test_the_same_proposal_again_is_the_same_draft(connection: sa.Connection, rx: str, params: Any) -> None:
    first = drafts.propose_version(connection, rx, params(0.6), {"ci95": [0.1, 0.2]}, actor="rule:x")
    assert drafts.propose_version(connection, rx, params(0.6), {"ci95": [0.1, 0.2]}, actor="rule:x") == first
    other = drafts.propose_version(connection, rx, params(0.6), {"ci95": [0.1, 0.3]}, actor="rule:x")
    assert other.version == "1.0.2"


def test_an_expired_proposal_may_come_back_under_a_new_number(connection: sa.Connection, rx: str, params: Any) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="ada")
    drafts.propose_version(connection, rx, params(0.7), actor="ada")
    assert drafts.propose_version(connection, rx, params(0.6), actor="ada").version == "1.0.3"


def test_proposals_that_are_refused(connection: sa.Connection, rx: str, params: Any) -> None:
    with refusal(reason="no_change"):
        drafts.propose_version(connection, rx, params(0.5), actor="ada")
    with refusal(reason="unknown_policy", match="known policies: router-x"):
        drafts.propose_version(connection, "nobody", params(), actor="ada")
    with refusal(reason="unknown_version"):
        drafts.propose_version(connection, rx, params(0.6), parent="0.9.0", actor="ada")
    drafts.propose_version(connection, rx, params(0.6), actor="ada")
    with refusal(reason="stale_parent", match=r"1\.0\.0 is active"):
        drafts.propose_version(connection, rx, params(0.7), parent="1.0.1", actor="ada")
    with refusal(InvalidInput, match="sum to"):
        drafts.propose_version(connection, rx, params(modelWeights={"a": 0.9}), actor="ada")
    with refusal(InvalidInput, match="finite"):
        drafts.propose_version(connection, rx, params(0.6), {"ci95": [float("nan"), 1]}, actor="ada")
    assert len(store.versions(connection, rx)) == 2


def test_policies_are_created_once_with_a_known_kind(connection: sa.Connection, rx: str) -> None:
    with refusal(reason="policy_exists"):
        administration.create_policy(connection, rx, "router", actor="ada")
    with refusal(InvalidInput, match="unknown kind 'toaster'"):
        administration.create_policy(connection, "new", "toaster", actor="ada")
    with refusal(InvalidInput, match="policy id 'Not Good'"):
        administration.create_policy(connection, "Not Good", "router", actor="ada")
    with refusal(InvalidInput, match="threshold must be 0 to 1"):
        administration.create_policy(connection, "new", "router", threshold=2, actor="ada")
    assert [each.policy_id for each in store.policies(connection)] == [rx]


def test_approval_names_digest_actor_and_reason(connection: sa.Connection, rx: str, params: Any) -> None:
    draft = drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    with refusal(reason="digest_mismatch", match="names sha256:0"):
        decisions.approve(connection, rx, "1.0.1", "ada", "looks good", digest="sha256:0")
    with refusal(InvalidInput, match="reason must have"):
        decisions.approve(connection, rx, "1.0.1", "ada", "  ")
    with refusal(reason="unknown_version", match=r"latest are: 1\.0\.0, 1\.0\.1"):
        decisions.approve(connection, rx, "1.0.7", "ada", "looks good")
    decision = decisions.approve(connection, rx, "1.0.1", "ada", "looks good", digest=draft.digest)
    assert (decision.digest, decision.actor, decision.reason, decision.waits) == (
        draft.digest,
        "ada",
        "looks good",
        True,
    )
    assert store.version(connection, rx, "1.0.1").status == "approved"
    assert decisions.waiting(connection) == [decision]
    with refusal(reason="already_approved"):
        decisions.approve(connection, rx, "1.0.1", "bob", "me too")


def test_approval_of_edited_parameters_is_refused(settings: Settings, router: str, params: Any, unguarded: Any) -> None:
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.6), actor="rule:x")
    unguarded("UPDATE policy_versions SET params = jsonb_set(params, '{timeoutMs}', '9') WHERE version = '1.0.1'")
    with refusal(reason="digest_mismatch", match="edited"), transaction(settings) as connection:
        decisions.approve(connection, router, "1.0.1", "ada", "looks good")


def test_the_latest_approval_counts(connection: sa.Connection, rx: str, params: Any) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    old = decisions.approve(connection, rx, "1.0.1", "ada", "good")
    drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    assert store.version(connection, rx, "1.0.1").status == "approved"
    new = decisions.approve(connection, rx, "1.0.2", "ada", "better")
    assert decisions.waiting(connection, rx) == [new]
    assert store.version(connection, rx, "1.0.1").status == "expired"
    with refusal(reason="superseded"):
        activate(connection, old.decision_id, "ada")


def test_rejection_ends_a_draft_and_takes_back_an_approval(connection: sa.Connection, rx: str, params: Any) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    decisions.reject(connection, rx, "1.0.1", "ada", "too bold")
    assert store.version(connection, rx, "1.0.1").status == "rejected"
    with refusal(reason="rejected"):
        decisions.approve(connection, rx, "1.0.1", "bob", "but still")
    drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    approval = decisions.approve(connection, rx, "1.0.2", "ada", "good")
    with refusal(reason="digest_mismatch"):
        decisions.reject(connection, rx, "1.0.2", "bob", "no", digest="sha256:0")
    decisions.reject(connection, rx, "1.0.2", "bob", "on second thoughts")
    assert decisions.waiting(connection) == []
    for target, reason in ((approval.decision_id, "superseded"), (f"{rx}@1.0.2", "rejected")):
        with refusal(reason=reason):
            activate(connection, target, "ada")
    with refusal(reason="already_active"):
        decisions.reject(connection, rx, "1.0.0", "ada", "hm")


def test_rollback_returns_to_an_older_version_and_needs_a_new_decision_each_time(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    with refusal(reason="already_active"):
        decisions.rollback(connection, rx, "1.0.0", "ada", "hm")
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    with refusal(reason="never_active"):
        decisions.rollback(connection, rx, "1.0.1", "ada", "hm")
    decisions.approve(connection, rx, "1.0.1", "ada", "good")
    activate(connection, f"{rx}@1.0.1", "ada")
    decision = decisions.rollback(connection, rx, "1.0.0", "ada", "errors doubled")
    done = activate(connection, decision.decision_id, "ada")
    assert (done.version, done.previous) == ("1.0.0", "1.0.1")
    assert store.version(connection, rx, "1.0.1").status == "rolled_back"
    with refusal(reason="not_a_draft"):
        decisions.approve(connection, rx, "1.0.1", "ada", "again")
    with refusal(reason="already_claimed"):
        activate(connection, f"{rx}@1.0.1", "ada")
    decisions.rollback(connection, rx, "1.0.1", "ada", "it was the network")
    assert activate(connection, f"{rx}@1.0.1", "ada").previous == "1.0.0"
    assert store.version(connection, rx, "1.0.0").status == "rolled_back"
    assert audit.verify(connection).ok


def test_a_rollback_overrides_a_waiting_approval(connection: sa.Connection, rx: str, params: Any) -> None:
    for number, share in (("1.0.1", 0.6), ("1.0.2", 0.7)):
        drafts.propose_version(connection, rx, params(share), actor="rule:x")
        decisions.approve(connection, rx, number, "ada", "good")
        if number == "1.0.1":
            activate(connection, f"{rx}@1.0.1", "ada")
    rollback = decisions.rollback(connection, rx, "1.0.0", "ada", "stop")
    assert decisions.waiting(connection) == [rollback]
    assert store.version(connection, rx, "1.0.2").status == "expired"


def test_activation_expires_drafts_that_were_compared_with_the_old_version(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    decisions.approve(connection, rx, "1.0.1", "ada", "good")
    drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    activate(connection, f"{rx}@1.0.1", "ada")
    assert store.version(connection, rx, "1.0.2").status == "expired"


def test_drafts_expire_with_age(connection: sa.Connection, rx: str, params: Any) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    assert drafts.expire_drafts(connection, timedelta(hours=1)) == []
    assert [each.ref for each in drafts.expire_drafts(connection, timedelta(0))] == ["router-x@1.0.1"]
    assert store.version(connection, rx, "1.0.1").status == "expired"
    assert audit.records(connection)[0].event == "version.expired"
    with refusal(InvalidInput, match="negative"):
        drafts.expire_drafts(connection, timedelta(seconds=-1))


@pytest.mark.parametrize(
    ("mode", "evidence", "approved_by"),
    [
        ("manual", {"ci95": [0.5, 0.6]}, None),
        ("autonomous_threshold", {"ci95": [0.05, 0.2]}, "rule:autonomous_threshold"),
        ("autonomous_threshold", {"ci95": [0.0499, 0.2]}, None),
        ("autonomous_threshold", {"ci95": ["0.9", 1]}, None),
        ("autonomous_threshold", {"ci95": [True, 1]}, None),
        ("autonomous_threshold", {"ci95": []}, None),
        ("autonomous_threshold", {"method": "off_policy", "ci95": [0.05, 0.2]}, "rule:autonomous_threshold"),
        ("autonomous_threshold", {"method": "simulated", "ci95": [0.5, 0.6]}, None),
        ("autonomous_all", {"method": "simulated", "ci95": [0.5, 0.6]}, None),
        ("autonomous_threshold", None, None),
        ("autonomous_all", None, "rule:autonomous_all"),
    ],
)
def test_modes(
    connection: sa.Connection, rx: str, params: Any, mode: store.Mode, evidence: Any, approved_by: str | None
) -> None:
    administration.set_mode(connection, rx, mode, threshold=0.05, actor="ada", reason="trial")
    drafts.propose_version(connection, rx, params(0.6), evidence, actor="rule:x")
    decision = autonomy.apply_mode(connection, rx, "1.0.1")
    assert (decision and decision.actor) == approved_by
    assert autonomy.apply_mode(connection, rx, "1.0.1") is None


def test_a_rule_does_not_override_a_waiting_decision(connection: sa.Connection, rx: str, params: Any) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    decisions.approve(connection, rx, "1.0.1", "ada", "good")
    drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    administration.set_mode(connection, rx, "autonomous_all", actor="ada", reason="trial")
    assert autonomy.apply_mode(connection, rx, "1.0.2") is None


def test_mode_changes_are_recorded(connection: sa.Connection, rx: str) -> None:
    changed = administration.set_mode(
        connection, rx, "autonomous_threshold", threshold=0.1, actor="ada", reason="trust"
    )
    assert (changed.mode, changed.threshold) == ("autonomous_threshold", 0.1)
    assert audit.records(connection)[0].payload == {
        "from": {"mode": "manual", "threshold": 0.03},
        "to": {"mode": "autonomous_threshold", "threshold": 0.1},
        "reason": "trust",
    }
    with refusal(InvalidInput, match="none of manual"):
        administration.set_mode(connection, rx, "yolo", actor="ada", reason="x")  # type: ignore[arg-type]


def test_kill_switch_stops_learning_but_neither_people_nor_rollback(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    decisions.approve(connection, rx, "1.0.1", "ada", "good")
    activate(connection, f"{rx}@1.0.1", "ada")
    drafts.propose_version(connection, rx, params(0.7), actor="rule:x")
    administration.set_mode(connection, rx, "autonomous_all", actor="ada", reason="trial")
    turn_learning(connection, False)
    with refusal(reason="learning_disabled", match="kill switch"):
        drafts.propose_version(connection, rx, params(0.8), actor="ada")
    with refusal(reason="learning_disabled"):
        autonomy.apply_mode(connection, rx, "1.0.2")
    decisions.approve(connection, rx, "1.0.2", "ada", "for later")
    with refusal(reason="learning_disabled"):
        activate(connection, f"{rx}@1.0.2", "ada")
    decisions.rollback(connection, rx, "1.0.0", "ada", "stop")
    assert activate(connection, f"{rx}@1.0.0", "ada").previous == "1.0.1"


def test_an_approval_made_while_learning_is_off_is_activated_once_it_is_on(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    turn_learning(connection, False)
    decisions.approve(connection, rx, "1.0.1", "ada", "for later")
    turn_learning(connection, True)
    assert activate(connection, f"{rx}@1.0.1", "ada").version == "1.0.1"
