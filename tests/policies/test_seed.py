"""The seeds: an installation begins with active, approved, audited documents, and seeding again changes nothing."""

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, flags, store
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.settings import Settings

SEEDS = ["reward-default@1.0.0", "reward-llm_router@1.0.0", "router-core@1.0.0"]


def test_seeds_are_active_and_audited(settings: Settings) -> None:
    with transaction(settings) as connection:
        assert seed(connection) == SEEDS
    with transaction(settings) as connection:
        assert [each.ref for each in store.versions(connection, status="active")] == SEEDS
        router = store.active(connection, "router-core")
        assert router is not None
        assert router.component == "router:core"
        assert set(router.params["modelWeights"]) == {"digits-linear", "digits-forest", "digits-ensemble"}
        assert [each.policy_id for each in store.active_of_kind(connection, "reward")] == [
            "reward-default",
            "reward-llm_router",
        ]
        assert audit.verify(connection).ok


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
