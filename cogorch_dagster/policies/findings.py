"""What drift detection has found, as the control plane keeps it: incidents that open and close, and regime changes.

Kept here, below what detects, because an open incident refuses activations. Detection is `evaluation.drift`. A regime
change is written down ended: it asks for something (tuning) once and blocks nothing.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import drift_findings
from cogorch_dagster.policies import audit
from cogorch_dagster.policies.document import as_document, canonical_json, check_text

Sort = Literal["incident", "regime"]
DETECTOR = "rule:drift"
# Below it the slices that change most are about as much of the change as of the traffic.
LEAST_CONCENTRATION = 0.1


@dataclass(frozen=True)
class Finding:
    """One incident or regime change of one metric of one component.

    Attributes:
        kind: `incident`, or of a regime `level`, `spread` or `trend`.
        began_at: when it began, estimated. known_at: end of the bucket after which it was known.
        ended_at: None while an incident is open; of a regime change the time it was written down.
        before, after: the metric's mean beforehand and since; milliseconds for latency, else shares or reward.
        size: in robust s.d. of what is normal at that hour; of a spread the new s.d. over the old one, minus 1.
        details: what explains it: `slices`, `coincides_with` (a version that came into force at the time) and more.
    """

    finding_id: uuid.UUID
    sort: Sort
    component: str
    metric: str
    kind: str
    began_at: datetime
    known_at: datetime
    found_at: datetime
    ended_at: datetime | None
    closed_by: str | None
    close_reason: str | None
    before: float | None
    after: float | None
    size: float
    details: dict[str, Any]

    @property
    def because(self) -> str:
        """The slices that explain most of it: `tenant acme (82 % of it)`; or that they changed alike."""
        explanations = self.details.get("explanations") or []
        if not explanations or explanations[0]["concentration"] < LEAST_CONCENTRATION:
            return "every slice alike"
        first = explanations[0]
        named = ", ".join(each["value"] for each in first["slices"])
        return f"{first['dimension']} {named} ({min(first['explained'], 1.0):.0%} of it)"


def findings(
    connection: sa.Connection,
    *,
    component: str | None = None,
    sort: Sort | None = None,
    open_only: bool = False,
    since: datetime | None = None,
    limit: int = 1000,
) -> list[Finding]:
    """The newest first.

    Args:
        since: only those known at this moment or later, or still open.
    """
    query = sa.select(drift_findings).order_by(drift_findings.c.known_at.desc(), drift_findings.c.metric).limit(limit)
    if component is not None:
        query = query.where(drift_findings.c.component == component)
    if sort is not None:
        query = query.where(drift_findings.c.sort == sort)
    if open_only:
        query = query.where(drift_findings.c.ended_at.is_(None))
    if since is not None:
        query = query.where(sa.or_(drift_findings.c.known_at >= since, drift_findings.c.ended_at.is_(None)))
    return [_finding(row) for row in connection.execute(query)]


def require_no_incident(connection: sa.Connection, what: str, component: str | None) -> None:
    """Raises Refused(`incident_open`) while an incident of the component is open; a policy without one passes."""
    if component is None:
        return
    found = findings(connection, component=component, sort="incident", open_only=True)
    if found:
        listed = "; ".join(f"{each.metric} since {each.began_at:%Y-%m-%d %H:%M} UTC" for each in found[:3])
        raise Refused(
            "incident_open",
            f"{what} is refused: {len(found)} open incident{'s' if len(found) > 1 else ''} of {component} ({listed}; "
            f"{found[0].finding_id}). It becomes possible when the incident ends, or after "
            f"`cogorch incidents close {found[0].finding_id} --reason ...`; rolling back is possible meanwhile.",
        )


def insert(connection: sa.Connection, found: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Write new findings down; a regime change at once as ended. Each is audited.

    Args:
        found: sort, component, metric, kind, began_at, known_at, ended_at, before, after, size, details of each.
    """
    made = []
    for each in found:
        row = dict(each)
        over = row["sort"] == "regime" or row.get("ended_at") is not None
        values = {
            **row,
            "finding_id": uuid.uuid4(),
            "details": sa.cast(sa.literal(canonical_json(as_document(row["details"])), sa.Text), JSONB),
            "ended_at": row.get("ended_at") or (sa.func.clock_timestamp() if over else None),
            "closed_by": DETECTOR if over else None,
            "found_at": sa.func.clock_timestamp(),
        }
        connection.execute(sa.insert(drift_findings).values(**values))
        finding = _one(connection, values["finding_id"])
        event = "regime.changed" if finding.sort == "regime" else "incident.opened"
        audit.append(connection, DETECTOR, event, f"component:{finding.component}", _payload(finding))
        made.append(finding)
    return made


def close(
    connection: sa.Connection,
    finding_id: uuid.UUID | str,
    *,
    actor: str,
    reason: str,
    ended_at: datetime | None = None,
) -> Finding:
    """End an open incident; closing a closed one changes nothing.

    Args:
        ended_at: when it ended; now unless given.

    Raises:
        InvalidInput: not an id, or no reason.
        Refused: `unknown_incident`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    audit.hold(connection)
    found = _one(connection, finding_id)
    if found.ended_at is not None:
        return found
    connection.execute(
        sa.update(drift_findings)
        .where(drift_findings.c.finding_id == found.finding_id)
        .values(ended_at=ended_at or sa.func.clock_timestamp(), closed_by=actor, close_reason=reason)
    )
    closed = _one(connection, found.finding_id)
    payload = {**_payload(closed), "reason": reason}
    audit.append(connection, actor, "incident.closed", f"component:{closed.component}", payload)
    return closed


def _one(connection: sa.Connection, finding_id: uuid.UUID | str) -> Finding:
    try:
        wanted = finding_id if isinstance(finding_id, uuid.UUID) else uuid.UUID(finding_id)
    except ValueError as error:
        raise InvalidInput(f"{finding_id!r} is not the id of a finding; see `cogorch incidents list`") from error
    row = connection.execute(sa.select(drift_findings).where(drift_findings.c.finding_id == wanted)).one_or_none()
    if row is None:
        raise Refused("unknown_incident", f"there is no finding {wanted}; see `cogorch incidents list --all`")
    return _finding(row)


def _finding(row: sa.Row[Any]) -> Finding:
    fields = dict(row._mapping)
    for name in ("began_at", "known_at", "found_at", "ended_at"):
        fields[name] = fields[name] and fields[name].astimezone(UTC)
    return Finding(**fields)


def _payload(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": str(finding.finding_id),
        "metric": finding.metric,
        "kind": finding.kind,
        "began_at": finding.began_at.isoformat(),
        "before": finding.before,
        "after": finding.after,
    }
