"""Activation: the one way by which a version comes into force.

One transaction claims a decision by compare-and-set, ends the version in force, activates the decided one, appends to
the audit log and notifies the fleet. The table is the authority: whatever called this, it verifies again. Below it
lie a unique index (one active version per policy) and a trigger (no activation without a decision claimed in the same
transaction), for whoever goes around this module.

A policy that a canary document applies to does not switch at once: its decision is claimed in the same way, and begins
a ramp (`canary`) at whose end the version comes into force.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform import pipeline
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.platform.tables import decisions
from cogorch_dagster.policies import audit, findings, flags, hindrances, limits, ramps, store
from cogorch_dagster.policies.decisions import Decision, decisions_of, locked, require_digest
from cogorch_dagster.policies.document import check_text, parse_ref
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.replacement import LOOKED_AT, Before, notify, replace
from cogorch_dagster.policies.store import Policy, PolicyVersion

# now() is the transaction's start; the trigger on policy_versions recognises its own transaction by it.
_CLAIM = (
    sa.update(decisions)
    .where(
        decisions.c.decision_id == sa.bindparam("of"),
        decisions.c.claimed_at.is_(None),
        decisions.c.superseded_at.is_(None),
    )
    .values(claimed_at=sa.func.now(), claimed_by=sa.bindparam("by"))
    .returning(decisions.c.decision_id)
)


@dataclass(frozen=True)
class Activation:
    """What came into force, or began to; `previous` is the version that it replaces, None for the first.

    `share` is the share of the traffic: below 1 a canary began at `activated_at`, and `previous` is still active.
    """

    policy_id: str
    version: str
    previous: str | None
    activated_at: datetime
    decision_id: uuid.UUID
    share: float = 1.0


def activate(connection: sa.Connection, target: uuid.UUID | str, actor: str) -> Activation:
    """Claim a decision and put its version into force, within the caller's transaction.

    The fleet is notified when that transaction commits; until then a crash leaves everything as it was, and
    `decisions.waiting` names the decision again. A refusal writes nothing.

    Args:
        target: the id of a decision, or a reference such as `router-core@1.0.1`: its waiting decision.
        actor: who activates; the decision names who approved.

    Raises:
        InvalidInput: the target is neither an id nor a reference.
        Refused: `unknown_decision`, `unknown_policy`, `unknown_version`, `not_approved` (no decision on it),
            `rejected`, `already_claimed`, `superseded` (a later decision), `learning_disabled` (not for a rollback),
            `digest_mismatch`, `stale_parent`, `canary_running` (another version ramps; not for a rollback),
            `incident_open` (of the policy's component; not for a rollback),
            `invalid_params`, `out_of_bounds` and `step_too_large` (see `limits`; the latter two not for a rollback),
            `guard_violated` and `guard_failed` (not for a rollback: that a rule objects is only recorded),
            `activation_conflict` (someone activated by other means meanwhile).
    """
    actor = check_text("actor", actor)
    claim, policy = _locked_decision(connection, target)
    _require_claimable(claim)
    approved = claim.action == "approve"
    found, versions, (head,) = pipeline.run(
        connection,
        [
            hindrances.asked(policy.policy_id, policy.component),
            store.standing(claim.policy_id, LOOKED_AT, claim.version),
            audit.HEAD,
        ],
    )
    there = hindrances.read(found)
    if approved and there.switch:
        flags.require_learning(connection, f"activating {claim.ref}")
    standing = store.stood(versions)
    current = next((each for each in standing if each.status == "active"), None)
    chosen = next(each for each in standing if each.version == claim.version)
    _require_activatable(claim, chosen, current)
    limits.require("activate" if approved else "rollback", chosen, current, policy.strictness)
    if approved and there.incident:
        findings.require_no_incident(connection, f"activating {claim.ref}", chosen.component)
    if approved and there.rule:
        guards.require(connection, "activate", chosen, current, actor=actor)
    ramp = ramps.running(connection, claim.policy_id) if there.ramp else None
    if ramp is not None and approved:
        raise Refused(
            "canary_running",
            f"activating {claim.ref} is refused: {ramp.ref} has {ramp.share:.0%} of the traffic; wait for the end of "
            f"its ramp, or `cogorch canary abort {claim.policy_id}`",
        )
    # The first version has nothing to be compared with, and a rollback is for safety: both take effect at once.
    plan = ramps.plan_for(connection, chosen) if approved and current is not None else None
    previous, share = current.version if current else None, 1.0
    # The decision's row is locked and was free to claim; where it is not claimed, the triggers refuse what follows.
    claiming = Step(_CLAIM, {"of": claim.decision_id, "by": actor})
    try:
        if plan is not None and current is not None:
            with connection.begin_nested():
                begun = _begin(connection, claim, chosen, current, plan, actor, claiming)
            moment, share = begun.started_at, begun.share
        elif not approved:
            with connection.begin_nested():
                if ramp is not None:
                    stop(connection, ramp, actor, f"{chosen.ref} was decided meanwhile", {})
                moment = replace(connection, claim, chosen, current, actor, first=[claiming])
        else:
            before = Before(standing, head)
            moment = replace(connection, claim, chosen, current, actor, first=[claiming], before=before)
    except sa.exc.IntegrityError as error:
        raise Refused(
            "activation_conflict", f"{chosen.ref} is refused: {str(error.orig).splitlines()[0]}. Nothing was changed."
        ) from error
    return Activation(chosen.policy_id, chosen.version, previous, moment, claim.decision_id, share)


def stop(
    connection: sa.Connection, ramp: ramps.Ramp, actor: str, reason: str, evidence: Mapping[str, Any]
) -> ramps.Ramp:
    """End a ramp without activating its version, which is rolled back; the caller holds the lock and notifies."""
    version = store.version(connection, ramp.policy_id, ramp.version)
    ended = ramps.set_outcome(connection, ramp, "rolled_back", reason, evidence or None)
    store.set_status(connection, version, "rolled_back")
    payload = {
        "decision_id": str(ramp.decision_id),
        "digest": version.digest,
        "stays_active": ramp.control,
        "share": ramp.share,
        "step": ramp.step,
        "step_started_at": ramp.step_started_at.isoformat(),
        "reason": reason,
        "evidence": dict(evidence),
    }
    audit.append(connection, actor, "canary.rolled_back", ramp.ref, payload)
    return ended


def _begin(
    connection: sa.Connection,
    claim: Decision,
    chosen: PolicyVersion,
    current: PolicyVersion,
    plan: ramps.Plan,
    actor: str,
    claiming: Step,
) -> ramps.Ramp:
    pipeline.run(connection, [claiming])
    ramp = ramps.insert(connection, claim.decision_id, chosen, current.version, plan)
    store.set_status(connection, chosen, "canary")
    payload = {
        "decision_id": str(claim.decision_id),
        "digest": chosen.digest,
        "control": current.version,
        "plan": plan.ref,
        "share": ramp.share,
        "stages": list(plan.params.stages),
    }
    audit.append(connection, actor, "canary.began", chosen.ref, payload)
    notify(connection, claim.policy_id)
    return ramp


def _locked_decision(connection: sa.Connection, target: uuid.UUID | str) -> tuple[Decision, Policy]:
    """The decision that the target names and its policy, read under the locks of both."""
    if isinstance(target, str) and "@" in target:
        policy_id, number = parse_ref(target)
        store.lock_policy(connection, policy_id)
        store.version(connection, policy_id, number)
        found = decisions_of(connection, policy_id, number)
        if not found:
            raise Refused(
                "not_approved", f"{target} has no decision; approve it first: `cogorch policy approve {target}`"
            )
        return locked(connection, next((each for each in found if each.waits), found[-1]).decision_id)
    try:
        decision_id = target if isinstance(target, uuid.UUID) else uuid.UUID(target)
    except ValueError as error:
        raise InvalidInput(f"{target!r} is neither a decision id nor a reference such as router-core@1.0.1") from error
    return locked(connection, decision_id)


def _require_claimable(claim: Decision) -> None:
    if claim.action == "reject":
        raise Refused("rejected", f"{claim.ref} was rejected by {claim.actor}: {claim.reason}")
    if claim.claimed_at is not None:
        raise Refused(
            "already_claimed",
            f"decision {claim.decision_id} on {claim.ref} was used at {claim.claimed_at:%Y-%m-%d %H:%M:%S} UTC by "
            f"{claim.claimed_by}; a decision is used once, so decide again",
        )
    if claim.superseded_at is not None:
        raise Refused("superseded", f"decision {claim.decision_id} on {claim.ref} is void: a later one replaced it")


def _require_activatable(claim: Decision, chosen: PolicyVersion, current: PolicyVersion | None) -> None:
    possible = ("approved",) if claim.action == "approve" else ("archived", "rolled_back")
    never_proved = claim.action == "rollback" and chosen.activated_at is None
    if chosen.status not in possible or never_proved:
        raise Refused(
            "not_approved", f"{chosen.ref} is {chosen.status}, not {' or '.join(possible)}: decide on it again"
        )
    require_digest(chosen, claim.digest)
    if claim.action == "approve":
        store.require_parent_active(f"activating {chosen.ref}", chosen.parent, current)
