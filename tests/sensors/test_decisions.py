"""Waiting decisions start their activation; candidates without one never do."""

from datetime import timedelta

import dagster as dg
import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, autonomy, decisions, drafts, flags
from cogorch_dagster.settings import Settings
from sensors import attempts
from sensors.decisions import DECISION_TAG, MOST_ATTEMPTS, DecisionsState, waiting_decisions
from tests.dagster_layer import active, approve, definitions, draft, resource, run
from tests.evaluation.traffic import POLICY, bring_into_force, install


@pytest.fixture(autouse=True)
def installed(settings: Settings) -> None:
    install(settings)


@pytest.fixture
def instance() -> dg.DagsterInstance:  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as created:
        yield created


def tick(settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"cogorch": resource(settings)},
        definitions=definitions(settings),
    )
    result = waiting_decisions(context)
    assert isinstance(result, dg.SensorResult)
    DecisionsState.model_validate_json(context.cursor or "")
    return result


def requests(settings: Settings, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    return list(tick(settings, instance).run_requests or [])


def report(settings: Settings, instance: dg.DagsterInstance, request: dg.RunRequest, *, failed: bool) -> None:
    """A run for a request as the instance records it."""
    created = instance.create_run_for_job(definitions(settings).resolve_job_def("activation"), tags=dict(request.tags))
    if failed:
        instance.report_run_failed(created)


def test_a_candidate_without_a_decision_starts_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    draft(settings)
    assert requests(settings, instance) == []


def test_an_approval_starts_its_activation_and_then_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    candidate = draft(settings)
    decision = approve(settings, candidate)
    (request,) = requests(settings, instance)
    assert request.run_key == f"{candidate.ref}:{decision}:1"
    assert request.tags[DECISION_TAG] == decision
    assert run(settings, "activation", instance, config=dict(request.run_config)).success
    assert active(settings) == candidate.version
    assert requests(settings, instance) == []


def test_a_rollback_starts_its_activation_even_while_learning_is_off(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    bring_into_force(settings, POLICY, draft(settings, small=0.41).params | {"timeoutMs": 900})
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
        decisions.rollback(connection, POLICY, "1.0.0", "ada", "it was worse")
    (request,) = requests(settings, instance)
    assert run(settings, "activation", instance, config=dict(request.run_config)).success
    assert active(settings) == "1.0.0"


def test_the_kill_switch_holds_approvals_back_without_a_failing_run(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    approve(settings, draft(settings))
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    result = tick(settings, instance)
    assert not result.run_requests
    assert "1 held back by the kill switch" in str(result.skip_reason)


def test_while_an_attempt_is_under_way_no_other_is_asked_for(settings: Settings, instance: dg.DagsterInstance) -> None:
    approve(settings, draft(settings))
    (request,) = requests(settings, instance)
    report(settings, instance, request, failed=False)
    assert requests(settings, instance) == []


def test_a_failed_attempt_is_repeated_later_under_a_new_key_and_not_for_ever(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(settings, draft(settings))
    (request,) = requests(settings, instance)
    report(settings, instance, request, failed=True)
    assert requests(settings, instance) == [], "the next attempt waits"
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    keys = [request.run_key]
    for _ in range(MOST_ATTEMPTS - 1):
        (request,) = requests(settings, instance)
        keys.append(request.run_key)
        report(settings, instance, request, failed=True)
    assert len(set(keys)) == MOST_ATTEMPTS
    assert requests(settings, instance) == []


def test_each_decision_has_a_run_of_its_own(settings: Settings, instance: dg.DagsterInstance) -> None:
    candidate = draft(settings)
    with transaction(settings) as connection:
        administration.create_policy(connection, "router-other", "router", "router:other", actor="test")
        other = drafts.propose_version(connection, "router-other", candidate.params, actor="test")
    wanted = {approve(settings, candidate), approve(settings, other)}
    assert {request.tags[DECISION_TAG] for request in requests(settings, instance)} == wanted


def test_a_corrupt_cursor_is_survived(settings: Settings, instance: dg.DagsterInstance) -> None:
    approve(settings, draft(settings))
    for cursor in ("{", "[]", '{"after": 7}'):
        assert len(tick(settings, instance, cursor).run_requests or []) == 1


def test_a_policy_that_approves_by_itself_needs_nobody(settings: Settings, instance: dg.DagsterInstance) -> None:
    candidate = draft(settings)
    with transaction(settings) as connection:
        administration.set_mode(connection, POLICY, "autonomous_all", actor="ada", reason="trusted")
        autonomy.apply_mode(connection, POLICY, candidate.version)
    (request,) = requests(settings, instance)
    assert run(settings, "activation", instance, config=dict(request.run_config)).success
    assert active(settings) == candidate.version
