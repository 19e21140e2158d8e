"""Where insights are kept: the table `causal_insights`, whose rows never change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.causal.insights.insight import Insight
from cogorch_dagster.platform.tables import causal_insights as table


@dataclass(frozen=True)
class Kept:
    """An insight and when it was found, UTC."""

    insight: Insight
    at: datetime


def save(connection: sa.Connection, insights: Sequence[Insight]) -> int:
    """Keep insights in their order; how many were not there yet."""
    rows = [
        {
            "digest": each.digest,
            "scope": each.scope,
            "version": each.version,
            "rank": rank,
            "outcome": each.outcome,
            "document": each.document(),
        }
        for rank, each in enumerate(insights)
    ]
    if not rows:
        return 0
    added = insert(table).values(rows).on_conflict_do_nothing().returning(table.c.digest)
    return len(connection.execute(added).all())


def of_version(connection: sa.Connection, version: str) -> list[Kept]:
    """The insights of a version, the first in rank first."""
    query = sa.select(table).where(table.c.version == version).order_by(table.c.rank, table.c.digest)
    return [Kept(Insight.of(row.document), row.created_at) for row in connection.execute(query)]


def earlier(connection: sa.Connection, outcome: str, version: str, limit: int = 500) -> list[Kept]:
    """Insights on an outcome by other versions, of any component, the newest first."""
    query = sa.select(table).where(table.c.outcome == outcome, table.c.version != version)
    query = query.order_by(table.c.created_at.desc(), table.c.digest).limit(limit)
    return [Kept(Insight.of(row.document), row.created_at) for row in connection.execute(query)]
