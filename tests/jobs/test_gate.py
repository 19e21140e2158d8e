"""Review and rollback as a person starts them from the web interface."""

from typing import Any

import dagster as dg
import pytest

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, flags, store
from cogorch_dagster.settings import Settings
from tests.dagster_layer import active, approve, draft, failure, plain, run
from tests.evaluation.traffic import POLICY, install


@pytest.fixture(autouse=True)
def installed(settings: Settings) -> None:
    install(settings)


def review(settings: Settings, **config: str) -> dg.ExecuteInProcessResult:
    return run(settings, "review", config={"ops": {"review_candidates": {"config": config}}} if config else None)


def rollback(settings: Settings, version: str, reason: str = "it was worse") -> dg.ExecuteInProcessResult:
    config = {"policy": POLICY, "version": version, "actor": "ada", "reason": reason}
    return run(settings, "rollback", config={"ops": {"roll_back": {"config": config}}})


def said(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    observation = event.asset_observation_data.asset_observation
    return {name: plain(value) for name, value in observation.metadata.items()}


def statuses(settings: Settings) -> dict[str, str]:
    with transaction(settings) as connection:
        return {version.version: version.status for version in store.versions(connection, POLICY)}


def test_a_review_shows_the_candidates_and_decides_nothing(settings: Settings) -> None:
    candidate = draft(settings)
    result = review(settings)
    assert result.success
    (row,) = said(result)["candidates"]
    assert row["candidate"] == candidate.ref
    assert row["digest"] == candidate.digest
    assert "modelWeights.large 0.6 -> 0.2" in row["changes"]
    assert statuses(settings) == {"1.0.0": "active", "1.0.1": "draft"}


def test_a_review_approves_by_digest_and_activates_nothing(settings: Settings) -> None:
    candidate = draft(settings)
    decision = {"policy": POLICY, "version": "1.0.1", "verdict": "approve", "actor": "ada", "reason": "better"}
    assert failure(review(settings, **decision)).startswith("invalid_input: a decision names the digest")
    wrong = review(settings, **decision, digest="sha256:0")
    assert failure(wrong).startswith("digest_mismatch: ")
    assert statuses(settings)["1.0.1"] == "draft"
    assert review(settings, **decision, digest=candidate.digest).success
    assert statuses(settings) == {"1.0.0": "active", "1.0.1": "approved"}
    with transaction(settings) as connection:
        (made,) = decisions.waiting(connection)
    assert (made.actor, made.reason) == ("ada", "better")


def test_a_review_rejects(settings: Settings) -> None:
    candidate = draft(settings)
    decision = {"policy": POLICY, "version": "1.0.1", "verdict": "reject", "actor": "ada", "reason": "too bold"}
    assert review(settings, **decision, digest=candidate.digest).success
    assert statuses(settings)["1.0.1"] == "rejected"


@pytest.mark.parametrize("missing", ["actor", "reason"])
def test_a_decision_needs_who_and_why(settings: Settings, missing: str) -> None:
    candidate = draft(settings)
    decision = {"policy": POLICY, "version": "1.0.1", "verdict": "approve", "actor": "ada", "reason": "better"}
    result = review(settings, **{**decision, missing: ""}, digest=candidate.digest)
    assert failure(result).startswith(f"invalid_input: {missing}")
    assert statuses(settings)["1.0.1"] == "draft"


def test_rollback_returns_to_the_version_before_and_records_it_on_the_asset(settings: Settings) -> None:
    approve(settings, draft(settings))
    assert run(settings, "activation").success
    assert active(settings) == "1.0.1"
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    result = rollback(settings, "1.0.0")
    assert result.success
    assert active(settings) == "1.0.0"
    assert statuses(settings)["1.0.1"] == "rolled_back"
    (event,) = [event for event in result.all_events if event.is_step_materialization]
    found = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
    assert (found["from"], found["to"], found["actor"], found["reason"]) == ("1.0.1", "1.0.0", "ada", "it was worse")


@pytest.mark.parametrize(
    ("version", "reason", "code"),
    [
        ("1.0.0", "it was worse", "already_active"),
        ("1.0.1", "it was worse", "never_active"),
        ("9.9.9", "it was worse", "unknown_version"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused(settings: Settings, version: str, reason: str, code: str) -> None:
    draft(settings)
    assert failure(rollback(settings, version, reason)).startswith(f"{code}: ")
    assert active(settings) == "1.0.0"
