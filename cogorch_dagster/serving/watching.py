"""A change after which running agents earn less is taken back by itself, once, whoever notices it first.

Only an approval is ever taken back: not a rollback, whoever decided it. So nothing goes to and fro. That processes
refuse a version is no reason either: with them the last good one is in force anyway.
"""

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import CogorchError, Refused
from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import agent_returns
from cogorch_dagster.policies import audit, decisions, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.serving.judging import Drop, around, judge
from cogorch_dagster.serving.returns import Earned
from cogorch_dagster.settings import Settings

log = logging.getLogger("cogorch.serving")

RULE = "rule:agent_returns"
EVENT = "agents.returns_dropped"
INTERVAL_S = 10.0
JUDGED_FOR = timedelta(days=1)
"""After its activation a change is judged for so long; what comes later has other reasons."""
# Nearest windows of all processes on each side of an activation.
_NEAREST = 1000


@dataclass(frozen=True)
class Change:
    """An approved version in force, and the one that it replaced."""

    agent: str
    policy_id: str
    version: str
    previous: str
    activated_at: datetime


@dataclass(frozen=True)
class RolledBack:
    """A change that was taken back."""

    change: Change
    drop: Drop
    reason: str


def step(settings: Settings) -> list[RolledBack]:
    """Judge each agent's latest change and take back what made the agents earn less; safe to call from anywhere.

    Returns:
        What this call took back; nothing where another process was faster.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        judged = [(change, judged_change(connection, change)) for change in changes(connection)]
    done = [_take_back(settings, change, drop) for change, drop in judged if drop.worse]
    return [each for each in done if each is not None]


def watch(settings: Settings, ended: threading.Event, interval_s: float = INTERVAL_S) -> None:
    """`step` until `ended` is set; an error is logged. A server that was stopped stays stopped."""
    while not ended.wait(interval_s):
        try:
            postgres.server_url(settings, settings.database)
            for each in step(settings):
                log.warning("%s", each.reason)
        except (CogorchError, sa.exc.SQLAlchemyError) as error:
            log.warning("returns cannot be judged: %s", str(error).strip().partition("\n")[0])


def changes(connection: sa.Connection) -> list[Change]:
    """Of each agent, the version in force, if it was approved and replaced another."""
    found = [_change(connection, agent) for agent in AGENT_KINDS]
    return [change for change in found if change is not None]


def judged_change(connection: sa.Connection, change: Change) -> Drop:
    """What the windows of all processes say of a change now."""
    windows = windows_of(connection, change.policy_id, change.activated_at)
    return judge([around(each, change.policy_id, change.version, change.previous) for each in windows.values()])


def windows_of(connection: sa.Connection, policy_id: str, moment: datetime) -> dict[str, list[Earned]]:
    """The windows of each process that follows a policy, by time, those nearest to a moment on both sides of it.

    A process reports a window once for each agent, under one time.
    """
    table = agent_returns
    of = sa.select(table.c.measured_at, table.c.process).where(table.c.policy_id == policy_id).limit(_NEAREST)
    earlier = of.where(table.c.measured_at < moment).order_by(table.c.measured_at.desc()).subquery()
    later = of.where(table.c.measured_at >= moment).order_by(table.c.measured_at).subquery()
    return _windows(connection, sa.union_all(sa.select(earlier), sa.select(later)))


def newest_windows(connection: sa.Connection, policy_id: str) -> dict[str, list[Earned]]:
    """The last windows of each process that follows a policy, by time."""
    table = agent_returns
    of = sa.select(table.c.measured_at, table.c.process).where(table.c.policy_id == policy_id)
    return _windows(connection, of.order_by(table.c.measured_at.desc()).limit(_NEAREST))


def _windows(connection: sa.Connection, keys: Any) -> dict[str, list[Earned]]:
    """Those of which a query names time and process, each with the versions of all agents in it."""
    table = agent_returns
    query = (
        sa.select(
            table.c.process,
            table.c.measured_at,
            sa.func.max(table.c.steps).label("steps"),
            sa.func.max(table.c.value).label("value"),
            sa.func.jsonb_object_agg(table.c.policy_id, table.c.version).label("versions"),
        )
        .where(
            sa.tuple_(table.c.measured_at, table.c.process).in_(keys),
            table.c.policy_id.in_([policy_of(agent) for agent in AGENT_KINDS]),
        )
        .group_by(table.c.process, table.c.measured_at)
        .order_by(table.c.measured_at)
    )
    found: dict[str, list[Earned]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.process].append(Earned(row.value, row.versions, row.steps, row.measured_at.astimezone(UTC)))
    return dict(found)


def _change(connection: sa.Connection, agent: str) -> Change | None:
    policy_id = policy_of(agent)
    active = store.active(connection, policy_id)
    if active is None or active.parent is None or active.activated_at is None:
        return None
    if datetime.now(UTC) - active.activated_at > JUDGED_FOR:
        return None
    used = [
        each for each in decisions.decisions_of(connection, policy_id, active.version) if each.claimed_at is not None
    ]
    if not used or max(used, key=lambda each: each.decided_at).action != "approve":
        return None
    return Change(agent, policy_id, active.version, active.parent, active.activated_at)


def _take_back(settings: Settings, change: Change, drop: Drop) -> RolledBack | None:
    reason = (
        f"after {change.policy_id}@{change.version} the agents earn {-(drop.difference or 0.0):.4f} less per step "
        f"({drop.before} windows before, {drop.after} after; for certain at least {-(drop.bound or 0.0):.4f} less)"
    )
    try:
        with transaction(settings) as connection:
            store.lock_policy(connection, change.policy_id)
            if _change(connection, change.agent) != change:
                return None
            decision = decisions.rollback(connection, change.policy_id, change.previous, RULE, reason)
            evidence: dict[str, Any] = {**drop.document(), "decision_id": str(decision.decision_id), "reason": reason}
            audit.append(connection, RULE, EVENT, f"{change.policy_id}@{change.version}", evidence)
            activate(connection, decision.decision_id, RULE)
    except Refused as refusal:
        log.error("%s, but it cannot be taken back: %s", reason, refusal)
        return None
    return RolledBack(change, drop, reason)
