"""Hyperparameters that are out of bounds, too far a step, unknown or no number: each alone, at every moment."""

import json
import math
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.policies import administration, audit, autonomy, decisions, drafts, kinds, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.document import as_document, digest
from cogorch_dagster.policies.seed import documents

AGENT = "agent-x"
# In force: near the largest of level standard, .01, and far from its least.
IN_FORCE = {**next(each["params"] for each in documents() if each["kind"] == "dqn"), "learningRate": 0.008}
# What is wrong alone, the reason, what the message says, and whether the schema refuses it, whatever the level.
WRONG = {
    # x1.5 of what is in force, so no large step.
    "out_of_bounds": ({"learningRate": 0.012}, "out_of_bounds", "learningRate 0.012 is above .* level standard, 0.01:"),
    # x1/4 of what is in force, and well within the bounds.
    "step": ({"learningRate": 0.002}, "step_too_large", "learningRate 0.002 .* step at level standard is x3:"),
    "unknown": ({"learningrate": 0.008}, "invalid_params", "learningrate: Extra .*; the names are learningRate"),
    "text": ({"learningRate": "NaN"}, "invalid_params", r"learningRate: .*'NaN'\); choose 1e-06 to 0.1"),
    "null": ({"learningRate": None}, "invalid_params", "learningRate: .*valid number; choose 1e-06 to 0.1"),
    "huge": ({"learningRate": 10**999}, "invalid_params", "learningRate: .*10000.*; choose 1e-06 to 0.1"),
    "wild": ({"learningRate": 0.5}, "invalid_params", r"learningRate: .*less than or equal to 0.1 \(got 0.5\)"),
}
cases = pytest.mark.parametrize(("change", "reason", "said"), list(WRONG.values()), ids=list(WRONG))


@pytest.fixture
def agent(connection: sa.Connection) -> str:
    """A policy of kind dqn whose 1.0.0 holds `IN_FORCE` and is active."""
    administration.create_policy(connection, AGENT, "dqn", "agent:x", actor="ada")
    put(connection, IN_FORCE)
    return AGENT


def put(connection: sa.Connection, params: dict[str, Any]) -> str:
    draft = drafts.propose_version(connection, AGENT, params, actor="ada")
    decisions.approve(connection, AGENT, draft.version, "ada", "good")
    activate(connection, draft.ref, "ada")
    return draft.version


def write(
    connection: sa.Connection,
    params: dict[str, Any],
    *,
    approved: bool = False,
    of: str = AGENT,
    parent: str | None = "1.0.0",
) -> str:
    """Write 9.0.0 around the package, with the right digest; `approved`: and the decision on it."""
    document = as_document(params)
    values = {"of": of, "params": json.dumps(document), "digest": digest(document), "parent": parent}
    connection.execute(
        sa.text(
            "INSERT INTO policy_versions (policy_id, version, params, digest, parent, status, created_by) "
            "VALUES (:of, '9.0.0', CAST(:params AS jsonb), :digest, :parent, 'draft', 'mallory')"
        ),
        values,
    )
    if approved:
        connection.execute(sa.text("UPDATE policy_versions SET status = 'approved' WHERE version = '9.0.0'"))
        connection.execute(
            sa.text(
                "INSERT INTO decisions (decision_id, policy_id, version, digest, action, actor, reason) "
                "VALUES (gen_random_uuid(), :of, '9.0.0', :digest, 'approve', 'mallory', 'r')"
            ),
            values,
        )
    return "9.0.0"


def refused(connection: sa.Connection, call: Any) -> Refused:
    """The refusal, after checking that it left no trace."""
    before = store.versions(connection), decisions.decisions_of(connection, AGENT), audit.verify(connection)
    with pytest.raises(Refused) as caught:
        call()
    assert before == (store.versions(connection), decisions.decisions_of(connection, AGENT), audit.verify(connection))
    return caught.value


def test_what_is_right_passes_every_moment_also_when_written_around_the_package(
    connection: sa.Connection, agent: str
) -> None:
    """So that the refusals below are for what is wrong, and not for the way in which it was written."""
    decisions.approve(connection, agent, write(connection, {**IN_FORCE, "learningRate": 0.004}), "ada", "good")
    assert activate(connection, f"{agent}@9.0.0", "ada").previous == "1.0.0"


def test_what_is_right_and_approved_around_the_package_is_activated(connection: sa.Connection, agent: str) -> None:
    write(connection, {**IN_FORCE, "learningRate": 0.004}, approved=True)
    assert activate(connection, f"{agent}@9.0.0", "ada").previous == "1.0.0"


@cases
@pytest.mark.parametrize("mode", ["manual", "autonomous_all"])
def test_propose(connection: sa.Connection, agent: str, mode: Any, change: Any, reason: str, said: str) -> None:
    administration.set_mode(connection, agent, mode, actor="ada", reason="r")
    params = {**IN_FORCE, **change}
    if reason != "invalid_params":
        refusal = refused(connection, lambda: drafts.propose_version(connection, agent, params, actor="rule:tuning"))
        assert refusal.reason == reason
        with pytest.raises(Refused, match=said):
            raise refusal
    else:
        with pytest.raises(InvalidInput, match=said):
            drafts.propose_version(connection, agent, params, actor="rule:tuning")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_propose_no_finite_number(connection: sa.Connection, agent: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=r"learningRate: .*finite number .*; choose 1e-06 to 0\.1"):
        drafts.propose_version(connection, agent, {**IN_FORCE, "learningRate": value}, actor="ada")


@cases
def test_approve(connection: sa.Connection, agent: str, change: Any, reason: str, said: str) -> None:
    write(connection, {**IN_FORCE, **change})
    refusal = refused(connection, lambda: decisions.approve(connection, agent, "9.0.0", "ada", "good"))
    assert refusal.reason == reason
    with pytest.raises(Refused, match=f"(?s)to approve agent-x@9.0.0 is refused: .*{said}"):
        raise refusal


@cases
@pytest.mark.parametrize("mode", ["autonomous_threshold", "autonomous_all"])
def test_approve_by_rule(connection: sa.Connection, agent: str, mode: Any, change: Any, reason: str, said: str) -> None:
    administration.set_mode(connection, agent, mode, threshold=0, actor="ada", reason="r")
    write(connection, {**IN_FORCE, **change})
    connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        sa.text("""UPDATE policy_versions SET evidence = '{"ci95": [0.5, 0.6]}' WHERE version = '9.0.0'""")
    )
    refusal = refused(connection, lambda: autonomy.apply_mode(connection, agent, "9.0.0"))
    assert refusal.reason == reason


@cases
def test_apply(connection: sa.Connection, agent: str, change: Any, reason: str, said: str) -> None:
    write(connection, {**IN_FORCE, **change}, approved=True)
    refusal = refused(connection, lambda: activate(connection, f"{agent}@9.0.0", "ada"))
    assert refusal.reason == reason
    with pytest.raises(Refused, match=f"(?s)to activate agent-x@9.0.0 is refused: .*{said}"):
        raise refusal


@pytest.mark.parametrize("word", ["NaN", "Infinity"])
def test_the_database_holds_no_other_number(connection: sa.Connection, agent: str, word: str) -> None:
    with pytest.raises(sa.exc.DataError, match="invalid input syntax for type json"):
        connection.execute(sa.text(f"""SELECT CAST('{{"learningRate": {word}}}' AS jsonb)"""))


def test_out_of_bounds_names_what_is_accepted_now(connection: sa.Connection, agent: str) -> None:
    far = {**IN_FORCE, "learningRate": 0.012}
    refusal = refused(connection, lambda: drafts.propose_version(connection, agent, far, actor="ada"))
    assert "choose 0.00266666667 to 0.01, one step from the 0.008 in force" in str(refusal)
    assert put(connection, {**IN_FORCE, "learningRate": 0.00266666667}) == "1.0.1"


def test_a_decision_names_the_approval_that_it_ends(connection: sa.Connection, agent: str) -> None:
    made = []
    for rate in (0.004, 0.005):
        draft = drafts.propose_version(connection, agent, {**IN_FORCE, "learningRate": rate}, actor="ada")
        made.append(decisions.approve(connection, agent, draft.version, "ada", "good"))
    assert [decisions.expired_by(connection, each) for each in made] == [[], ["agent-x@1.0.1"]]
    assert store.version(connection, agent, "1.0.1").status == "expired"


def test_the_first_version_has_bounds_but_no_step(connection: sa.Connection) -> None:
    administration.create_policy(connection, AGENT, "dqn", strictness="strict", actor="ada")
    refusal = refused(connection, lambda: drafts.propose_version(connection, AGENT, IN_FORCE, actor="ada"))
    assert refusal.reason == "out_of_bounds"
    assert put(connection, {**IN_FORCE, "learningRate": 1e-4, "epsilon": 1}) == "1.0.0"


def test_a_level_holds_for_approvals_that_wait(connection: sa.Connection, agent: str) -> None:
    draft = drafts.propose_version(connection, agent, {**IN_FORCE, "learningRate": 0.004}, actor="ada")
    decisions.approve(connection, agent, draft.version, "ada", "good")
    administration.set_strictness(connection, agent, "strict", actor="eve", reason="an audit")
    refusal = refused(connection, lambda: activate(connection, draft.ref, "ada"))
    assert refusal.reason == "out_of_bounds"
    assert "learningRate 0.004 is above the largest at level strict, 0.003" in str(refusal)
    administration.set_strictness(connection, agent, "wide", actor="eve", reason="over")
    assert activate(connection, draft.ref, "ada").version == draft.version


def test_wide_lets_further_steps_through(connection: sa.Connection, agent: str) -> None:
    administration.set_strictness(connection, agent, "wide", actor="eve", reason="a trial")
    assert put(connection, {**IN_FORCE, "learningRate": 0.08}) == "1.0.1"
    refusal = refused(
        connection,
        lambda: drafts.propose_version(connection, agent, {**IN_FORCE, "learningRate": 0.0079}, actor="ada"),
    )
    assert refusal.reason == "step_too_large"
    assert "choose 0.008 to 0.1, and go on from there" in str(refusal)
    assert "cogorch policy strictness" not in str(refusal)


def test_steps_are_measured_from_what_is_in_force_by_now(connection: sa.Connection, agent: str) -> None:
    far = {**IN_FORCE, "learningRate": 0.002}
    assert refused(
        connection, lambda: drafts.propose_version(connection, agent, far, actor="ada")
    ).reason == "step_too_large"  # fmt: skip
    put(connection, {**IN_FORCE, "learningRate": 0.004})
    draft = drafts.propose_version(connection, agent, far, actor="ada")
    decisions.approve(connection, agent, draft.version, "ada", "good")
    assert activate(connection, draft.ref, "ada").previous == "1.0.1"


def test_no_step_is_measured_from_a_row_that_was_edited(connection: sa.Connection, agent: str) -> None:
    near = drafts.propose_version(connection, agent, {**IN_FORCE, "learningRate": 0.004}, actor="ada")
    connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        sa.text("UPDATE policy_versions SET params = params || '{\"learningRate\": null}' WHERE version = '1.0.0'")
    )
    refusal = refused(connection, lambda: decisions.approve(connection, agent, near.version, "ada", "good"))
    assert refusal.reason == "digest_mismatch"
    assert "a step cannot be measured from agent-x@1.0.0" in str(refusal)


def test_a_rollback_may_be_a_large_step_out_of_bounds(connection: sa.Connection, agent: str) -> None:
    for rate in (0.003, 0.0015):
        put(connection, {**IN_FORCE, "learningRate": rate})
    administration.set_strictness(connection, agent, "strict", actor="eve", reason="an audit")
    decisions.rollback(connection, agent, "1.0.0", "ada", "worse")
    assert activate(connection, f"{agent}@1.0.0", "ada").previous == "1.0.2"
    # And from there a step leads back into the level.
    assert put(connection, {**IN_FORCE, "learningRate": 0.0025}) == "1.0.3"


def test_a_rollback_to_what_the_kind_refuses_is_refused(connection: sa.Connection, agent: str) -> None:
    put(connection, {**IN_FORCE, "learningRate": 0.004})
    edited = {**IN_FORCE, "learningRate": 7}
    connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        sa.text("UPDATE policy_versions SET params = CAST(:params AS jsonb), digest = :digest WHERE version = '1.0.0'"),
        {"params": json.dumps(as_document(edited)), "digest": digest(edited)},
    )
    decisions.rollback(connection, agent, "1.0.0", "ada", "worse")
    refusal = refused(connection, lambda: activate(connection, f"{agent}@1.0.0", "ada"))
    assert refusal.reason == "invalid_params"
    assert "to rollback agent-x@1.0.0 is refused" in str(refusal)


def test_documents_of_other_kinds_are_validated_again(connection: sa.Connection, rx: str, params: Any) -> None:
    write(connection, params(modelWeights={"a": 0.9, "b": 0.9}), of=rx)
    refusal = refused(connection, lambda: decisions.approve(connection, rx, "9.0.0", "ada", "good"))
    assert refusal.reason == "invalid_params"
    assert "modelWeights sum to 1.8" in str(refusal)


def test_what_a_kind_does_not_read_as_it_is_stored_is_refused(connection: sa.Connection, rx: str, params: Any) -> None:
    write(connection, params(0.6, tenantWeights=None), of=rx)
    refusal = refused(connection, lambda: decisions.approve(connection, rx, "9.0.0", "ada", "good"))
    assert refusal.reason == "invalid_params"
    assert "which is not what is stored" in str(refusal)


def test_a_document_from_before_a_parameter_existed_comes_into_force_as_it_is(connection: sa.Connection) -> None:
    administration.create_policy(connection, "scaler", "autoscaler", actor="ada")
    old = {"minReplicas": 1, "maxReplicas": 4, "targetUtilization": 0.7}
    write(connection, old, of="scaler", approved=True, parent=None)
    assert "scaleUpStep" in kinds.validated("autoscaler", old)
    activate(connection, "scaler@9.0.0", "ada")
    active = store.active(connection, "scaler")
    assert active is not None
    assert active.params == old


@pytest.mark.parametrize(("low", "approves"), [(0.0299, False), (0.03, True)])
def test_three_points_approve_by_rule(connection: sa.Connection, agent: str, low: float, approves: bool) -> None:
    administration.set_mode(connection, agent, "autonomous_threshold", actor="ada", reason="r")
    draft = drafts.propose_version(
        connection, agent, {**IN_FORCE, "learningRate": 0.004}, {"ci95": [low, 0.09]}, actor="rule:tuning"
    )
    decision = autonomy.apply_mode(connection, agent, draft.version)
    assert (decision is not None) == approves
    if approves:
        assert activate(connection, draft.ref, "rule:activation").previous == "1.0.0"


def test_strictness_is_a_decision_of_its_own(connection: sa.Connection, agent: str) -> None:
    assert store.policy(connection, agent).strictness == "standard"
    set_to = administration.set_strictness(connection, agent, "strict", actor="eve", reason=" an audit ")
    assert set_to == store.policy(connection, agent)
    assert set_to.strictness == "strict"
    record = audit.records(connection, limit=1)[0]
    assert (record.actor, record.event, record.subject) == ("eve", "policy.strictness_set", agent)
    assert record.payload == {"from": "standard", "to": "strict", "reason": "an audit"}
    before = audit.verify(connection)
    administration.set_strictness(connection, agent, "strict", actor="eve", reason="again")
    assert audit.verify(connection) == before
    for level, reason in (("lax", "r"), ("wide", " ")):
        with pytest.raises(InvalidInput):
            administration.set_strictness(connection, agent, level, actor="eve", reason=reason)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="there is no policy 'nobody'"):
        administration.set_strictness(connection, "nobody", "wide", actor="eve", reason="r")
    with pytest.raises(InvalidInput, match="none of strict, standard, wide"):
        administration.create_policy(connection, "agent-y", "dqn", strictness="lax", actor="ada")  # type: ignore[arg-type]


def guard(parameter: str) -> dict[str, Any]:
    return {
        "description": "The horizon stays short.",
        "appliesTo": {"kind": "dqn"},
        "rego": f'package guard\n\ndeny contains "too long" if input.candidate.params.{parameter} > 0.96\n',
        "examples": [{"input": {"candidate": {"params": {parameter: 0.97}}}, "denied": True}],
    }


def test_guards_know_the_hyperparameters(connection: sa.Connection, agent: str) -> None:
    with pytest.raises(InvalidInput, match="discont"):
        kinds.validated("guard", guard("discont"))
    administration.create_policy(connection, "horizon-cap", "guard", actor="ada")
    rule = drafts.propose_version(connection, "horizon-cap", guard("discount"), actor="ada")
    decisions.approve(connection, "horizon-cap", rule.version, "ada", "agreed")
    activate(connection, rule.ref, "ada")
    refusal = refused(
        connection, lambda: drafts.propose_version(connection, agent, {**IN_FORCE, "discount": 0.97}, actor="ada")
    )
    assert refusal.reason == "guard_violated"
    assert put(connection, {**IN_FORCE, "discount": 0.96}) == "1.0.1"
