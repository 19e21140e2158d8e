"""Guard rules in force: what they stop, when, for whom, and that nobody can be locked out by one."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, autonomy, canary, decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.guards import checks
from cogorch_dagster.policies.params_file import params_from_file
from cogorch_dagster.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "guards"
ROUTERS = {"kind": "router"}


def rule(body: str, scope: Mapping[str, str] | None = ROUTERS) -> dict[str, Any]:
    """A guard document with one line of Rego."""
    return {"description": "a rule of the test", "appliesTo": scope, "rego": f"package guard\n\n{body}\n"}


def put(connection: sa.Connection, policy_id: str, params: Mapping[str, Any], kind: str = "guard") -> str:
    """Propose, approve and activate; returns the reference."""
    if policy_id not in {each.policy_id for each in store.policies(connection)}:
        administration.create_policy(connection, policy_id, kind, actor="ada")
    draft = drafts.propose_version(connection, policy_id, params, actor="ada")
    decisions.approve(connection, policy_id, draft.version, "ada", "good")
    activate(connection, draft.ref, "ada")
    return draft.ref


def documented(name: str) -> dict[str, Any]:
    return params_from_file(DOCS / f"{name}.rego", "guard")


def refusal(connection: sa.Connection, policy_id: str, params: Mapping[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        drafts.propose_version(connection, policy_id, params, actor="rule:x")
    return caught.value


def test_a_weight_above_the_cap_is_not_proposed(connection: sa.Connection, rx: str, params: Any) -> None:
    ref = put(connection, "weight-cap", documented("weight-cap"))
    before = store.versions(connection), audit.verify(connection)
    refused = refusal(connection, rx, params(0.95))
    assert refused.reason == "guard_violated"
    assert f"{ref}: arm a has weight 0.95, above 0.9" in str(refused)
    assert (store.versions(connection), audit.verify(connection)) == before
    tenant = params(0.5, tenantWeights={"acme": {"a": 0.05, "b": 0.95}})
    assert "arm b has weight 0.95 for tenant acme" in str(refusal(connection, rx, tenant))
    assert put(connection, rx, params(0.9)) == "router-x@1.0.1"


def test_the_cost_cap_rises_by_a_fifth_at_a_time(connection: sa.Connection, rx: str, params: Any) -> None:
    put(connection, "cost-step", documented("cost-step"))
    refused = refusal(connection, rx, params(0.5, maxCostUsd=0.0121))
    assert refused.reason == "guard_violated"
    assert "from 0.01 to 0.0121 USD" in str(refused)
    put(connection, rx, params(0.5, maxCostUsd=0.012))
    # From the new cap the same step is allowed again, and the one from the old cap would not be.
    put(connection, rx, params(0.5, maxCostUsd=0.0144))
    put(connection, rx, params(0.5, maxCostUsd=0.001))
    assert refusal(connection, rx, params(0.5, maxCostUsd=0.0013)).reason == "guard_violated"


def test_an_arm_that_a_tenant_has_barred(connection: sa.Connection, rx: str, params: Any) -> None:
    put(connection, "barred-arm", documented("barred-arm"))
    everybody = {"orion:large": 0.3, "local:small": 0.7}
    refused = refusal(connection, rx, params(modelWeights=everybody))
    assert "orion:large has weight 0.3 for tenant acme, which has barred orion" in str(refused)
    own = {"acme": {"local:small": 1.0}}
    put(connection, rx, params(modelWeights=everybody, tenantWeights=own))
    others = {**own, "zeta": everybody}
    put(connection, rx, params(modelWeights=everybody, tenantWeights=others))
    worse = {"acme": {"orion:large": 0.01, "local:small": 0.99}}
    assert refusal(connection, rx, params(modelWeights=everybody, tenantWeights=worse)).reason == "guard_violated"


def test_a_rule_that_comes_after_the_approval_stops_the_activation(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    drafts.propose_version(connection, rx, params(0.95), actor="rule:x")
    decisions.approve(connection, rx, "1.0.1", "ada", "good")
    put(connection, "weight-cap", documented("weight-cap"))
    for _ in range(2):
        with pytest.raises(Refused, match=r"weight-cap@1\.0\.0: arm a has weight 0\.95") as caught:
            activate(connection, "router-x@1.0.1", "bob")
        assert caught.value.reason == "guard_violated"
        assert store.version(connection, rx, "1.0.1").status == "approved"
    # A version of the rule that allows it sets the decision free.
    put(connection, "weight-cap", rule('deny contains "never" if input.candidate.params.maxCostUsd > 1'))
    assert activate(connection, "router-x@1.0.1", "bob").version == "1.0.1"


def test_a_rule_that_comes_after_the_proposal_stops_the_approval(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    drafts.propose_version(connection, rx, params(0.95), actor="rule:x")
    put(connection, "weight-cap", documented("weight-cap"))
    with pytest.raises(Refused) as caught:
        decisions.approve(connection, rx, "1.0.1", "ada", "good")
    assert caught.value.reason == "guard_violated"
    administration.set_mode(connection, rx, "autonomous_all", actor="ada", reason="test")
    with pytest.raises(Refused) as caught:
        autonomy.apply_mode(connection, rx, "1.0.1")
    assert caught.value.reason == "guard_violated"
    assert decisions.decisions_of(connection, rx, "1.0.1") == []
    assert decisions.reject(connection, rx, "1.0.1", "ada", "the rule says no").action == "reject"


def test_two_transactions_cannot_pass_each_other(settings: Settings, router: str, params: Any) -> None:
    """The rule is activated but not committed when the other activation begins, which waits and then sees it."""
    with transaction(settings) as connection:
        drafts.propose_version(connection, router, params(0.95), actor="rule:x")
        decisions.approve(connection, router, "1.0.1", "ada", "good")
        administration.create_policy(connection, "weight-cap", "guard", actor="ada")
        drafts.propose_version(connection, "weight-cap", documented("weight-cap"), actor="ada")
        decisions.approve(connection, "weight-cap", "1.0.0", "ada", "good")
    outcome: list[str] = []

    def second() -> None:
        try:
            with transaction(settings) as connection:
                activate(connection, "router-x@1.0.1", "bob")
            outcome.append("activated")
        except Refused as refused:
            outcome.append(refused.reason)

    racer = threading.Thread(target=second)
    with transaction(settings) as connection:
        activate(connection, "weight-cap@1.0.0", "ada")
        racer.start()
        racer.join(0.5)
        assert racer.is_alive()
        assert outcome == []
    racer.join(30)
    assert outcome == ["guard_violated"]
    with transaction(settings) as connection:
        assert [each.version for each in store.versions(connection, router, "active")] == ["1.0.0"]


def test_the_input_tells_step_actor_policy_and_both_versions(connection: sa.Connection, rx: str, params: Any) -> None:
    body = """deny contains message if {
    message := json.marshal([input.step, input.actor, input.policy.id, input.policy.kind, input.policy.component,
        input.active.version, input.active.params.modelWeights.a, input.candidate.version,
        input.candidate.params.modelWeights.a])
}"""
    drafts.propose_version(connection, rx, params(0.6), actor="rule:x")
    put(connection, "witness", rule(body))
    seen = str(refusal(connection, rx, params(0.7)))
    assert '["propose","rule:x","router-x","router","router:x","1.0.0",0.5,"1.0.2",0.7]' in seen.replace(", ", ",")
    with pytest.raises(Refused) as caught:
        decisions.approve(connection, rx, "1.0.1", "ada", "good")
    assert '["approve","ada",' in str(caught.value).replace(", ", ",")


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        (None, True),
        ({"kind": "router"}, True),
        ({"policy": "router-x"}, True),
        ({"kind": "reward"}, False),
        ({"policy": "router-y"}, False),
        ({"kind": "guard"}, False),
    ],
)
def test_a_rule_is_about_what_its_scope_names(
    connection: sa.Connection, rx: str, params: Any, scope: dict[str, str] | None, stopped: bool
) -> None:
    put(connection, "no", rule('deny contains "no" if input.candidate.version != ""', scope))
    if stopped:
        assert refusal(connection, rx, params(0.7)).reason == "guard_violated"
    else:
        put(connection, rx, params(0.7))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('deny contains "x" if 1 / (count(input.candidate.params.fallbackOn) - 1) > 2', "divide by zero"),
        ('deny contains "x" if to_number(input.policy.id) > 2', "invalid syntax"),
        ("deny := 17 if input.step", "deny is 17"),
        ('deny := "a" if input.step\ndeny := "b" if input.step', "multiple outputs"),
    ],
)
def test_a_rule_without_an_answer_refuses(connection: sa.Connection, rx: str, params: Any, body: str, why: str) -> None:
    put(connection, "broken", rule(body))
    refused = refusal(connection, rx, params(0.7))
    assert refused.reason == "guard_failed"
    assert "broken@1.0.0 gave no answer" in str(refused)
    assert why in str(refused)
    # Another rule's word is told as well, and a violation goes before a failure.
    put(connection, "cap", documented("weight-cap"))
    both = refusal(connection, rx, params(0.95))
    assert both.reason == "guard_violated"
    assert "cap@1.0.0: arm a" in str(both)
    assert why in str(both)
    # The broken rule can be replaced.
    put(connection, "broken", rule('deny contains "never" if input.step == "never"'))
    put(connection, rx, params(0.7))


def test_a_rollback_goes_through_and_the_audit_tells_what_the_rules_say(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    put(connection, rx, params(0.95))
    put(connection, rx, params(0.8))
    put(connection, "weight-cap", documented("weight-cap"))
    put(connection, "broken", rule("deny contains 1 / 0 if input.step"))
    decisions.rollback(connection, rx, "1.0.1", "ada", "errors")
    assert activate(connection, "router-x@1.0.1", "ada").version == "1.0.1"
    record = audit.records(connection, event="guard.overridden")[0]
    assert record.subject == "router-x@1.0.1"
    assert record.payload["by"] == "rollback"
    said = {each["guard"]: each for each in record.payload["rules"]}
    assert said["weight-cap@1.0.0"]["messages"] == ["arm a has weight 0.95, above 0.9"]
    assert said["broken@1.0.0"]["failure"] == "divide by zero"
    # To a version that keeps the rules it is a rollback like any other.
    put(connection, "broken", rule('deny contains "never" if input.step == "never"'))
    decisions.rollback(connection, rx, "1.0.0", "ada", "errors")
    activate(connection, "router-x@1.0.0", "ada")
    assert len(audit.records(connection, event="guard.overridden")) == 1


NOBODY = 'deny contains "frozen" if input.active.version'


def test_rules_are_not_about_rules_unless_they_say_so(connection: sa.Connection, rx: str) -> None:
    put(connection, "everything", rule('deny contains "no" if input.candidate.version != ""', None))
    put(connection, "everything", rule('deny contains "no" if input.candidate.version == "never"', None))
    put(connection, "cap", rule('deny contains "a" if input.step == "never"'))
    put(connection, "of-rules", rule(NOBODY, {"kind": "guard"}))
    refused = refusal(connection, "cap", rule('deny contains "b" if input.step == "never"'))
    assert "of-rules@1.0.0: frozen" in str(refused)


@pytest.mark.parametrize("scopes", [({"kind": "guard"},) * 2, ({"policy": "second"}, {"policy": "first"})])
def test_rules_cannot_lock_each_other_or_themselves(
    connection: sa.Connection, rx: str, scopes: tuple[dict[str, str], dict[str, str]]
) -> None:
    put(connection, "second", rule('deny contains "a" if input.step == "never"'))
    put(connection, "first", rule(NOBODY, scopes[0]))
    assert refusal(connection, "second", rule(NOBODY, scopes[1])).reason == "guard_violated"
    put(connection, "third", rule(NOBODY, {"kind": "guard"}))
    open_again = rule('deny contains "b" if input.step == "never"')
    for name in ("first", "third", "second"):
        put(connection, name, open_again)


def test_an_edited_rule_counts_as_broken(settings: Settings, router: str, params: Any, unguarded: Any) -> None:
    with transaction(settings) as connection:
        put(connection, "weight-cap", documented("weight-cap"))
    weaker = "replace(params::text, '> 0.9', '> 9')::jsonb"
    unguarded(f"UPDATE policy_versions SET params = {weaker} WHERE policy_id = 'weight-cap'")
    with transaction(settings) as connection:
        refused = refusal(connection, router, params(0.95))
    assert refused.reason == "guard_failed"
    assert "the row was edited" in str(refused)


def test_names_that_need_escapes_reach_the_rule_as_they_are(connection: sa.Connection, rx: str, params: Any) -> None:
    put(connection, "weight-cap", documented("weight-cap"))
    for arm in ('a"b', "a\\b", "a\nb", "é😀", "\u2028", "%s {x} # `y`", "\\u0041"):
        refused = refusal(connection, rx, params(modelWeights={arm: 0.95, "rest": 0.05}))
        assert f"arm {arm} has weight 0.95" in str(refused)


def test_too_large_a_version_is_refused_without_asking(connection: sa.Connection) -> None:
    params = {"rego": "package guard", "description": "d"}
    found = checks.finding("r@1.0.0", params, {"candidate": "x" * checks.MAX_INPUT})
    assert found.failure is not None
    assert "1000000" in found.failure


def test_an_unsound_rule_is_not_stored(connection: sa.Connection) -> None:
    administration.create_policy(connection, "bad", "guard", actor="ada")
    with pytest.raises(InvalidInput, match=r"rego: line 3: undefined function nosuch"):
        drafts.propose_version(connection, "bad", rule('deny contains "x" if nosuch(input.step)'), actor="ada")
    assert store.versions(connection, "bad") == []


def test_a_ramp_goes_no_further_against_a_rule_that_came_meanwhile(
    connection: sa.Connection, rx: str, params: Any
) -> None:
    plan = {"appliesTo": rx, "stages": [0.1, 1.0], "stageDurationMs": 1, "minSamples": 1, "maxRewardDrop": 0.02,
            "maxErrorRateIncrease": 0.01}  # fmt: skip
    put(connection, "canary-x", plan, "canary")
    put(connection, rx, params(0.95))
    ramp = canary.running(connection, rx)
    assert ramp.share == 0.1
    put(connection, "weight-cap", documented("weight-cap"))
    with pytest.raises(Refused) as caught:
        canary.advance(connection, ramp, "bob", "good so far", {})
    assert caught.value.reason == "guard_violated"
    assert canary.running(connection, rx) == ramp
    canary.abort(connection, ramp, "bob", "it breaks a rule", {})
    assert store.version(connection, rx, "1.0.1").status == "rolled_back"
