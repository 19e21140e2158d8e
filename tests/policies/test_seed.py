"""The seeds: an installation begins with active, approved, audited documents, and seeding again changes nothing."""

from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, drafts, flags, hyperparameters, kinds, store
from cogorch_dagster.policies.seed import documents, seed
from cogorch_dagster.settings import Settings

AGENTS = ["agent-policy@1.0.0", "agent-consensus@1.0.0", "agent-ethical@1.0.0", "agent-resource@1.0.0"]
SEEDS = ["reward-default@1.0.0", "reward-llm_router@1.0.0", "router-core@1.0.0", *AGENTS]


def test_seeds_are_active_and_audited(settings: Settings) -> None:
    with transaction(settings) as connection:
        assert seed(connection) == SEEDS
    with transaction(settings) as connection:
        assert [each.ref for each in store.versions(connection, status="active")] == sorted(SEEDS)
        router = store.active(connection, "router-core")
        assert router is not None
        assert router.component == "router:core"
        assert set(router.params["modelWeights"]) == {"digits-linear", "digits-forest", "digits-ensemble"}
        assert [each.policy_id for each in store.active_of_kind(connection, "reward")] == [
            "reward-default",
            "reward-llm_router",
        ]
        assert audit.verify(connection).ok


def test_an_installation_of_before_gets_the_hyperparameters_alone(settings: Settings) -> None:
    with transaction(settings) as connection:
        seed(connection)
        draft = drafts.propose_version(connection, "router-core", _routed(connection), actor="ada")
    with transaction(settings) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for table in ("decisions", "policy_versions", "policies"):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE policy_id LIKE 'agent-%'"))
    with transaction(settings) as connection:
        assert seed(connection) == AGENTS
        assert store.version(connection, "router-core", draft.version).status == "draft"


@pytest.mark.parametrize("agent", list(hyperparameters.AGENT_KINDS))
def test_the_seeds_of_agents_are_what_a_training_uses_without_tuning(agent: str) -> None:
    from cogorch_dagster.agents.hyperparameters import params_of
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    seeds = {each["policyId"]: each for each in documents()}
    planted = seeds[hyperparameters.policy_of(agent)]
    kind = hyperparameters.AGENT_KINDS[agent]
    assert (planted["kind"], planted["component"]) == (kind, f"agent:{agent}")
    today = params_of(kind, JointConfiguration().settings_of(agent))  # type: ignore[arg-type]
    assert kinds.validated(kind, planted["params"]) == kinds.validated(kind, today)


def test_the_agents_seeds_wait_for_a_person_at_three_points(settings: Settings) -> None:
    with transaction(settings) as connection:
        seed(connection)
        rules = [store.policy(connection, hyperparameters.policy_of(agent)) for agent in hyperparameters.AGENT_KINDS]
    assert {(each.mode, each.threshold, each.strictness) for each in rules} == {("manual", 0.03, "standard")}


def _routed(connection: sa.Connection) -> dict[str, Any]:
    active = store.active(connection, "router-core")
    assert active is not None
    return {**active.params, "timeoutMs": 2000}


def test_seeding_again_changes_nothing(settings: Settings) -> None:
    with transaction(settings) as connection:
        seed(connection)
        head = audit.verify(connection).head
    with transaction(settings) as connection:
        assert seed(connection) == []
        assert audit.verify(connection).head == head


def test_kill_switch_holds_seeds_back_until_it_is_off(settings: Settings) -> None:
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
        assert seed(connection) == []
        flags.set_flag(connection, flags.LEARNING, True, actor="ada", reason="over")
        assert seed(connection) == SEEDS
