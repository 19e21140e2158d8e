"""Lineage: the whole chain, and every broken link named."""

from datetime import UTC, datetime

import pytest

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.lineage import Lineage, lineage
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.settings import Settings

EVIDENCE = {
    "ci95": [0.04, 0.09],
    "reward": {"policy_id": "reward-llm_router", "version": "1.0.0"},
    "hours": ["2026-01-01T11:00:00+00:00", "2026-01-01T10:00:00Z"],
    "sources": {"inbox": 900, "gentd26": 100},
}


@pytest.fixture
def improved(settings: Settings) -> str:
    """router-core@1.0.1, proposed with evidence, approved and active."""
    with transaction(settings) as connection:
        seed(connection)
        base = store.version(connection, "router-core", "1.0.0").params
        weights = {"digits-linear": 0.5, "digits-forest": 0.3, "digits-ensemble": 0.2}
        drafts.propose_version(connection, "router-core", {**base, "modelWeights": weights}, EVIDENCE, actor="rule:x")
        decisions.approve(connection, "router-core", "1.0.1", "ada", "good")
        activate(connection, "router-core@1.0.1", "ada")
    return "1.0.1"


def read(settings: Settings, version: str) -> Lineage:
    with transaction(settings) as connection:
        return lineage(connection, "router-core", version)


def test_the_whole_chain(settings: Settings, improved: str) -> None:
    found = read(settings, improved)
    assert found.problems == ()
    assert [each.ref for each in found.ancestors] == ["router-core@1.0.0"]
    assert [(each.action, each.actor) for each in found.decisions] == [("approve", "ada")]
    assert found.evidence == EVIDENCE
    assert found.reward is not None and found.reward.ref == "reward-llm_router@1.0.0"
    assert found.hours == (datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC))
    assert found.sources == {"gentd26": 100, "inbox": 900}
    assert [each.event for each in found.records] == ["version.proposed", "version.approved", "version.activated"]


def test_a_seeded_version_has_no_evidence(settings: Settings, improved: str) -> None:
    found = read(settings, "1.0.0")
    assert (found.evidence, found.reward, found.hours, found.sources, found.problems) == (None, None, (), {}, ())


BROKEN = [
    ("UPDATE policy_versions SET evidence = evidence || '{\"ci95\": [0.4, 0.9]}' WHERE version = '1.0.1'",
     "evidence is not what was recorded"),
    ("UPDATE policy_versions SET params = params || '{\"timeoutMs\": 9}' WHERE version = '1.0.1'", "edited"),
    ("UPDATE policy_versions SET evidence = evidence || '{\"reward\": {\"policy_id\": \"reward-llm_router\", "
     "\"version\": \"9.0.0\"}}' WHERE version = '1.0.1'", "does not exist"),
    ("UPDATE policy_versions SET evidence = evidence || '{\"hours\": [\"noon\"]}' WHERE version = '1.0.1'",
     "'noon', which is not an hour"),
    ("DELETE FROM decisions WHERE version = '1.0.1'", "active without a used decision"),
    ("DELETE FROM audit_log WHERE event = 'version.activated'", "without a record of the activation"),
    ("DELETE FROM audit_log WHERE event = 'version.proposed'", "no record of the proposal"),
]  # fmt: skip


def test_broken_links_are_named(settings: Settings, improved: str) -> None:
    for edit, problem in BROKEN:
        with transaction(settings) as superuser:
            superuser.exec_driver_sql("SET LOCAL session_replication_role = replica")
            superuser.exec_driver_sql(edit)
            found = lineage(superuser, "router-core", improved)
            superuser.rollback()
        assert any(problem in each for each in found.problems), edit
    assert read(settings, improved).problems == ()


def test_unknown_versions_are_refused(settings: Settings, improved: str) -> None:
    with pytest.raises(Refused, match=r"no version 3\.0\.0"):
        read(settings, "3.0.0")
