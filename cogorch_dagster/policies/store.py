"""Policies and their immutable versions as rows: reading and locking them, and moving a version's status.

What is done to a policy is in `administration`, what becomes of its versions in `drafts`, `decisions` and `activation`.

Functions take the connection of the caller's transaction and never commit. They rely on PostgreSQL's default
isolation (READ COMMITTED): after waiting for a lock the next statement sees what the holder committed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import pipeline
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.platform.tables import policies as policies_table
from cogorch_dagster.platform.tables import policy_versions
from cogorch_dagster.policies import audit
from cogorch_dagster.policies.document import (
    digest,
    version_key,
)
from cogorch_dagster.policies.parameter import Level

Mode = Literal["manual", "autonomous_threshold", "autonomous_all"]
Status = Literal["draft", "approved", "canary", "active", "archived", "rejected", "expired", "rolled_back"]

_VERSIONS = sa.select(policy_versions, policies_table.c.kind, policies_table.c.component).join_from(
    policy_versions, policies_table
)
_STANDING = _VERSIONS.where(
    policy_versions.c.policy_id == sa.bindparam("policy_id"),
    sa.or_(
        policy_versions.c.version == sa.bindparam("version"),
        policy_versions.c.status == sa.any_(sa.bindparam("statuses", type_=ARRAY(sa.Text))),
    ),
)
_STATUS = sa.bindparam("new_status", type_=sa.Text)
_ENDED = dict.fromkeys(("archived", "rejected", "expired", "rolled_back"), sa.func.clock_timestamp())
_SET_STATUS = (
    sa.update(policy_versions)
    .where(policy_versions.c.policy_id == sa.bindparam("of"), policy_versions.c.version == sa.bindparam("number"))
    .values(
        status=_STATUS,
        activated_at=sa.case(
            {"active": sa.func.clock_timestamp()}, value=_STATUS, else_=policy_versions.c.activated_at
        ),
        ended_at=sa.case(_ENDED, value=_STATUS),
    )
    .returning(policy_versions.c.activated_at)
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


def policy(connection: sa.Connection, policy_id: str) -> Policy:
    """Raises Refused(`unknown_policy`) when there is none of that id."""
    query = sa.select(policies_table).where(policies_table.c.policy_id == policy_id)
    row = connection.execute(query).one_or_none()
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


def standing(policy_id: str, statuses: Sequence[Status], number: str | None = None) -> Step:
    """Reads the versions of a policy that have one of these statuses, or this number; see `stood`."""
    return Step(_STANDING, {"policy_id": policy_id, "statuses": list(statuses), "version": number})


def stood(rows: pipeline.Rows) -> list[PolicyVersion]:
    """The versions that `standing` has read, lowest number first."""
    return _sorted([_version(row) for row in rows])


def active_of_kind(connection: sa.Connection, kind: str) -> list[PolicyVersion]:
    """The versions in force of every policy of a kind, by policy id."""
    of = sa.and_(policies_table.c.kind == kind, policy_versions.c.status == "active")
    return _sorted(_versions(connection, of))


def drafts_older_than(connection: sa.Connection, age: timedelta) -> list[PolicyVersion]:
    """The drafts of every policy that were proposed longer ago, by policy, lowest number first."""
    old = policy_versions.c.created_at < sa.func.clock_timestamp() - sa.literal(age, sa.Interval)
    return _sorted(_versions(connection, sa.and_(policy_versions.c.status == "draft", old)))


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
    step = moved(of, status)
    activated_at: datetime | None = connection.execute(step.statement, step.values).scalar_one()
    return activated_at and activated_at.astimezone(UTC)


def moved(of: PolicyVersion, status: Status) -> Step:
    """`set_status` as a step of a pipeline; its row has `activated_at`."""
    return Step(_SET_STATUS, {"of": of.policy_id, "number": of.version, "new_status": status})


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
    return [_version(row._mapping) for row in connection.execute(_VERSIONS.where(condition))]


def _version(row: Mapping[Any, Any]) -> PolicyVersion:
    fields = dict(row)
    for name in ("created_at", "activated_at", "ended_at"):
        fields[name] = fields[name] and fields[name].astimezone(UTC)
    return PolicyVersion(**fields)


def _sorted(found: list[PolicyVersion]) -> list[PolicyVersion]:
    return sorted(found, key=lambda each: (each.policy_id, version_key(each.version)))


def policy_from(fields: Mapping[Any, Any]) -> Policy:
    """A policy of the columns of its row."""
    return Policy(**{**fields, "created_at": fields["created_at"].astimezone(UTC)})


def _unknown_policy(connection: sa.Connection, policy_id: str) -> Refused:
    known = ", ".join(each.policy_id for each in policies(connection)[:10]) or "none"
    return Refused("unknown_policy", f"there is no policy {policy_id!r}; known policies: {known}")
