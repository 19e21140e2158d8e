"""A retraining is asked for when rewards are too low, much is new or the fleet has moved: once, and after a pause."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from assets.partitions import RANGE_END, RANGE_START
from cogorch_dagster.fleet.calibration import store
from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.lake.hours import HOUR
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import flags
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from jobs.schedules import nightly_retraining
from sensors import attempts
from sensors import retraining as module
from sensors.retraining import RetrainingState, retraining_due
from tests.agents_layer import BEGIN, observed
from tests.assets.test_fleet_calibration import longer
from tests.dagster_layer import definitions, draft, resource
from tests.evaluation.traffic import REWARD, install
from tests.sensors.test_low_reward import served


@pytest.fixture
def instance() -> dg.DagsterInstance:  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as created:
        yield created


def tick(
    settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str, str]:
    """Requests, reason of a skip, and the cursor afterwards."""
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"cogorch": resource(settings)}, definitions=definitions(settings)
    )
    result = retraining_due(context)
    assert isinstance(result, dg.SensorResult)
    return list(result.run_requests or []), str(result.skip_reason), context.cursor or ""


def ran(settings: Settings, instance: dg.DagsterInstance, status: DagsterRunStatus) -> None:
    """A retraining that ended so, a moment ago."""
    job = definitions(settings).resolve_job_def("retraining")
    instance.create_run_for_job(job, status=status)


def earning(retrain: float) -> dict[str, Any]:
    return {**REWARD, "minAcceptable": 0.99, "retrain": retrain}


def scored(settings: Settings) -> None:
    hours = materialise.stale_hours(settings)
    materialise.materialise_rewards(settings, hours)
    materialise.materialise_rollups(settings, hours)


def test_a_mean_below_retrain_trains_all_agents_with_a_new_seed(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    install(settings, reward=earning(0.98))
    served(settings)
    ((request,), _, cursor) = tick(settings, instance)
    assert "router-core@1.0.0: mean reward" in request.tags["cogorch/trigger"]
    assert "is below 0.980" in request.tags["cogorch/trigger"]
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("policy", "resource")
    job = definitions(settings).resolve_job_def("retraining")
    assert dg.validate_run_config(job, dict(request.run_config))
    seed = request.run_config["ops"]["agent_checkpoints"]["config"]["seed"]
    assert abs(seed - datetime.now(UTC).timestamp()) < 600

    assert tick(settings, instance, cursor)[0] == [], "the same data have led to a run already"
    ran(settings, instance, DagsterRunStatus.STARTED)
    assert "are being trained" in tick(settings, instance)[1]


def test_a_mean_that_is_only_unacceptable_is_left_to_tuning(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=earning(0.1))
    served(settings)
    assert tick(settings, instance)[0] == []


def test_a_waiting_candidate_is_decided_on_first(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=earning(0.98))
    served(settings)
    draft(settings)
    assert tick(settings, instance)[0] == []


def test_after_a_retraining_it_waits_and_after_a_failure_not_so_long(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(settings, reward=earning(0.98))
    served(settings)
    (_, _, cursor) = tick(settings, instance)
    ran(settings, instance, DagsterRunStatus.FAILURE)
    assert "due at" in tick(settings, instance, cursor)[1]
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    assert len(tick(settings, instance, cursor)[0]) == 1, "a failed run is tried again on the same data"
    for _ in range(module.MOST_ATTEMPTS - 1):
        ran(settings, instance, DagsterRunStatus.FAILURE)
    assert "due at" in tick(settings, instance, cursor)[1], "as long as after a success"
    ran(settings, instance, DagsterRunStatus.SUCCESS)
    served(settings, seed=2)
    assert "due at" in tick(settings, instance, cursor)[1], "new data, but a moment ago"
    monkeypatch.setenv("COGORCH_RETRAINING_PAUSE_HOURS", "0")
    ((_,), _, cursor) = tick(settings, instance, cursor)
    assert tick(settings, instance, cursor)[0] == [], "no pause, but no new data"


def test_much_that_is_new_asks_for_a_retraining(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = observed(settings, hours=2)
    scored(settings)
    monkeypatch.setenv("COGORCH_RETRAINING_ROWS", str(rows + 1))
    assert tick(settings, instance)[0] == []
    monkeypatch.setenv("COGORCH_RETRAINING_ROWS", str(rows))
    ((request,), _, _) = tick(settings, instance)
    assert request.tags["cogorch/trigger"] == f"{rows} observations, none fitted"
    calibrated(settings)
    assert tick(settings, instance)[0] == []
    new = observed(settings, hours=2, seed=5)
    scored(settings)
    monkeypatch.setenv("COGORCH_RETRAINING_ROWS", str(new))
    ((request,), _, _) = tick(settings, instance)
    assert request.tags["cogorch/trigger"] == f"{new} new observations since the last calibration"


def test_a_fleet_that_moved_asks_for_a_retraining_and_is_looked_at_once_an_hour(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed(settings, hours=3)
    scored(settings)
    calibrated(settings)
    requests, reason, cursor = tick(settings, instance)
    assert requests == [] and "no new reason" in reason
    state = RetrainingState.model_validate_json(cursor)
    assert state.drift_at is not None and state.drift_seen == state.seen != ""

    observed(settings, default_parameters().model_copy(update={"tenants": longer()}), hours=3, seed=1)
    scored(settings)
    assert tick(settings, instance, cursor)[0] == [], "looked at a moment ago"
    monkeypatch.setattr(module, "LOOK_EVERY", timedelta(0))
    ((request,), _, cursor) = tick(settings, instance, cursor)
    assert "of tenant chat moved away from the calibration" in request.tags["cogorch/trigger"]
    assert tick(settings, instance, cursor)[0] == [], "nothing was scored since"


def test_the_kill_switch_and_a_corrupt_cursor(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings, reward=earning(0.98))
    served(settings, count=100)
    for cursor in ("{", '{"drift_at": "soon"}'):
        assert len(tick(settings, instance, cursor)[0]) == 1
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    requests, reason, _ = tick(settings, instance)
    assert requests == [] and "kill switch" in reason
    assert isinstance(night(settings, instance), dg.SkipReason)


def test_every_night_with_new_observations_is_a_training_of_its_own(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert "nothing was observed" in str(night(settings, instance))
    observed(settings, hours=1)
    request = night(settings, instance)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "nightly:2026-03-01"
    assert request.run_config["ops"]["agent_checkpoints"]["config"]["seed"] == 20260301
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("policy", "resource")
    calibrated(settings)
    assert "nothing was observed" in str(night(settings, instance))


def calibrated(settings: Settings) -> None:
    """A calibration on everything so far."""
    with transaction(settings) as connection:
        store.save(connection, calibrate(settings, BEGIN, datetime.now(UTC) + HOUR))


def night(settings: Settings, instance: dg.DagsterInstance) -> Any:
    at = datetime(2026, 3, 1, 1, 41, tzinfo=UTC)
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, resources={"cogorch": resource(settings)}
    )
    return nightly_retraining(context)
