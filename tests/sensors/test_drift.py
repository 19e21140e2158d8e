"""A look is asked for when hours are scored, tuning once for each regime change; incidents hold decisions back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import findings, flags
from cogorch_dagster.settings import Settings
from sensors import drift as module
from sensors.decisions import waiting_decisions
from sensors.drift import new_scores, regime_changes
from tests.dagster_layer import approve, definitions, draft, metadata, resource, run
from tests.evaluation.traffic import POLICY, install
from tests.sensors.test_low_reward import served

NOW = datetime.now(UTC)


@pytest.fixture
def instance() -> dg.DagsterInstance:  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as created:
        yield created


def tick(sensor: Any, settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"cogorch": resource(settings)}, definitions=definitions(settings)
    )
    result = sensor(context)
    return list(result.run_requests or []), str(result.skip_reason), context.cursor or ""


def found(settings: Settings, **changes: Any) -> findings.Finding:
    values = {
        "sort": "regime",
        "component": "router:core",
        "metric": "reward",
        "kind": "level",
        "began_at": NOW - timedelta(hours=5),
        "known_at": NOW - timedelta(hours=1),
        "ended_at": None,
        "size": -1.4,
        "before": 0.8,
        "after": 0.7,
        "details": {"explanations": [], "coincides_with": None},
    }
    with transaction(settings) as connection:
        return findings.insert(connection, [{**values, **changes}])[0]


def test_a_regime_change_asks_once_for_a_proposal_that_the_job_can_run(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    install(settings)
    assert tick(regime_changes, settings, instance)[0] == []
    served(settings, count=1200)
    change = found(settings)
    ((request,), _, cursor) = tick(regime_changes, settings, instance)
    assert request.tags["cogorch/finding"] == str(change.finding_id)
    assert tick(regime_changes, settings, instance, cursor)[0] == []
    result = run(settings, "tuning", instance, config=dict(request.run_config))
    assert result.success and metadata(result, "policy_versions")["outcome"] == f"{POLICY}: proposed"


def test_an_intended_change_of_the_mix_asks_for_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings)
    found(settings, metric="mix:small", details={"coincides_with": f"{POLICY}@1.0.0"})
    found(settings, component="router:other")
    found(settings, known_at=NOW - timedelta(days=3))
    assert tick(regime_changes, settings, instance)[0] == []
    found(settings, metric="mix:small", details={"coincides_with": None})
    assert len(tick(regime_changes, settings, instance)[0]) == 1


def test_a_waiting_candidate_and_the_kill_switch_put_it_off(settings: Settings, instance: dg.DagsterInstance) -> None:
    install(settings)
    found(settings)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    requests, reason, cursor = tick(regime_changes, settings, instance)
    assert requests == [] and "kill switch" in reason
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, True, actor="ada", reason="over")
    version = draft(settings)
    assert tick(regime_changes, settings, instance, cursor)[0] == []
    assert version.status == "draft"


def test_a_look_is_asked_for_when_hours_were_scored(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(settings)
    served(settings, count=60)
    ((request,), _, cursor) = tick(new_scores, settings, instance)
    assert request.run_key
    assert tick(new_scores, settings, instance, cursor)[0] == [], "a moment ago"
    monkeypatch.setattr(module, "LOOK_EVERY", timedelta(0))
    assert tick(new_scores, settings, instance, cursor)[0] == [], "nothing new"
    found(settings, sort="incident", kind="incident")
    assert len(tick(new_scores, settings, instance, cursor)[0]) == 1, "an open incident must be able to end"
    result = run(settings, "watch", instance)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert "reward of router:core" in str(check.description) and not check.passed


def test_an_open_incident_holds_an_approval_back_until_it_ends(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    install(settings)
    approve(settings, draft(settings))
    incident = found(settings, sort="incident", kind="incident", metric="failures")
    requests, reason, cursor = tick(waiting_decisions, settings, instance)
    assert requests == [] and "held back by an open incident" in reason
    with transaction(settings) as connection:
        findings.close(connection, incident.finding_id, actor="ada", reason="over")
    assert len(tick(waiting_decisions, settings, instance, cursor)[0]) == 1
