"""A running ramp moves: to its next share, into force, or back. Each move is one transaction with its audit record.

Every function reads the ramp again under the policy's lock and refuses when it is no longer as its caller saw it, so
judges that work side by side move it once, and a process that is killed leaves it before the move or after it. What
the evidence says is decided above this package; it comes as a JSON document and goes into the audit log.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.policies import activation, audit, decisions, findings, flags, limits, ramps, store
from cogorch_dagster.policies.activation import Activation
from cogorch_dagster.policies.document import check_text
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.ramps import Ramp
from cogorch_dagster.policies.replacement import notify, replace

RULE = "rule:canary"


def advance(
    connection: sa.Connection, seen: Ramp, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Ramp | Activation:
    """Give the canary the next share of its plan, or put it into force when none is left below 1.

    Args:
        seen: the ramp as it was when it was judged.
        evidence: the verdict, JSON; kept with the step and in the audit log.

    Raises:
        InvalidInput: no actor or no reason.
        Refused: `no_canary`, `canary_changed` (moved or ended since), `learning_disabled`, `digest_mismatch`,
            `stale_parent` (the control is no longer active), `invalid_params`, `incident_open`, `guard_violated` and
            `guard_failed` (by a rule that is in force by now).
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    ramp = _locked(connection, seen)
    flags.require_learning(connection, f"advancing {ramp.ref}")
    version = store.version(connection, ramp.policy_id, ramp.version)
    approval = decisions.decision(connection, ramp.decision_id)
    decisions.require_digest(version, approval.digest)
    current = store.active(connection, ramp.policy_id)
    store.require_parent_active(f"advancing {ramp.ref}", ramp.control, current)
    # A rule that came into force, or an incident that was opened since the ramp began, holds for it too.
    findings.require_no_incident(connection, f"advancing {ramp.ref}", version.component)
    limits.require("activate", version, current, store.policy(connection, ramp.policy_id).strictness)
    guards.require(connection, "activate", version, current, actor=actor)
    payload = {"decision_id": str(ramp.decision_id), "from": ramp.share, "to": ramp.next_share, "reason": reason}
    audit.append(connection, actor, "canary.advanced", ramp.ref, {**payload, "evidence": dict(evidence)})
    if ramp.next_share < 1:
        moved = ramps.set_step(connection, ramp, evidence or None)
        notify(connection, ramp.policy_id)
        return moved
    ramps.set_outcome(connection, ramp, "activated", reason, evidence or None)
    moment = replace(connection, approval, version, current, actor, evidence)
    return Activation(ramp.policy_id, ramp.version, ramp.control, moment, ramp.decision_id)


def abort(connection: sa.Connection, seen: Ramp, actor: str, reason: str, evidence: Mapping[str, Any]) -> Ramp:
    """Take the canary's traffic away; it ends as rolled back, and the active version has everything again.

    Possible while the kill switch is set and whatever was edited. Recorded as a decision of its own, which a rule may
    make (`RULE`): the document by which the version ramps allows it. Returns the ended ramp.

    Raises:
        InvalidInput: no actor or no reason.
        Refused: `no_canary`, `canary_changed`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    ramp = _locked(connection, seen)
    decisions.record_abort(connection, store.version(connection, ramp.policy_id, ramp.version), actor, reason)
    ended = activation.stop(connection, ramp, actor, reason, evidence)
    notify(connection, ramp.policy_id)
    return ended


def note(connection: sa.Connection, seen: Ramp, verdict: Mapping[str, Any]) -> bool:
    """Remember a judgement that moves nothing; audited when its verdict or what it waits for is another than before.

    Returns:
        False when the ramp has moved or ended since it was seen; nothing is written then.
    """
    before = seen.verdict or {}
    news = any(verdict.get(name) != before.get(name) for name in ("verdict", "waits_for"))
    if news:
        # Before any row lock, as every step of the life cycle.
        audit.hold(connection)
    if not ramps.set_verdict(connection, seen, verdict):
        return False
    if news:
        audit.append(connection, RULE, "canary.judged", seen.ref, {"share": seen.share, "evidence": dict(verdict)})
    return True


def running(connection: sa.Connection, policy_id: str) -> Ramp:
    """The ramp of a policy; raises Refused(`no_canary` or `unknown_policy`) when there is none."""
    store.policy(connection, policy_id)
    ramp = ramps.running(connection, policy_id)
    if ramp is None:
        raise Refused("no_canary", f"no version of {policy_id} ramps; `cogorch canary status` shows what did")
    return ramp


def _locked(connection: sa.Connection, seen: Ramp) -> Ramp:
    store.lock_policy(connection, seen.policy_id)
    ramp = running(connection, seen.policy_id)
    if _place(ramp) != _place(seen):
        raise Refused(
            "canary_changed",
            f"{seen.ref} was at {seen.share:.0%}; by now {ramp.ref} is at {ramp.share:.0%}. Look again.",
        )
    return ramp


def _place(ramp: Ramp) -> tuple[uuid.UUID, int]:
    return ramp.decision_id, ramp.step
