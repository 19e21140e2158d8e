"""A check's verdict stands on every version of the checkpoints it is about, and only what passed is a candidate."""

from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.aliases import promote
from cogorch_dagster.registry.tags import BEATS_STATIC
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import agent_name, register_agents
from cogorch_dagster.tuning.verdicts import mark
from tests.tuning.registered_training import short_fleet, trained


def held(settings: Settings, name: str) -> list[tuple[int, str | None, tuple[str, ...]]]:
    return [(each.version, each.tags.get(BEATS_STATIC), each.aliases) for each in registry.versions(settings, name)]


def test_a_verdict_marks_all_versions_of_a_checkpoint_and_makes_or_ends_a_candidacy(mlflow_database: Settings) -> None:
    settings, name = mlflow_database, agent_name("policy")
    first, second = (trained(settings, seed=seed, learning=("policy",)).agents for seed in (0, 1))
    for agents, study in ((first, None), (first, "s1"), (second, None)):
        register_agents(settings, agents, short_fleet(), study=study)
    before = registry.find(settings, f"{name}@2")
    digests = {"policy": first["policy"].digest}

    assert mark(settings, digests, BEATS_STATIC, True) == {"policy": f"{name}@2"}
    assert held(settings, name) == [(3, None, ()), (2, "yes", ("candidate",)), (1, "yes", ())]
    after = registry.find(settings, f"{name}@2")
    assert (after.digest, after.params, after.metrics) == (before.digest, before.params, before.metrics)
    assert dict(after.tags) == {**before.tags, BEATS_STATIC: "yes"}

    mark(settings, digests, BEATS_STATIC, False)
    assert held(settings, name) == [(3, None, ()), (2, "no", ()), (1, "no", ())]

    promote(settings, name, 3)
    mark(settings, {"policy": second["policy"].digest}, BEATS_STATIC, True)
    assert held(settings, name)[0] == (3, "yes", ("champion",)), "no candidate beside itself"
    assert mark(settings, {"ethical": "sha256:" + 64 * "0"}, BEATS_STATIC, True) == {}
