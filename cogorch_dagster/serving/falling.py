"""Which agents earn less than they did, without a change of theirs: in training after training, or as they run.

A drop after a change is another matter, and is taken back (`watching.py`); this is a reason to tune anew.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import sqlalchemy as sa

from cogorch_dagster.platform.tables import agent_checkpoints
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.serving import watching
from cogorch_dagster.serving.judging import LEAST_WINDOWS, judge
from cogorch_dagster.serving.returns import Earned

LEAST_LOSS = 0.03
"""Of the mean reward per step, from one training to the next in the same fleet: less is within what seeds do."""
RECENT = timedelta(hours=1)
"""A process whose last window is older runs no more; what it earned is no reason for anything."""


@dataclass(frozen=True)
class Fall:
    """An agent and why it is said to have fallen; `seen_at` is when the last figure behind that was measured, UTC."""

    agent: str
    reason: str
    seen_at: datetime


def falls(connection: sa.Connection) -> list[Fall]:
    """The agents that earn less than they did, at most one reason for each.

    Either the newest stored training reached a reward lower by LEAST_LOSS than the one before it, in the same fleet and
    with the same settings of the agent; or the last windows of the processes that run it are worse than those before
    them, beyond chance (`judging.judge`), while no version changed.
    """
    found = [_in_training(connection, agent) or _running(connection, agent) for agent in AGENT_KINDS]
    return [fall for fall in found if fall is not None]


def _in_training(connection: sa.Connection, agent: str) -> Fall | None:
    table = agent_checkpoints
    query = (
        sa.select(table.c.metrics, table.c.calibration, table.c.configuration, table.c.created_at)
        .where(table.c.agent == agent)
        .order_by(table.c.created_at.desc())
        .limit(2)
    )
    rows = connection.execute(query).all()
    if len(rows) < 2 or len({row.calibration for row in rows}) > 1 or rows[0].configuration != rows[1].configuration:
        return None
    now, before = (row.metrics.get("reward") for row in rows)
    if now is None or before is None or before - now < LEAST_LOSS:
        return None
    reason = f"the newest training of {agent} reached a reward of {now:.4f}, the one before {before:.4f}"
    return Fall(agent, reason, rows[0].created_at.astimezone(UTC))


def _running(connection: sa.Connection, agent: str) -> Fall | None:
    newest = watching.newest_windows(connection, policy_of(agent))
    since = datetime.now(UTC) - RECENT
    there = [windows for windows in newest.values() if windows[-1].measured_at >= since]
    pairs = [_halves(windows) for windows in there]
    drop = judge([pair for pair in pairs if pair is not None])
    if not drop.worse or drop.difference is None:
        return None
    reason = (
        f"{agent} earns {-drop.difference:.4f} less per step in its last {drop.after} windows than in the "
        f"{drop.before} before them, under the same versions"
    )
    return Fall(agent, reason, max(windows[-1].measured_at for windows in there))


def _halves(windows: list[Earned]) -> tuple[list[float], list[float]] | None:
    """The returns of a process under its present versions, but the last ones, and the last ones."""
    now = windows[-1].versions
    same = [each.value for each in takewhile(lambda each: each.versions == now, reversed(windows))][::-1]
    if len(same) < 2 * LEAST_WINDOWS:
        return None
    return same[:-LEAST_WINDOWS], same[-LEAST_WINDOWS:]
