"""An agent that fell asks for one search, unless something waits to be decided on, and after a pause for another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import drafts, flags, store
from cogorch_dagster.settings import Settings
from sensors import attempts
from sensors import falling_agents as module
from sensors.falling_agents import AGENT_TAG, falling_agents
from tests.dagster_layer import definitions, resource
from tests.serving.hyperparameters import plant, seeded_params
from tests.serving.test_falling import trained
from tests.serving.test_watching import earn

JOB = "hyperparameter_tuning"


@pytest.fixture
def instance() -> dg.DagsterInstance:  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as created:
        yield created


def tick(settings: Settings, instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str]:
    """Requests, and the reason of a skip."""
    context = dg.build_sensor_context(instance=instance, resources={"cogorch": resource(settings)})
    result = falling_agents(context)
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or []), str(result.skip_reason)


def searched(settings: Settings, instance: dg.DagsterInstance, status: DagsterRunStatus, agent: str = "ethical") -> Any:
    """A search for an agent that ended so, a moment ago."""
    job = definitions(settings).resolve_job_def(JOB)
    return instance.create_run_for_job(job, status=status, tags={AGENT_TAG: agent})


def test_a_fall_asks_for_one_search_that_the_job_can_run(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert "no agent's returns fell" in tick(settings, instance)[1]
    trained(settings, {0: 0.9, 1: 0.7})
    ((request,), _) = tick(settings, instance)
    assert request.partition_key == "ethical" and "0.7000" in request.tags["cogorch/trigger"]
    job = definitions(settings).resolve_job_def(JOB)
    assert dg.validate_run_config(job, dict(request.run_config))
    run = searched(settings, instance, DagsterRunStatus.STARTED)
    assert "are being searched" in tick(settings, instance)[1]
    instance.report_run_canceled(run)
    assert "its pause" in tick(settings, instance)[1]


def test_a_training_is_answered_once_and_a_newer_one_after_the_pause(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(settings, {0: 0.9, 1: 0.7})
    searched(settings, instance, DagsterRunStatus.SUCCESS)
    monkeypatch.setattr(module, "QUIET", timedelta(0))
    assert "its pause" in tick(settings, instance)[1], "the search has seen that training"
    minutes = int((datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() // 60) + 2
    trained(settings, {minutes: 0.5})
    assert len(tick(settings, instance)[0]) == 1
    monkeypatch.setattr(module, "QUIET", timedelta(hours=12))
    assert "its pause" in tick(settings, instance)[1]


def test_agents_that_fell_together_are_searched_one_after_the_other(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    plant(settings)
    earn(settings, 0.9, 30, seconds=-60)
    earn(settings, 0.7, 12, seconds=-50)
    order = []
    for _ in range(4):
        ((request,), _) = tick(settings, instance)
        assert request.partition_key is not None
        order.append(request.partition_key)
        searched(settings, instance, DagsterRunStatus.SUCCESS, request.partition_key)
    assert order == ["policy", "consensus", "ethical", "resource"]
    assert "4 agents fell" in tick(settings, instance)[1]


def test_a_failed_search_is_tried_again_sooner(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(settings, {0: 0.9, 1: 0.7})
    searched(settings, instance, DagsterRunStatus.FAILURE)
    assert tick(settings, instance)[0] == [], "half a minute later at the earliest"
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    assert len(tick(settings, instance)[0]) == 1, "the same fall, and no twelve hours later"


def test_what_waits_is_decided_on_first_and_the_kill_switch_holds(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    plant(settings)
    trained(settings, {0: 0.9, 1: 0.7})
    with transaction(settings) as connection:
        params = seeded_params("ethical") | {"clip": 0.25}
        draft = drafts.propose_version(connection, "agent-ethical", params, actor="bob")
    assert "waits for a decision" in tick(settings, instance)[1]
    with transaction(settings) as connection:
        store.lock_policy(connection, "agent-ethical")
        store.expire(connection, [draft], actor="ada", why="not wanted")
    assert len(tick(settings, instance)[0]) == 1
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    assert "kill switch" in tick(settings, instance)[1]
