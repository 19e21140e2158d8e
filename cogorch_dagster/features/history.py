"""What was known when: the decisions of one policy, and the events whose outcomes may speak to later decisions.

A decision may use an event from one microsecond after the event was known (`available_us`), so strictly what was known
before it began: an attempt when it had ended, a judgement when it was given, an arrival once it had arrived.
"""

# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.patterns import Ints
from cogorch_dagster.features.context import ContextColumn, context_sql, find_context
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.hours import HOUR
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import policy_versions
from cogorch_dagster.rewards.scoring import is_scored
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

MEASURES = {"attempts": ("failed", "duration_ms", "queue_ms", "cost_usd"), "judgements": ("quality",), "arrivals": ()}
"""The events, and what is measured of each."""
_OWN = "o.policy_id = {policy} AND o.decision_id IS NOT NULL"


@dataclass(frozen=True, eq=False)
class History:
    """Frames of one policy; times are whole microseconds since 1970.

    Attributes:
        decisions: decision_id, started_us, component, tenant, version, and the columns of the context; by start.
        events: of each kind of `MEASURES` a frame: event_id, known_us, available_us, component, tenant, arm (but for
            arrivals) and its measures, NaN where unknown; by available_us.
        versions: version, activated_us (missing where it never was active).
        context: how the columns of the context were made.
    """

    decisions: pd.DataFrame
    events: dict[str, pd.DataFrame]
    versions: pd.DataFrame
    context: tuple[ContextColumn, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm that was tried, the most frequent first."""
        return tuple(self.events["attempts"]["arm"].value_counts(sort=True).sort_index(kind="stable").index)

    def of(self, decision_ids: pd.Series) -> "History":
        """The same past, for some decisions only."""
        return replace(self, decisions=self.decisions[self.decisions["decision_id"].isin(decision_ids)])

    def until(self, moment_us: int) -> "History":
        """The log as it lay there when a decision began at this moment: nothing later exists in it."""
        return replace(
            self,
            decisions=self.decisions[self.decisions["started_us"] <= moment_us],
            events={name: frame[frame["known_us"] < moment_us] for name, frame in self.events.items()},
        )


def read_history(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    lookback: timedelta,
    context: tuple[ContextColumn, ...] | None = None,
) -> History:
    """Read the decisions that began in [since, until), and the events known within `lookback` before them.

    Attempts longer than an hour may be missing where they began before the lookback.

    Args:
        context: columns of the context to make; None: those found in the data (`context.find_context`).

    Raises:
        InvalidInput: an empty period.
    """
    _require_period(since, until)
    first = since - lookback - HOUR
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        observations = catalogue.entries(connection, "observations", first, until + HOUR)
        feedback = catalogue.entries(connection, "feedback", first, until + HOUR)
        activated = connection.execute(
            sa.select(policy_versions.c.version, policy_versions.c.activated_at)
            .where(policy_versions.c.policy_id == policy_id)
            .order_by(policy_versions.c.version)
        ).all()
    own = _OWN.format(policy=query.quote(policy_id))
    with query.connected(settings) as duck:
        rows, judged = (
            query.scan(settings, observations, OBSERVATION_SCHEMA),
            query.scan(settings, feedback, FEEDBACK_SCHEMA),
        )
        columns = find_context(duck, rows, own) if context is None else context
        begins, ends = (f"TIMESTAMPTZ {query.quote(moment.isoformat())}" for moment in (since, until))
        decisions = _frame(duck, _decisions(rows, own, begins, ends, columns))
        events = {name: _frame(duck, sql) for name, sql in _events(rows, judged, own, ends).items()}
    versions = pd.DataFrame(
        {
            "version": [row.version for row in activated],
            "activated_us": [row.activated_at and round(row.activated_at.timestamp() * 1e6) for row in activated],
        }
    ).astype({"activated_us": "Int64", "version": object})
    return History(decisions, {name: _available(frame) for name, frame in events.items()}, versions, columns)


def read_contexts(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    context: tuple[ContextColumn, ...] | None = None,
) -> tuple[pd.DataFrame, tuple[ContextColumn, ...]]:
    """The decisions of `read_history` without any past, which reads much less, and how their columns were made.

    Raises:
        InvalidInput: an empty period.
    """
    _require_period(since, until)
    with transaction(settings) as connection:
        observations = catalogue.entries(connection, "observations", since - HOUR, until + HOUR)
    own = _OWN.format(policy=query.quote(policy_id))
    with query.connected(settings) as duck:
        rows = query.scan(settings, observations, OBSERVATION_SCHEMA)
        columns = find_context(duck, rows, own) if context is None else context
        begins, ends = (f"TIMESTAMPTZ {query.quote(moment.isoformat())}" for moment in (since, until))
        return _frame(duck, _decisions(rows, own, begins, ends, columns)), columns


def _require_period(since: datetime, until: datetime) -> None:
    if since >= until:
        raise InvalidInput(f"the period is empty: since {since.isoformat()} is not before until {until.isoformat()}")


def _decisions(rows: str, own: str, begins: str, ends: str, columns: tuple[ContextColumn, ...]) -> str:
    listed = "".join(f", {context_sql(column)} AS {query.identifier(column.name)}" for column in columns)
    return f"""
        SELECT decision_id, epoch_us(started_at) AS started_us, component, tenant, version{listed} FROM (
            SELECT o.decision_id, min(o.occurred_at) AS started_at, arg_min(o.component, coalesce(o.attempt, 1))
                   AS component, coalesce(arg_min(o.tenant, coalesce(o.attempt, 1)), '') AS tenant,
                   coalesce(arg_min(o.policy_version, coalesce(o.attempt, 1)), '') AS version,
                   arg_min(o.context, coalesce(o.attempt, 1)) AS context
            FROM {rows} AS o WHERE {own} GROUP BY o.decision_id
        ) WHERE started_at >= {begins} AND started_at < {ends} ORDER BY started_us, decision_id"""


def _events(rows: str, judged: str, own: str, ends: str) -> dict[str, str]:
    keys = "o.component, coalesce(o.tenant, '') AS tenant"
    # Where nobody knows how long it took, its outcome was known for sure only when it was stored.
    known = "CASE WHEN o.duration_ms IS NULL THEN greatest(epoch_us(o.occurred_at), epoch_us(o.ingested_at)) " + (
        "ELSE epoch_us(o.occurred_at) + ceil(o.duration_ms * 1000)::BIGINT END"
    )
    return {
        "attempts": f"""
            SELECT {known} AS known_us, {keys}, coalesce(o.action, '') AS arm,
                   (o.outcome <> 'success')::DOUBLE AS failed, o.duration_ms, o.queue_ms,
                   CASE WHEN coalesce(o.cost_currency, 'USD') = 'USD' THEN o.cost_amount END AS cost_usd
            FROM {rows} AS o WHERE {own} AND {is_scored("o.outcome")} AND o.occurred_at < {ends}
            ORDER BY known_us, o.observation_id""",
        "judgements": f"""
            SELECT epoch_us(j.occurred_at) AS known_us, {keys}, coalesce(o.action, '') AS arm, j.value AS quality
            FROM {judged} AS j JOIN {rows} AS o ON o.observation_id = j.observation_id
            WHERE {own} AND j.metric = 'quality' AND j.occurred_at < {ends}
            ORDER BY known_us, o.observation_id, j.value""",
        "arrivals": f"""
            SELECT epoch_us(o.occurred_at) AS known_us, {keys} FROM {rows} AS o
            WHERE {own} AND coalesce(o.attempt, 1) = 1 AND o.occurred_at < {ends}
            ORDER BY known_us, o.observation_id""",
    }


def _frame(duck: "duckdb.DuckDBPyConnection", sql: str) -> pd.DataFrame:
    return duck.execute(sql).df()


def _available(frame: pd.DataFrame) -> pd.DataFrame:
    frame.insert(0, "event_id", range(len(frame)))
    known: Ints = frame["known_us"].to_numpy("int64")
    frame["known_us"] = known
    frame["available_us"] = known + 1
    return frame
