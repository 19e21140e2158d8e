"""A mean reward below its limit asks for a proposal, damped in time and by new data."""

from datetime import timedelta

import dagster as dg
import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import flags
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from sensors import low_reward as module
from sensors.low_reward import LowRewardState, low_reward
from tests.dagster_layer import definitions, draft, metadata, resource, run
from tests.evaluation.traffic import POLICY, REWARD, ROUTER, START, WEIGHTS, bring_into_force, generate, install


@pytest.fixture
def instance() -> dg.DagsterInstance:  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as created:
        yield created


def served(settings: Settings, seed: int = 1, count: int = 400) -> None:
    """Traffic of the router, stored and scored."""
    generate(WEIGHTS, count, seed=seed, start=START + timedelta(minutes=10 * seed)).store(settings)
    hours = materialise.stale_hours(settings)
    materialise.materialise_rewards(settings, hours)
    materialise.materialise_rollups(settings, hours)


def tick(
    settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str, str]:
    """Requests, reason of a skip, and the cursor afterwards."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"cogorch": resource(settings)},
        definitions=definitions(settings),
    )
    result = low_reward(context)
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or []), str(result.skip_reason), context.cursor or ""


def acceptable(limit: float) -> dict[str, object]:
    return {**REWARD, "minAcceptable": limit, "retrain": 0.1}


def test_an_acceptable_mean_asks_for_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.2))
    served(settings)
    assert tick(settings, instance)[0] == []


def test_a_low_mean_asks_for_a_proposal_that_the_job_can_run(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings, count=1200)
    ((request,), _, cursor) = tick(settings, instance)
    assert "is below 0.990" in request.tags["cogorch/trigger"]
    assert LowRewardState.model_validate_json(cursor).asked[POLICY].seen
    result = run(settings, "tuning", instance, config=dict(request.run_config))
    assert result.success
    assert metadata(result, "policy_versions")["outcome"] == f"{POLICY}: proposed"


def test_it_asks_again_only_after_a_while_and_with_new_data(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings)
    ((first,), _, cursor) = tick(settings, instance)
    assert tick(settings, instance, cursor)[0] == [], "a moment ago"
    served(settings, seed=2)
    assert tick(settings, instance, cursor)[0] == [], "new data, but a moment ago"
    monkeypatch.setattr(module, "QUIET", timedelta(0))
    ((second,), _, cursor) = tick(settings, instance, cursor)
    assert second.run_key != first.run_key
    assert tick(settings, instance, cursor)[0] == [], "long ago, but no new data"


def test_few_observations_say_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings, count=20)
    assert tick(settings, instance)[0] == []


def test_a_waiting_candidate_needs_a_decision_and_not_another_one(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings)
    draft(settings)
    assert tick(settings, instance)[0] == []


def test_the_kill_switch_stops_it(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    requests, reason, _ = tick(settings, instance)
    assert requests == [] and "kill switch" in reason


def test_another_version_is_judged_by_its_own_observations(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings)
    bring_into_force(settings, POLICY, {**ROUTER, "timeoutMs": 900})
    assert tick(settings, instance)[0] == [], "the low mean is that of the version before"


def test_a_corrupt_cursor_is_survived(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=acceptable(0.99))
    served(settings, count=100)
    for cursor in ("{", '{"asked": []}', '{"asked": {"router-core": {"at": "soon"}}}'):
        assert len(tick(settings, instance, cursor)[0]) == 1
