"""Ramps in Dagster: the run that shows them, the check that warns, the sensor that judges where no service does."""

import dagster as dg
import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import canary
from cogorch_dagster.settings import Settings
from sensors.ramps import running_ramps
from tests.canary.ramping import begin, running, send, statuses
from tests.dagster_layer import definitions, metadata, resource, run


def tick(settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[dg.SensorResult, str]:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"cogorch": resource(settings)}, definitions=definitions(settings)
    )
    result = running_ramps(context)
    assert isinstance(result, dg.SensorResult)
    return result, context.cursor or ""


def test_a_run_judges_a_ramp_and_shows_why_it_went_back(settings: Settings) -> None:
    ramp = begin(settings)
    send(settings, ramp, 300, seed=1)
    result = run(settings, "canary_step")
    assert result.success
    shown = metadata(result, "canary")
    assert shown["outcome"] == "router-x@1.0.1 held at 10%" and shown["running"] == 1
    (row,) = shown["ramps"]
    assert (row["version"], row["control"], row["state"], row["waits_for"]) == (
        "router-x@1.0.1",
        "1.0.0",
        "ramping",
        "samples",
    )
    (check,) = result.get_asset_check_evaluations()
    assert check.passed and check.check_name == "canaries_sound"

    send(settings, ramp, 2500, seed=2, after=300, errors=(0.02, 0.6))
    result = run(settings, "canary_step")
    assert result.success and metadata(result, "canary")["outcome"] == "router-x@1.0.1 rolled_back at 10%"
    guardrails = {each["guardrail"]: each["state"] for each in metadata(result, "canary")["guardrails"]}
    assert guardrails["error_rate"] == "breached"
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed and check.severity is dg.AssetCheckSeverity.WARN
    assert "router-x@1.0.1 was rolled back at 10%: Worse" in str(check.description)


def test_the_sensor_judges_what_nobody_judges_and_asks_for_a_run_once(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(settings, instance)[0].run_requests == []
        ramp = begin(settings)
        send(settings, ramp, 2500, seed=3, errors=(0.02, 0.6))
        result, cursor = tick(settings, instance)
        assert statuses(settings)["1.0.1"] == "rolled_back"
        assert len(result.run_requests or []) == 1
        again, _ = tick(settings, instance, cursor)
        assert again.run_requests == [] and again.skip_reason is not None


def test_the_sensor_leaves_to_the_service_what_it_judges(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = begin(settings)
    with transaction(settings) as connection:
        canary.note(
            connection, ramp, {"verdict": "not_enough_data", "reason": "judged just now", "waits_for": "traffic"}
        )
    send(settings, ramp, 2500, seed=4, errors=(0.02, 0.6))
    with dg.DagsterInstance.ephemeral() as instance:
        tick(settings, instance)
    assert running(settings).outcome is None
