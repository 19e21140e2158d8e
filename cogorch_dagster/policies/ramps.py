"""Ramps as rows: which version takes over traffic from which, by which plan, how far it is and how it ended.

Here: reading ramps and the single steps on their rows. What may happen when is decided by `canary` (a running ramp)
and `activation` (its beginning); who judges lies above this package.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from cogorch_dagster.platform import pipeline
from cogorch_dagster.platform.pipeline import Rows, Step
from cogorch_dagster.platform.tables import canary_ramps
from cogorch_dagster.policies import store
from cogorch_dagster.policies.document import as_document, canonical_json
from cogorch_dagster.policies.kinds import CanaryParams
from cogorch_dagster.policies.store import PolicyVersion

# Components of these kinds split their traffic by version; any other would hold for ever without evidence.
RAMPED_KINDS = ("router",)

_NEWEST = (
    sa.select(canary_ramps)
    .where(canary_ramps.c.policy_id == sa.bindparam("policy_id"))
    .order_by(canary_ramps.c.started_at.desc())
    .limit(1)
)

# A canary that nobody has judged for so long is no longer served until somebody does.
UNJUDGED = timedelta(seconds=60)

Outcome = Literal["activated", "rolled_back"]


@dataclass(frozen=True)
class Plan:
    """The canary document by which a version ramps."""

    ref: str
    params: CanaryParams


@dataclass(frozen=True)
class Ramp:
    """One ramp, of `version` beside the active `control`; times are UTC.

    Attributes:
        decision_id: the approval that it rests on.
        step: index into `plan.params.shares`; `share` is the share of the traffic at that step, in (0, 1).
        changed_at: when followers last had to hear of it.
        judged_at, verdict: the latest judgement, None before the first.
        outcome: None while it runs.
    """

    decision_id: uuid.UUID
    policy_id: str
    version: str
    control: str
    plan: Plan
    step: int
    share: float
    started_at: datetime
    step_started_at: datetime
    changed_at: datetime
    judged_at: datetime | None
    verdict: dict[str, Any] | None
    ended_at: datetime | None
    outcome: Outcome | None
    reason: str | None

    @property
    def ref(self) -> str:
        """`router-core@1.0.1`, the version that ramps."""
        return f"{self.policy_id}@{self.version}"

    @property
    def next_share(self) -> float:
        """The share after this step; 1 is the activation."""
        later = self.plan.params.shares[self.step + 1 :]
        return later[0] if later else 1.0

    @property
    def unjudged_from(self) -> datetime:
        """From when on it counts as judged by nobody, unless it is judged again."""
        return max(self.changed_at, self.judged_at or self.changed_at) + UNJUDGED

    @property
    def gated(self) -> bool:
        """Whether only a person ends this step."""
        return self.share in self.plan.params.gates


def plan_for(connection: sa.Connection, version: PolicyVersion) -> Plan | None:
    """The canary document for a policy: its own, else the default of all; None when versions activate at once.

    Of two for the same policy the one activated last holds.
    """
    if version.kind not in RAMPED_KINDS:
        return None
    documents = [
        Plan(each.ref, _params(each.params))
        for each in sorted(store.active_of_kind(connection, "canary"), key=_activation)
    ]
    own = [each for each in documents if each.params.applies_to == version.policy_id]
    default = [each for each in documents if each.params.applies_to is None]
    chosen = own or default
    # A plan without a share below 1 says: at once.
    return chosen[-1] if chosen and chosen[-1].params.shares else None


def all_running(connection: sa.Connection) -> list[Ramp]:
    """Every ramp that has not ended."""
    return _ramps(connection, canary_ramps.c.ended_at.is_(None))


def running(connection: sa.Connection, policy_id: str) -> Ramp | None:
    """The ramp of a policy that has not ended; None when there is none."""
    condition = sa.and_(canary_ramps.c.policy_id == policy_id, canary_ramps.c.ended_at.is_(None))
    return next(iter(_ramps(connection, condition)), None)


def ramps(connection: sa.Connection, policy_id: str | None = None, *, limit: int = 100) -> list[Ramp]:
    """Ramps of one policy or of all, the newest first."""
    condition = sa.true() if policy_id is None else canary_ramps.c.policy_id == policy_id
    return _ramps(connection, condition, limit)


def latest(connection: sa.Connection, policy_id: str) -> Ramp | None:
    """The newest ramp of a policy, running or ended."""
    return read(pipeline.run(connection, [newest(policy_id)])[0])


def newest(policy_id: str) -> Step:
    """`latest` as a step of a pipeline; see `read`."""
    return Step(_NEWEST, {"policy_id": policy_id})


def read(rows: Rows) -> Ramp | None:
    """The ramp that `newest` has read; None when there never was one."""
    return _ramp(rows[0]) if rows else None


def insert(connection: sa.Connection, decision_id: uuid.UUID, version: PolicyVersion, control: str, plan: Plan) -> Ramp:
    """Begin a ramp at its first share; the caller holds the policy's lock and sets the version's status."""
    moment = sa.func.clock_timestamp()
    connection.execute(
        sa.insert(canary_ramps).values(
            decision_id=decision_id,
            policy_id=version.policy_id,
            version=version.version,
            control=control,
            plan_ref=plan.ref,
            plan=_jsonb(plan.params.model_dump(mode="json", by_alias=True)),
            step=0,
            share=plan.params.shares[0],
            started_at=moment,
            step_started_at=moment,
            changed_at=moment,
        )
    )
    return _of(connection, decision_id)


def set_step(connection: sa.Connection, ramp: Ramp, verdict: Mapping[str, Any] | None) -> Ramp:
    """Raise the share to that of the next step; the caller holds the policy's lock."""
    moment = sa.func.clock_timestamp()
    values = {"step": ramp.step + 1, "share": ramp.next_share, "step_started_at": moment, "changed_at": moment}
    _update(connection, ramp, {**values, **_verdict(verdict)})
    return _of(connection, ramp.decision_id)


def set_outcome(
    connection: sa.Connection, ramp: Ramp, outcome: Outcome, reason: str, verdict: Mapping[str, Any] | None
) -> Ramp:
    """End the ramp; the caller holds the policy's lock and moves the version itself."""
    # now() marks the transaction for the trigger that lets a canary become active; the clock orders changes.
    values = {"ended_at": sa.func.now(), "changed_at": sa.func.clock_timestamp(), "outcome": outcome, "reason": reason}
    _update(connection, ramp, {**values, **_verdict(verdict)})
    return _of(connection, ramp.decision_id)


def set_verdict(connection: sa.Connection, ramp: Ramp, verdict: Mapping[str, Any]) -> bool:
    """Remember the latest judgement of a step; False when the ramp is no longer at that step."""
    return _update(connection, ramp, _verdict(verdict))


def _update(connection: sa.Connection, ramp: Ramp, values: Mapping[str, Any]) -> bool:
    done = connection.execute(
        sa.update(canary_ramps)
        .where(
            canary_ramps.c.decision_id == ramp.decision_id,
            canary_ramps.c.step == ramp.step,
            canary_ramps.c.ended_at.is_(None),
        )
        .values(**values)
    )
    return done.rowcount == 1


def _verdict(verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {"verdict": _jsonb(verdict), "judged_at": sa.func.clock_timestamp()}


def _of(connection: sa.Connection, decision_id: uuid.UUID) -> Ramp:
    return _ramps(connection, canary_ramps.c.decision_id == decision_id)[0]


def _ramps(connection: sa.Connection, condition: sa.ColumnElement[bool], limit: int = 100) -> list[Ramp]:
    query = sa.select(canary_ramps).where(condition).order_by(canary_ramps.c.started_at.desc()).limit(limit)
    return [_ramp(row._mapping) for row in connection.execute(query)]


def _ramp(row: Mapping[Any, Any]) -> Ramp:
    fields = dict(row)
    for name in ("started_at", "step_started_at", "changed_at", "judged_at", "ended_at"):
        fields[name] = fields[name] and fields[name].astimezone(UTC)
    plan = Plan(fields.pop("plan_ref"), _params(fields.pop("plan")))
    return Ramp(plan=plan, **fields)


def _params(document: Mapping[str, Any]) -> CanaryParams:
    return CanaryParams.model_validate(dict(document), by_alias=True, by_name=False)


def _activation(version: PolicyVersion) -> tuple[datetime, str]:
    return version.activated_at or version.created_at, version.policy_id


def _jsonb(document: Mapping[str, Any]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.literal(canonical_json(as_document(dict(document))), sa.Text), JSONB)
