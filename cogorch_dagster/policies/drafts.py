"""Drafts: proposing a version of a policy, and letting drafts expire that nobody has decided on.

Functions take the connection of the caller's transaction and never commit.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import policy_versions
from cogorch_dagster.policies import audit, flags, kinds, limits, store
from cogorch_dagster.policies.document import Bump, as_document, canonical_json, check_text, digest, next_version
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.store import PolicyVersion


def propose_version(
    connection: sa.Connection,
    policy_id: str,
    params: Mapping[str, Any],
    evidence: Mapping[str, Any] | None = None,
    parent: str | None = None,
    *,
    actor: str,
    bump: Bump = "patch",
) -> PolicyVersion:
    """Store a new draft; older drafts of the policy expire.

    Proposing the newest draft again, with equal params, parent and evidence, returns that draft.

    Args:
        params: validated by the policy's kind and stored with defaults filled in.
        evidence: any JSON object; the life cycle reads only `ci95` (see `autonomy.apply_mode`).
        parent: the version that this one improves on; None: the active one. Must be the active one.
        bump: which part of the highest version so far is raised.

    Raises:
        InvalidInput: the params or the evidence are not valid.
        Refused: `unknown_policy`, `unknown_version` (parent), `stale_parent` (another version is active by now),
            `no_change` (equal to the active version), `learning_disabled` (people's proposals included),
            `out_of_bounds`, `step_too_large` (see `limits`), `guard_violated`, `guard_failed`.
    """
    actor = check_text("actor", actor)
    owner = store.lock_policy(connection, policy_id)
    flags.require_learning(connection, f"a proposal for {policy_id}")
    document = kinds.validated(owner.kind, params)
    proof = None if evidence is None else as_document(evidence)
    new_digest = digest(document)
    current = store.active(connection, policy_id)
    if parent is not None:
        store.version(connection, policy_id, parent)
        store.require_parent_active(f"a proposal on {policy_id}@{parent}", parent, current)
    if current is not None and current.digest == new_digest:
        raise Refused("no_change", f"the parameters are those of the active {current.ref}; nothing to propose")
    parent = current.version if current else None
    existing = store.versions(connection, policy_id)
    drafts = [each for each in existing if each.status == "draft"]
    number = next_version((each.version for each in existing), bump)
    candidate = guards.Candidate(policy_id, owner.kind, owner.component, number, document)
    limits.require_within("propose", candidate, current, owner.strictness)
    guards.require(connection, "propose", candidate, current, actor=actor)
    if drafts and (drafts[-1].digest, drafts[-1].parent, drafts[-1].evidence) == (new_digest, parent, proof):
        return drafts[-1]
    store.expire(connection, drafts, actor=actor, why=f"{policy_id}@{number} was proposed")
    connection.execute(
        sa.insert(policy_versions).values(
            policy_id=policy_id,
            version=number,
            params=_jsonb(document),
            digest=new_digest,
            parent=parent,
            evidence=sa.null() if proof is None else _jsonb(proof),
            created_by=actor,
            created_at=sa.func.clock_timestamp(),
        )
    )
    payload = {"digest": new_digest, "parent": parent, "evidence_digest": None if proof is None else digest(proof)}
    audit.append(connection, actor, "version.proposed", f"{policy_id}@{number}", payload)
    return store.version(connection, policy_id, number)


def expire_drafts(
    connection: sa.Connection, older_than: timedelta, *, actor: str = "rule:draft_expiry"
) -> list[PolicyVersion]:
    """Expire the drafts of all policies that have waited longer for a decision; returns them as they were.

    Raises:
        InvalidInput: a negative duration.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than must not be negative, got {older_than}")
    audit.hold(connection)
    drafts = store.drafts_older_than(connection, older_than)
    store.expire(connection, drafts, actor=actor, why=f"no decision within {older_than}")
    return drafts


def _jsonb(document: dict[str, Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.literal(canonical_json(document), sa.Text), JSONB)
