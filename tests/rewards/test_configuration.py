from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.kinds import AppliesTo, RewardParams
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.rewards.configuration import BUILT_IN, RewardConfig, RewardConfigs, active_configurations
from cogorch_dagster.settings import Settings
from tests.rewards.samples import activate


def config(policy_id: str, **applies_to: str) -> RewardConfig:
    target = AppliesTo(**applies_to) if applies_to else None
    return RewardConfig(policy_id, "1.0.0", f"sha256:{policy_id}", RewardParams(applies_to=target))


def test_the_most_specific_configuration_holds() -> None:
    default, kind, own = config("d"), config("k", component_kind="service"), config("c", component="svc")
    for order in ((default, kind, own), (own, kind, default)):
        configs = RewardConfigs(order)
        assert configs.resolve("svc", "service") is own
        assert configs.resolve("svc", "cell") is own
        assert configs.resolve("other", "service") is kind
        assert configs.resolve("other", "cell") is default


def test_without_any_the_defaults_of_the_design_hold() -> None:
    found = RewardConfigs().resolve("x", "cell")
    assert found == BUILT_IN
    params = found.params
    assert (params.base, params.success_weight, params.latency_weight, params.cost_weight, params.error_weight) == (
        *(0.25, 0.6, 0.25),
        *(0.2, 0.6),
    )
    assert (params.max_latency_ms, params.max_cost_usd, params.min_acceptable, params.retrain) == (4000, 0.1, 0.55, 0.4)


def test_seeding_the_default_changes_nothing_that_was_scored_before(settings: Settings) -> None:
    with transaction(settings) as connection:
        before = active_configurations(connection).resolve("svc", "service")
        seed(connection)
        after = active_configurations(connection).resolve("svc", "service")
    assert (before.policy_id, before.version, before.digest) == (after.policy_id, after.version, after.digest)


def test_only_what_is_active_counts_and_the_last_activated_holds(settings: Settings) -> None:
    activate(settings, "reward-a", {"appliesTo": {"componentKind": "cell"}, "base": 0.3})
    activate(settings, "reward-b", {"appliesTo": {"componentKind": "cell"}, "base": 0.2})
    assert activate(settings, "reward-a", {"appliesTo": {"componentKind": "cell"}, "base": 0.28}) == "1.0.1"
    with transaction(settings) as connection:
        configs = active_configurations(connection)
    assert {(each.policy_id, each.version) for each in configs.configs} == {
        ("reward-a", "1.0.1"),
        ("reward-b", "1.0.0"),
    }
    found = configs.resolve("any", "cell")
    assert (found.policy_id, found.version, found.params.base) == ("reward-a", "1.0.1", 0.28)
