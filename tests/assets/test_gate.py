"""No route brings an unapproved version into force, and every refusal names its reason."""

import threading

import dagster as dg
import pytest
import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, drafts, flags, store
from cogorch_dagster.policies import decisions as deciding
from cogorch_dagster.settings import Settings
from tests.dagster_layer import PARAMS, active, approve, definitions, draft, failure, metadata, plain, run
from tests.evaluation.traffic import POLICY, bring_into_force, install


@pytest.fixture(autouse=True)
def installed(settings: Settings) -> None:
    install(settings)


def alone(settings: Settings, **config: object) -> dg.ExecuteInProcessResult:
    """Materialise `active_policy` alone, as a click in the web interface does."""
    job = definitions(settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey("active_policy")],
        run_config={"ops": {"active_policy": {"config": config}}} if config else {},
        raise_on_error=False,
    )


def gate(settings: Settings) -> dg.AssetCheckEvaluation:
    result = run(settings, "activation")
    return next(check for check in result.get_asset_check_evaluations() if check.check_name == "policy_approved")


def edit(settings: Settings, policy_id: str = POLICY) -> None:
    """Change the parameters of 1.0.1 as somebody with a superuser's access to the table could."""
    with transaction(settings) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            sa.text(
                "UPDATE policy_versions SET params = jsonb_set(params, '{timeoutMs}', '1') "
                "WHERE policy_id = :policy_id AND version = '1.0.1'"
            ),
            {"policy_id": policy_id},
        )


def test_materialised_alone_it_does_not_activate_a_candidate(settings: Settings) -> None:
    candidate = draft(settings)
    result = alone(settings)
    assert not result.success
    assert failure(result).startswith("not_approved: ")
    assert f"cogorch policy approve {candidate.ref}" in failure(result)
    assert active(settings) == "1.0.0"


def test_the_activation_job_does_not_activate_a_candidate(settings: Settings) -> None:
    draft(settings)
    result = run(settings, "activation")
    assert not result.success and failure(result).startswith("not_approved: ")
    assert active(settings) == "1.0.0"


def test_the_whole_graph_at_once_does_not_activate_its_own_candidate(settings: Settings) -> None:
    draft(settings)
    job = definitions(settings).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(name) for name in ("policy_versions", "active_policy")]
    assert not job.execute_in_process(asset_selection=keys, raise_on_error=False).success
    assert active(settings) == "1.0.0"


def test_an_approved_candidate_comes_into_force(settings: Settings) -> None:
    candidate = draft(settings)
    approve(settings, candidate)
    result = run(settings, "activation")
    assert result.success
    assert metadata(result, "active_policy")["activated"] == "router-core 1.0.0 -> 1.0.1"
    rows = {row["policy"]: row for row in metadata(result, "active_policy")["active_versions"]}
    assert rows[POLICY]["version"] == "1.0.1"
    assert (rows[POLICY]["approved_by"], rows[POLICY]["reason"]) == ("ada", "it is better")
    assert active(settings) == "1.0.1"


def test_with_nothing_to_do_it_reports_what_is_in_force_and_changes_nothing(settings: Settings) -> None:
    def records() -> int:
        with transaction(settings) as connection:
            return audit.verify(connection).records

    before = records()
    for _ in range(2):
        result = alone(settings)
        assert result.success
        assert metadata(result, "active_policy")["activated"] == "nothing"
    assert records() == before


def test_a_decision_used_twice_is_refused(settings: Settings) -> None:
    decision = approve(settings, draft(settings))
    assert alone(settings, decision_id=decision).success
    again = alone(settings, decision_id=decision)
    assert failure(again).startswith("already_claimed: ")


def test_automation_that_comes_late_does_nothing_and_does_not_fail(settings: Settings) -> None:
    decision = approve(settings, draft(settings))
    assert alone(settings, decision_id=decision).success
    late = alone(settings, decision_id=decision, only_if_waiting=True)
    assert late.success and metadata(late, "active_policy")["activated"] == "nothing"


@pytest.mark.parametrize(("target", "reason"), [("3b241101-e2bb-4255-8caf-4136c566a962", "unknown_decision")])
def test_an_invented_decision_is_refused(settings: Settings, target: str, reason: str) -> None:
    draft(settings)
    assert failure(alone(settings, decision_id=target)).startswith(f"{reason}: ")


def test_a_rejected_candidate_stays_out(settings: Settings) -> None:
    candidate = draft(settings)
    with transaction(settings) as connection:
        decision = deciding.reject(connection, POLICY, candidate.version, "ada", "too bold", digest=candidate.digest)
    assert failure(alone(settings, decision_id=str(decision.decision_id))).startswith("rejected: ")
    assert active(settings) == "1.0.0"


def test_edited_parameters_are_refused_and_shut_the_gate(settings: Settings) -> None:
    approve(settings, draft(settings))
    edit(settings)
    result = run(settings, "activation")
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "router-core@1.0.1" in str(check.description)
    # Going round the check does not help: the claim computes the digest again.
    assert failure(alone(settings)).startswith("digest_mismatch: ")
    assert active(settings) == "1.0.0"


def test_the_kill_switch_holds_an_approval_back(settings: Settings) -> None:
    approve(settings, draft(settings))
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    assert failure(alone(settings)).startswith("learning_disabled: ")
    assert active(settings) == "1.0.0"


def test_one_refusal_does_not_keep_another_decision_from_coming_into_force(settings: Settings) -> None:
    with transaction(settings) as connection:
        administration.create_policy(connection, "router-other", "router", "router:other", actor="test")
    bring_into_force(settings, "router-other", PARAMS)
    with transaction(settings) as connection:
        params = {**PARAMS, "timeoutMs": 500}
        other = drafts.propose_version(connection, "router-other", params, actor="test")
    approve(settings, draft(settings))
    approve(settings, other)
    edit(settings)
    assert failure(alone(settings)).startswith("digest_mismatch: ")
    with transaction(settings) as connection:
        changed = store.active(connection, "router-other")
    assert changed is not None and changed.version == "1.0.1"
    assert active(settings) == "1.0.0"


def test_many_activations_at_once_claim_a_decision_once(settings: Settings) -> None:
    decision = approve(settings, draft(settings))
    outcomes: list[str] = []

    def attempt() -> None:
        result = alone(settings, decision_id=decision)
        outcomes.append("done" if result.success else failure(result).partition(":")[0])

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_claimed"] * 4 + ["done"]


def test_the_check_warns_of_a_candidate_and_passes_once_it_is_decided(settings: Settings) -> None:
    candidate = draft(settings)
    pending = gate(settings)
    assert (pending.passed, pending.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert candidate.ref in str(pending.description)
    assert f"cogorch policy approve {candidate.ref}" in str(pending.metadata["next"].value)
    approve(settings, candidate)
    assert gate(settings).passed
    draft(settings, small=0.45)
    assert not gate(settings).passed, "a new candidate revokes the pass"


def test_the_check_finds_a_version_in_force_that_nobody_approved(settings: Settings) -> None:
    assert gate(settings).passed
    draft(settings)
    with transaction(settings) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            sa.text("UPDATE policy_versions SET status = 'archived' WHERE policy_id = :id"), {"id": POLICY}
        )
        connection.execute(sa.text("UPDATE policy_versions SET status = 'active' WHERE version = '1.0.1'"))
    found = gate(settings)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    findings = {row["version"]: row["finding"] for row in plain(found.metadata["gate"])}
    assert findings[f"{POLICY}@1.0.1"] == "error: in force without a decision on this digest"
