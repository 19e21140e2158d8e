"""A decided version takes the place of the one in force: statuses, audit log and notification, all of it or nothing.

Here: what is written. Whether it may be is decided by `activation` (a decision) and `canary` (the end of a ramp).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.platform import pipeline
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.policies import audit, store
from cogorch_dagster.policies.decisions import Decision
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.store import PolicyVersion

# Payload: the policy id. Listeners read the version themselves: a notification may be lost, a row is not.
CHANNEL = "cogorch_policy"
_NOTIFY = sa.select(sa.func.pg_notify(CHANNEL, sa.bindparam("policy_id", type_=sa.Text)))
LOOKED_AT: tuple[store.Status, ...] = ("active", "draft")
"""Statuses of the versions that a replacement looks at."""


@dataclass(frozen=True)
class Before:
    """What was found under the policy's lock: its drafts, among other versions, and the row of `audit.HEAD`."""

    standing: Sequence[PolicyVersion]
    head: Mapping[str, Any]


def replace(
    connection: sa.Connection,
    claim: Decision,
    chosen: PolicyVersion,
    current: PolicyVersion | None,
    actor: str,
    evidence: Mapping[str, Any] | None = None,
    *,
    first: Sequence[Step] = (),
    before: Before | None = None,
) -> datetime:
    """Put the decided version in the place of the present one, and notify; all of it, or nothing.

    Drafts that were proposed against another version expire. The caller holds the lock and has checked both versions.

    Args:
        evidence: of the ramp that the version has completed, for the audit log.
        first: what must be done before.
        before: as it still is; None: it is read.

    Returns:
        When it came into force, UTC.
    """
    if before is None:
        versions, (head,) = pipeline.run(connection, [store.standing(claim.policy_id, LOOKED_AT), audit.HEAD])
        before = Before(store.stood(versions), head)
    drafts = [each for each in before.standing if each.status == "draft"]
    moves, entries = _moves(claim, chosen, current, drafts, evidence)
    steps = [*first, *moves, *audit.appended(before.head, actor, entries)[1], _notifying(claim.policy_id)]
    done = pipeline.atomically(connection, steps)
    if claim.action == "rollback":
        _record_objections(connection, chosen, current, actor)
    (activated,) = done[len(first) + (current is not None)]
    moment: datetime = activated["activated_at"]
    return moment.astimezone(UTC)


def _moves(
    claim: Decision,
    chosen: PolicyVersion,
    current: PolicyVersion | None,
    drafts: Sequence[PolicyVersion],
    evidence: Mapping[str, Any] | None,
) -> tuple[list[Step], list[tuple[str, str, Mapping[str, Any]]]]:
    """Which versions change their status, and what is told of it in the audit log."""
    moves: list[Step] = []
    entries: list[tuple[str, str, Mapping[str, Any]]] = []
    if current is not None:
        ending: store.Status = "archived" if claim.action == "approve" else "rolled_back"
        moves.append(store.moved(current, ending))
        entries.append((f"version.{ending}", current.ref, {"replaced_by": chosen.ref}))
    payload = {
        "decision_id": str(claim.decision_id),
        "action": claim.action,
        "digest": chosen.digest,
        "previous": current.version if current else None,
        **({"canary": dict(evidence)} if evidence else {}),
    }
    moves.append(store.moved(chosen, "active"))
    entries.append(("version.activated", chosen.ref, payload))
    why = f"{chosen.ref} came into force; proposed against another version"
    for each in drafts:
        if each.parent != chosen.version:
            moves.append(store.moved(each, "expired"))
            entries.append(("version.expired", each.ref, {"from": each.status, "why": why}))
    return moves, entries


def _record_objections(
    connection: sa.Connection, chosen: PolicyVersion, current: PolicyVersion | None, actor: str
) -> None:
    """What the rules in force say of a version that was rolled back to: safety goes first, but it is not hidden."""
    found = guards.findings(connection, "rollback", chosen, current, actor=actor)
    objections = [{"guard": each.guard, "messages": each.messages, "failure": each.failure} for each in found]
    wrong = [shown for each, shown in zip(found, objections, strict=True) if not each.holds]
    if wrong:
        audit.append(connection, actor, "guard.overridden", chosen.ref, {"by": "rollback", "rules": wrong})


def notify(connection: sa.Connection, policy_id: str) -> None:
    """Tell the followers, once the transaction commits, that what is served of a policy has changed."""
    pipeline.run(connection, [_notifying(policy_id)])


def _notifying(policy_id: str) -> Step:
    return Step(_NOTIFY, {"policy_id": policy_id})
