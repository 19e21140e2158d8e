"""Decisions: who approves, rejects, rolls back or aborts which version, by its digest, and why.

At most one decision of a policy waits for its activation. A new one supersedes it, so the latest word counts. To abort
a canary is to decide against it; that takes effect where it is made (`canary.abort`) and waits for nothing.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import pipeline
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.platform.tables import decisions, policies
from cogorch_dagster.policies import audit, limits, store
from cogorch_dagster.policies.document import check_text
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.store import Policy, PolicyVersion

Action = Literal["approve", "reject", "rollback", "abort"]

# The policy's row before the decision's, in the order that everybody keeps.
_LOCK = (
    sa.select(decisions, *(column.label(f"owner_{column.name}") for column in policies.c))
    .join_from(policies, decisions, policies.c.policy_id == decisions.c.policy_id)
    .where(decisions.c.decision_id == sa.bindparam("of"))
    .with_for_update(of=[policies, decisions])
)


@dataclass(frozen=True)
class Decision:
    """One decision; it is used when `claimed_at` is set, and void when `superseded_at` is."""

    decision_id: uuid.UUID
    policy_id: str
    version: str
    digest: str
    action: Action
    actor: str
    reason: str
    decided_at: datetime
    claimed_at: datetime | None
    claimed_by: str | None
    superseded_at: datetime | None

    @property
    def ref(self) -> str:
        """`router-core@1.0.1`."""
        return f"{self.policy_id}@{self.version}"

    @property
    def waits(self) -> bool:
        """Whether an activation may still claim it."""
        return self.action not in ("reject", "abort") and self.claimed_at is None and self.superseded_at is None


def approve(
    connection: sa.Connection, policy_id: str, version: str, actor: str, reason: str, *, digest: str | None = None
) -> Decision:
    """Approve a draft; another version that was approved and not yet activated expires.

    Args:
        digest: what the approver has seen; refused when the version has another one.

    Raises:
        InvalidInput: no actor or no reason.
        Refused: `unknown_policy`, `unknown_version`, `digest_mismatch`, `stale_parent`, `already_approved`,
            `already_active`, `rejected`, `expired`, `not_a_draft` (was active before: roll back to it),
            `invalid_params`, `out_of_bounds`, `step_too_large` (see `limits`), `guard_violated`, `guard_failed`.
    """
    policy = store.lock_policy(connection, policy_id)
    target = store.version(connection, policy_id, version)
    if target.status != "draft":
        _refuse_approval(target)
    require_digest(target, digest)
    current = store.active(connection, policy_id)
    store.require_parent_active(f"approving {target.ref}", target.parent, current)
    limits.require("approve", target, current, policy.strictness)
    guards.require(connection, "approve", target, current, actor=actor)
    decision = _decide(connection, target, "approve", actor, reason)
    store.set_status(connection, target, "approved")
    return decision


def reject(
    connection: sa.Connection, policy_id: str, version: str, actor: str, reason: str, *, digest: str | None = None
) -> Decision:
    """Reject a draft, or an approved version that is not activated yet: its approval is void.

    Raises:
        InvalidInput: no actor or no reason.
        Refused: `unknown_policy`, `unknown_version`, `digest_mismatch` (only against a given `digest`), `rejected`,
            `expired`, `already_active`, `not_a_draft`.
    """
    store.lock_policy(connection, policy_id)
    target = store.version(connection, policy_id, version)
    if target.status not in ("draft", "approved"):
        _refuse_approval(target)
    if digest is not None and digest != target.digest:
        _refuse_digest(target, f"the rejection names {digest}, the version has {target.digest}")
    decision = _decide(connection, target, "reject", actor, reason)
    store.set_status(connection, target, "rejected")
    return decision


def rollback(
    connection: sa.Connection, policy_id: str, version: str, actor: str, reason: str, *, digest: str | None = None
) -> Decision:
    """Decide to return to a version that was active before; the active one will end as rolled back.

    Possible while the kill switch is set. A version that was itself rolled back may be named: this is the new
    decision that it needs.

    Raises:
        InvalidInput: no actor or no reason.
        Refused: `unknown_policy`, `unknown_version`, `already_active`, `never_active`, `digest_mismatch`.
    """
    store.lock_policy(connection, policy_id)
    target = store.version(connection, policy_id, version)
    if target.status == "active":
        raise Refused(
            "already_active", f"{target.ref} is the active version already; name the earlier one to return to"
        )
    if target.status not in ("archived", "rolled_back") or target.activated_at is None:
        # A version that failed as a canary has never proved itself: proposed again, it ramps again.
        raise Refused(
            "never_active", f"{target.ref} is {target.status} and was never active; roll back to an archived version"
        )
    require_digest(target, digest)
    return _decide(connection, target, "rollback", actor, reason)


def record_abort(connection: sa.Connection, target: PolicyVersion, actor: str, reason: str) -> Decision:
    """Record that a canary is ended; the caller, who holds the policy's lock, ends it in the same transaction."""
    return _decide(connection, target, "abort", actor, reason)


def waiting(connection: sa.Connection, policy_id: str | None = None) -> list[Decision]:
    """The decisions that wait for their activation, oldest first; at most one per policy."""
    condition = sa.and_(
        decisions.c.claimed_at.is_(None), decisions.c.superseded_at.is_(None), decisions.c.action != "reject"
    )
    return _decisions(connection, condition if policy_id is None else sa.and_(condition, _of(policy_id)))


def decisions_of(connection: sa.Connection, policy_id: str, version: str | None = None) -> list[Decision]:
    """All decisions on a policy, or on one version of it, oldest first."""
    condition = _of(policy_id)
    return _decisions(connection, condition if version is None else sa.and_(condition, decisions.c.version == version))


def expired_by(connection: sa.Connection, made: Decision) -> list[str]:
    """The approved versions that a decision, made in this transaction, has let expire, as `router-core@1.0.2`."""
    found = audit.records(connection, subject=made.policy_id, event="version.expired", limit=10)
    return [each.subject for each in found if str(each.payload.get("why", "")).startswith(_name(made.decision_id))]


def decision(connection: sa.Connection, decision_id: uuid.UUID) -> Decision:
    """Raises Refused(`unknown_decision`) when there is none of that id."""
    found = _decisions(connection, decisions.c.decision_id == decision_id)
    if not found:
        raise Refused("unknown_decision", f"there is no decision {decision_id}")
    return found[0]


def locked(connection: sa.Connection, decision_id: uuid.UUID) -> tuple[Decision, Policy]:
    """A decision as it is once whoever is claiming it has finished, and its policy, both held as `lock_policy` does.

    The policy's lock holds off this package alone. What writes around it locks the decision first too (the trigger on
    versions wants it claimed), so nothing that is read after this call changes between two statements.

    Raises:
        Refused: `unknown_decision`.
    """
    rows = pipeline.run(connection, [audit.HOLD, Step(_LOCK, {"of": decision_id})])[1]
    if not rows:
        raise Refused("unknown_decision", f"there is no decision {decision_id}")
    fields = rows[0]
    owner = {name: fields.pop(f"owner_{name}") for name in policies.c.keys()}  # noqa: SIM118
    return _decision(fields), store.policy_from(owner)


def require_digest(target: PolicyVersion, named: str | None) -> None:
    """Raises Refused(`digest_mismatch`) unless stored params, stored digest and the named digest agree."""
    if not target.digest_matches:
        _refuse_digest(target, "its stored parameters are not those that it was proposed with: the row was edited")
    if named is not None and named != target.digest:
        _refuse_digest(target, f"the decision names {named}, the version has {target.digest}")


def _decide(connection: sa.Connection, target: PolicyVersion, action: Action, actor: str, reason: str) -> Decision:
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    decision_id = uuid.uuid4()
    _supersede(connection, target, action, actor, f"{_name(decision_id)}to {action} {target.ref}")
    connection.execute(
        sa.insert(decisions).values(
            decision_id=decision_id,
            policy_id=target.policy_id,
            version=target.version,
            digest=target.digest,
            action=action,
            actor=actor,
            reason=reason,
            decided_at=sa.func.clock_timestamp(),
            claimed_at=sa.func.now() if action == "abort" else None,
            claimed_by=actor if action == "abort" else None,
        )
    )
    event = {
        "approve": "version.approved",
        "reject": "version.rejected",
        "rollback": "version.rollback_decided",
        "abort": "version.abort_decided",
    }[action]
    payload = {"decision_id": str(decision_id), "digest": target.digest, "reason": reason}
    audit.append(connection, actor, event, target.ref, payload)
    return decision(connection, decision_id)


def _name(decision_id: uuid.UUID) -> str:
    """How the audit log's reasons begin where a decision is the reason."""
    return f"decision {decision_id} "


def _supersede(connection: sa.Connection, target: PolicyVersion, action: Action, actor: str, why: str) -> None:
    """Void the waiting decision that the new one contradicts; the version it had approved expires."""
    for old in waiting(connection, target.policy_id):
        if action in ("reject", "abort") and old.version != target.version:
            continue
        connection.execute(
            sa.update(decisions)
            .where(decisions.c.decision_id == old.decision_id)
            .values(superseded_at=sa.func.clock_timestamp())
        )
        payload = {"decision_id": str(old.decision_id), "action": old.action, "why": why}
        audit.append(connection, actor, "decision.superseded", old.ref, payload)
        if old.action == "approve" and old.version != target.version:
            stale = store.version(connection, old.policy_id, old.version)
            store.expire(connection, [stale], actor=actor, why=why)


def _refuse_approval(target: PolicyVersion) -> NoReturn:
    reason, remedy = {
        "approved": ("already_approved", "it waits for its activation"),
        "canary": (
            "already_approved",
            "it is being tried on a share of the traffic; end that with `cogorch canary abort`",
        ),
        "active": ("already_active", "nothing is left to decide"),
        "rejected": ("rejected", "propose again"),
        "expired": ("expired", "propose again"),
    }.get(target.status, ("not_a_draft", f"it was active before: `cogorch policy rollback {target.ref}`"))
    raise Refused(reason, f"{target.ref} is {target.status}: {remedy}")


def _refuse_digest(target: PolicyVersion, why: str) -> NoReturn:
    raise Refused(
        "digest_mismatch", f"{target.ref} is refused: {why}. Propose the parameters you want as a new version."
    )


def _of(policy_id: str) -> sa.ColumnElement[bool]:
    return decisions.c.policy_id == policy_id


def _decisions(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Decision]:
    query = sa.select(decisions).where(condition).order_by(decisions.c.decided_at, decisions.c.decision_id)
    return [_decision(row._mapping) for row in connection.execute(query)]


def _decision(row: Mapping[Any, Any]) -> Decision:
    fields = dict(row)
    for name in ("decided_at", "claimed_at", "superseded_at"):
        fields[name] = fields[name] and fields[name].astimezone(UTC)
    return Decision(**fields)
