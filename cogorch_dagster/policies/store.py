"""Policies and their immutable versions: creating, proposing, expiring and reading.

Functions take the connection of the caller's transaction and never commit. They rely on PostgreSQL's default
isolation (READ COMMITTED): after waiting for a lock the next statement sees what the holder committed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import policies as policies_table
from cogorch_dagster.platform.tables import policy_versions
from cogorch_dagster.policies import audit, flags, kinds, limits
from cogorch_dagster.policies.document import (
    Bump,
    as_document,
    canonical_json,
    check_policy_id,
    check_text,
    digest,
    next_version,
    version_key,
)
from cogorch_dagster.policies.guards import checks as guards
from cogorch_dagster.policies.parameter import Level, check_level

Mode = Literal["manual", "autonomous_threshold", "autonomous_all"]
Status = Literal["draft", "approved", "canary", "active", "archived", "rejected", "expired", "rolled_back"]
MODES: tuple[Mode, ...] = ("manual", "autonomous_threshold", "autonomous_all")

_VERSIONS = sa.select(policy_versions, policies_table.c.kind, policies_table.c.component).join_from(
    policy_versions, policies_table
)
_AND_ACTIVE = _VERSIONS.where(
    policy_versions.c.policy_id == sa.bindparam("policy_id"),
    sa.or_(policy_versions.c.version == sa.bindparam("version"), policy_versions.c.status == "active"),
)


@dataclass(frozen=True)
class Policy:
    """What has versions: its kind, the component it steers (None: see its params), and who may approve.

    `threshold` is the lower bound of the improvement from which `autonomous_threshold` approves by itself.
    `strictness` says how far versions may go, in every mode; it binds the kinds of `hyperparameters`.
    """

    policy_id: str
    kind: str
    component: str | None
    mode: Mode
    threshold: float
    strictness: Level
    created_at: datetime


@dataclass(frozen=True)
class PolicyVersion:
    """One immutable version; only its status and the two times change.

    `digest` is the stored one; `digest_matches` says whether it is still that of the stored params.
    """

    policy_id: str
    version: str
    kind: str
    component: str | None
    params: dict[str, Any]
    digest: str
    parent: str | None
    evidence: dict[str, Any] | None
    status: Status
    created_at: datetime
    created_by: str
    activated_at: datetime | None
    ended_at: datetime | None

    @property
    def ref(self) -> str:
        """`router-core@1.0.1`."""
        return f"{self.policy_id}@{self.version}"

    @property
    def digest_matches(self) -> bool:
        return digest(self.params) == self.digest


def create_policy(
    connection: sa.Connection,
    policy_id: str,
    kind: str,
    component: str | None = None,
    *,
    mode: Mode = "manual",
    threshold: float = 0.03,
    strictness: Level = "standard",
    actor: str,
) -> Policy:
    """Create a policy without versions.

    Raises:
        InvalidInput: the id, kind, mode, threshold or strictness is not possible.
        Refused: `policy_exists`.
    """
    check_policy_id(policy_id)
    kinds.model_of(kind)
    _check_mode(mode, threshold)
    check_level(strictness)
    actor = check_text("actor", actor)
    audit.hold(connection)
    if _policy_row(connection, policy_id) is not None:
        raise Refused("policy_exists", f"policy {policy_id} exists already; propose a version of it instead")
    values = {
        "kind": kind,
        "component": component,
        "mode": mode,
        "threshold": threshold,
        "strictness": strictness,
    }
    connection.execute(sa.insert(policies_table).values(policy_id=policy_id, **values))
    audit.append(connection, actor, "policy.created", policy_id, values)
    return policy(connection, policy_id)


def set_mode(
    connection: sa.Connection,
    policy_id: str,
    mode: Mode,
    *,
    threshold: float | None = None,
    actor: str,
    reason: str,
) -> Policy:
    """Change who may approve the policy's versions; recorded with the reason.

    Args:
        threshold: lower bound of the improvement for `autonomous_threshold`, 0 to 1; None keeps the present one.

    Raises:
        InvalidInput: no such mode, a threshold out of bounds, or no reason.
        Refused: `unknown_policy`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    before = lock_policy(connection, policy_id)
    new_threshold = before.threshold if threshold is None else threshold
    _check_mode(mode, new_threshold)
    if (mode, new_threshold) == (before.mode, before.threshold):
        return before
    connection.execute(
        sa.update(policies_table)
        .where(policies_table.c.policy_id == policy_id)
        .values(mode=mode, threshold=new_threshold)
    )
    payload = {
        "from": {"mode": before.mode, "threshold": before.threshold},
        "to": {"mode": mode, "threshold": new_threshold},
        "reason": reason,
    }
    audit.append(connection, actor, "policy.mode_set", policy_id, payload)
    return policy(connection, policy_id)


def set_strictness(connection: sa.Connection, policy_id: str, level: Level, *, actor: str, reason: str) -> Policy:
    """Change how far the policy's versions may go from now on; recorded with the reason.

    What is in force stays, also where the new level would not allow it; the next version then has to come back.
    Approvals that wait for their activation are held to the new level.

    Raises:
        InvalidInput: no such level, or no reason.
        Refused: `unknown_policy`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    check_level(level)
    before = lock_policy(connection, policy_id)
    if level == before.strictness:
        return before
    connection.execute(
        sa.update(policies_table).where(policies_table.c.policy_id == policy_id).values(strictness=level)
    )
    payload = {"from": before.strictness, "to": level, "reason": reason}
    audit.append(connection, actor, "policy.strictness_set", policy_id, payload)
    return policy(connection, policy_id)


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
        evidence: any JSON object; the life cycle reads only `ci95` (see `decisions.apply_mode`).
        parent: the version that this one improves on; None: the active one. Must be the active one.
        bump: which part of the highest version so far is raised.

    Raises:
        InvalidInput: the params or the evidence are not valid.
        Refused: `unknown_policy`, `unknown_version` (parent), `stale_parent` (another version is active by now),
            `no_change` (equal to the active version), `learning_disabled` (people's proposals included),
            `out_of_bounds`, `step_too_large` (see `limits`), `guard_violated`, `guard_failed`.
    """
    actor = check_text("actor", actor)
    owner = lock_policy(connection, policy_id)
    flags.require_learning(connection, f"a proposal for {policy_id}")
    document = kinds.validated(owner.kind, params)
    proof = None if evidence is None else as_document(evidence)
    new_digest = digest(document)
    current = active(connection, policy_id)
    if parent is not None:
        version(connection, policy_id, parent)
        require_parent_active(f"a proposal on {policy_id}@{parent}", parent, current)
    if current is not None and current.digest == new_digest:
        raise Refused("no_change", f"the parameters are those of the active {current.ref}; nothing to propose")
    parent = current.version if current else None
    existing = versions(connection, policy_id)
    drafts = [each for each in existing if each.status == "draft"]
    number = next_version((each.version for each in existing), bump)
    candidate = guards.Candidate(policy_id, owner.kind, owner.component, number, document)
    limits.require_within("propose", candidate, current, owner.strictness)
    guards.require(connection, "propose", candidate, current, actor=actor)
    if drafts and (drafts[-1].digest, drafts[-1].parent, drafts[-1].evidence) == (new_digest, parent, proof):
        return drafts[-1]
    expire(connection, drafts, actor=actor, why=f"{policy_id}@{number} was proposed")
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
    return version(connection, policy_id, number)


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
    old = sa.and_(
        policy_versions.c.status == "draft",
        policy_versions.c.created_at < sa.func.clock_timestamp() - sa.literal(older_than, sa.Interval),
    )
    drafts = _sorted(_versions(connection, old))
    expire(connection, drafts, actor=actor, why=f"no decision within {older_than}")
    return drafts


def policy(connection: sa.Connection, policy_id: str) -> Policy:
    """Raises Refused(`unknown_policy`) when there is none of that id."""
    row = _policy_row(connection, policy_id)
    if row is None:
        raise _unknown_policy(connection, policy_id)
    return policy_from(row._mapping)


def policies(connection: sa.Connection, kind: str | None = None) -> list[Policy]:
    """All policies, or those of one kind, by id."""
    query = sa.select(policies_table).order_by(policies_table.c.policy_id)
    if kind is not None:
        query = query.where(policies_table.c.kind == kind)
    return [policy_from(row._mapping) for row in connection.execute(query)]


def version(connection: sa.Connection, policy_id: str, number: str) -> PolicyVersion:
    """One version; raises Refused(`unknown_version` or `unknown_policy`) when it does not exist."""
    of = sa.and_(policy_versions.c.policy_id == policy_id, policy_versions.c.version == number)
    found = _versions(connection, of)
    if not found:
        policy(connection, policy_id)
        known = ", ".join(each.version for each in versions(connection, policy_id)[-5:]) or "none"
        raise Refused("unknown_version", f"{policy_id} has no version {number}; the latest are: {known}")
    return found[0]


def versions(
    connection: sa.Connection, policy_id: str | None = None, status: Status | None = None
) -> list[PolicyVersion]:
    """Versions by policy, lowest number first."""
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if policy_id is not None:
        conditions.append(policy_versions.c.policy_id == policy_id)
    if status is not None:
        conditions.append(policy_versions.c.status == status)
    return _sorted(_versions(connection, sa.and_(*conditions)))


def active(connection: sa.Connection, policy_id: str) -> PolicyVersion | None:
    """The version in force; None when none was ever activated."""
    of = sa.and_(policy_versions.c.policy_id == policy_id, policy_versions.c.status == "active")
    return next(iter(_versions(connection, of)), None)


def version_and_active(
    connection: sa.Connection, policy_id: str, number: str
) -> tuple[PolicyVersion, PolicyVersion | None]:
    """`version` and `active` by one statement."""
    found = [_version(row) for row in connection.execute(_AND_ACTIVE, {"policy_id": policy_id, "version": number})]
    named = [each for each in found if each.version == number]
    # What the other function refuses, it refuses with the numbers that there are.
    chosen = named[0] if named else version(connection, policy_id, number)
    return chosen, next((each for each in found if each.status == "active"), None)


def active_of_kind(connection: sa.Connection, kind: str) -> list[PolicyVersion]:
    """The versions in force of every policy of a kind, by policy id."""
    of = sa.and_(policies_table.c.kind == kind, policy_versions.c.status == "active")
    return _sorted(_versions(connection, of))


def lock_policy(connection: sa.Connection, policy_id: str) -> Policy:
    """Hold the log's lock and the policy's row until the transaction ends; raises Refused(`unknown_policy`)."""
    audit.hold(connection)
    query = sa.select(policies_table).where(policies_table.c.policy_id == policy_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _unknown_policy(connection, policy_id)
    return policy_from(row._mapping)


def set_status(connection: sa.Connection, of: PolicyVersion, status: Status) -> datetime | None:
    """Move one version to another status with its times; the caller holds `lock_policy` and writes the audit record.

    Returns:
        When the version was activated last, UTC: now, for `active`.
    """
    ended = status in ("archived", "rejected", "expired", "rolled_back")
    values: dict[str, Any] = {"status": status, "ended_at": sa.func.clock_timestamp() if ended else None}
    if status == "active":
        values["activated_at"] = sa.func.clock_timestamp()
    activated_at: datetime | None = connection.execute(
        sa.update(policy_versions)
        .where(policy_versions.c.policy_id == of.policy_id, policy_versions.c.version == of.version)
        .values(values)
        .returning(policy_versions.c.activated_at)
    ).scalar_one()
    return activated_at and activated_at.astimezone(UTC)


def expire(connection: sa.Connection, which: Iterable[PolicyVersion], *, actor: str, why: str) -> None:
    """Expire open versions, each with an audit record; the caller holds the lock."""
    for each in which:
        set_status(connection, each, "expired")
        audit.append(connection, actor, "version.expired", each.ref, {"from": each.status, "why": why})


def require_parent_active(what: str, parent: str | None, current: PolicyVersion | None) -> None:
    """Raises Refused(`stale_parent`) unless the parent is the version in force (None: none is in force)."""
    if parent != (current.version if current else None):
        raise Refused(
            "stale_parent",
            f"{what} is refused: its parent is {parent or 'none'}, but {current.version if current else 'none'} "
            "is active, so its evidence compares with the wrong version; propose again",
        )


def _versions(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[PolicyVersion]:
    return [_version(row) for row in connection.execute(_VERSIONS.where(condition))]


def _version(row: sa.Row[Any]) -> PolicyVersion:
    fields = dict(row._mapping)
    for name in ("created_at", "activated_at", "ended_at"):
        fields[name] = fields[name] and fields[name].astimezone(UTC)
    return PolicyVersion(**fields)


def _sorted(found: list[PolicyVersion]) -> list[PolicyVersion]:
    return sorted(found, key=lambda each: (each.policy_id, version_key(each.version)))


def _policy_row(connection: sa.Connection, policy_id: str) -> sa.Row[Any] | None:
    query = sa.select(policies_table).where(policies_table.c.policy_id == policy_id)
    return connection.execute(query).one_or_none()


def policy_from(fields: Mapping[Any, Any]) -> Policy:
    """A policy of the columns of its row."""
    return Policy(**{**fields, "created_at": fields["created_at"].astimezone(UTC)})


def _unknown_policy(connection: sa.Connection, policy_id: str) -> Refused:
    known = ", ".join(each.policy_id for each in policies(connection)[:10]) or "none"
    return Refused("unknown_policy", f"there is no policy {policy_id!r}; known policies: {known}")


def _check_mode(mode: str, threshold: float) -> None:
    if mode not in MODES:
        raise InvalidInput(f"mode {mode!r} is none of {', '.join(MODES)}")
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold must be 0 to 1, got {threshold}")


def _jsonb(document: dict[str, Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.literal(canonical_json(document), sa.Text), JSONB)
