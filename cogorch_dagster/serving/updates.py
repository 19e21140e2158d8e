"""What became of updates of the agents' hyperparameters: history, what is pending, statistics.

Read from what the life cycle and the running processes wrote; nothing is kept for this alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from cogorch_dagster.platform.tables import acknowledgements, audit_log, decisions, policy_versions
from cogorch_dagster.policies import store
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.serving import watching
from cogorch_dagster.serving.judging import around
from cogorch_dagster.serving.update import (
    STARTED,
    Acknowledgement,
    Earnings,
    Pending,
    Statistics,
    Update,
    latest,
)

_ACTIVATED = "version.activated"


def history(connection: sa.Connection, agent: str | None = None, *, limit: int = 100) -> list[Update]:
    """Activations of the agents' versions, the newest first.

    Args:
        agent: only of this one; None: of all.

    Raises:
        InvalidInput: no such agent.
    """
    found = [update for each in _agents(agent) for update in _of_agent(connection, each, limit)]
    return sorted(found, key=lambda each: each.activated_at, reverse=True)[:limit]


def pending(connection: sa.Connection, agent: str | None = None) -> list[Pending]:
    """Versions that wait for a decision, an activation or the end of their canary, the oldest first."""
    found = []
    for each in _agents(agent):
        for version in store.versions(connection, policy_of(each)):
            if version.status in ("draft", "approved", "canary"):
                found.append(_pending(each, version))
    return sorted(found, key=lambda each: each.created_at)


def statistics(connection: sa.Connection, agent: str | None = None) -> Statistics:
    """Counts and latencies over all activations, of the processes that ran then."""
    policies = [policy_of(each) for each in _agents(agent)]
    table = policy_versions
    by_status = connection.execute(
        sa.select(table.c.status, sa.func.count()).where(table.c.policy_id.in_(policies)).group_by(table.c.status)
    )
    activations = {policy_id: _activations(connection, policy_id) for policy_id in policies}
    rolled_back = [row for rows in activations.values() for row in rows if row["action"] == "rollback"]
    answers = [each for policy_id in policies for each in _acknowledged(connection, policy_id, activations[policy_id])]
    waits = [a.latency_ms for each in answers for a in each if a.accepted and a.latency_ms is not None]
    counted = [answer.accepted for each in answers for answer in latest(each) if answer.process in _reached(each)]
    accepted, refused = sum(counted), len(counted) - sum(counted)
    return Statistics(
        versions=dict(by_status.tuples().all()),
        accepted=accepted,
        refused=refused,
        acceptance=accepted / len(counted) if counted else None,
        median_ms=float(np.median(waits)) if waits else None,
        p99_ms=float(np.percentile(waits, 99)) if waits else None,
        rollbacks=len(rolled_back),
        automatic=sum(row["actor"] == watching.RULE for row in rolled_back),
    )


def _reached(answers: Sequence[Acknowledgement]) -> set[str]:
    """The processes that ran when the version came into force."""
    return {each.process for each in answers if each.latency_ms is not None}


def document(connection: sa.Connection, agent: str | None = None, *, limit: int = 100) -> dict[str, Any]:
    """History, pending and statistics together, as dataclasses by these names."""
    return {
        "history": history(connection, agent, limit=limit),
        "pending": pending(connection, agent),
        "statistics": statistics(connection, agent),
    }


def _agents(agent: str | None) -> list[str]:
    if agent is None:
        return list(AGENT_KINDS)
    policy_of(agent)
    return [agent]


def _pending(agent: str, version: PolicyVersion) -> Pending:
    return Pending(
        agent,
        version.policy_id,
        version.version,
        version.status,
        version.parent,
        version.created_at,
        version.created_by,
    )


def _of_agent(connection: sa.Connection, agent: str, limit: int) -> list[Update]:
    policy_id = policy_of(agent)
    activations = _activations(connection, policy_id)
    answers = _acknowledged(connection, policy_id, activations)
    newest = list(zip(activations, answers, strict=True))[-limit:]
    return [_update(connection, agent, row, tuple(each)) for row, each in newest]


def _update(connection: sa.Connection, agent: str, row: dict[str, Any], answers: tuple[Acknowledgement, ...]) -> Update:
    policy_id, version, previous = policy_of(agent), row["version"], row["previous"]
    last = [each.accepted for each in latest(answers)]
    taken_over, refused = sum(last), len(last) - sum(last)
    before, after = _earnings(connection, policy_id, version, previous, row["at"])
    return Update(
        agent=agent,
        policy_id=policy_id,
        version=version,
        previous=previous,
        action=row["action"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        reason=row["reason"],
        activated_at=row["at"],
        acknowledgements=answers,
        taken_over=taken_over,
        refused=refused,
        mostly_refused=refused > taken_over,
        before=before,
        after=after,
    )


def _activations(connection: sa.Connection, policy_id: str) -> list[dict[str, Any]]:
    """In order: version, what it replaced, when, by whom, and the decision behind it."""
    payload = audit_log.c.payload
    query = (
        sa.select(
            audit_log.c.subject,
            audit_log.c.at,
            audit_log.c.actor,
            payload["previous"].astext.label("previous"),
            payload["action"].astext.label("action"),
            decisions.c.actor.label("decided_by"),
            decisions.c.decided_at,
            decisions.c.reason,
        )
        .join_from(
            audit_log,
            decisions,
            sa.cast(payload["decision_id"].astext, sa.Uuid) == decisions.c.decision_id,
            isouter=True,
        )
        .where(audit_log.c.event == _ACTIVATED, audit_log.c.subject.startswith(f"{policy_id}@", autoescape=True))
        .order_by(audit_log.c.seq)
    )
    found = []
    for row in connection.execute(query).mappings():
        fields = dict(row) | {"version": row["subject"].partition("@")[2], "at": row["at"].astimezone(UTC)}
        fields["decided_at"] = fields["decided_at"] and fields["decided_at"].astimezone(UTC)
        found.append(fields)
    return found


def _acknowledged(
    connection: sa.Connection, policy_id: str, activations: Sequence[dict[str, Any]]
) -> list[list[Acknowledgement]]:
    """Of each activation, what the processes answered until the next one of the same version, in order."""
    table = acknowledgements
    query = sa.select(table).where(table.c.policy_id == policy_id).order_by(table.c.acknowledged_at, table.c.id)
    found: list[list[Acknowledgement]] = [[] for _ in activations]
    places: dict[str, list[int]] = {}
    for at, each in enumerate(activations):
        places.setdefault(each["version"], []).append(at)
    for row in connection.execute(query):
        at_time = row.acknowledged_at.astimezone(UTC)
        fitting = [at for at in places.get(row.version, []) if activations[at]["at"] <= at_time]
        if fitting:
            place = fitting[-1]
            found[place].append(_acknowledgement(row, at_time, activations[place]["at"], found[place]))
    return found


def _acknowledgement(
    row: sa.Row[Any], at: datetime, activated_at: datetime, earlier: Sequence[Acknowledgement]
) -> Acknowledgement:
    # A process that starts, or starts again, finds the version in force: nothing was reloaded.
    reloaded = not (row.reason or "").startswith(STARTED)
    first = all(each.process != row.process for each in earlier)
    latency = (at - activated_at).total_seconds() * 1000 if reloaded and first else None
    return Acknowledgement(row.process, row.accepted, row.reason, row.steps, at, latency)


def _earnings(
    connection: sa.Connection, policy_id: str, version: str, previous: str | None, at: datetime
) -> tuple[Earnings, Earnings]:
    if previous is None:
        return Earnings(0, None), Earnings(0, None)
    windows = watching.windows_of(connection, policy_id, at)
    pairs = [around(each, policy_id, version, previous) for each in windows.values()]
    sides = [[value for pair in pairs if all(pair) for value in pair[side]] for side in (0, 1)]
    before, after = (Earnings(len(each), float(np.mean(each)) if each else None) for each in sides)
    return before, after
