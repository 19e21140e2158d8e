# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""The table `seen` in DuckDB: the observations of one component, with no more than the columns that are averaged.

It stays in DuckDB, which spills it beyond its memory limit. The installation's own runs are left out.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.lake.query import quote
from cogorch_dagster.observations.sources import dagster_runs
from cogorch_dagster.rewards.scoring import is_scored

if TYPE_CHECKING:
    import duckdb

FEWEST = 5
"""A mean over fewer observations is no value, and a bucket with fewer no row."""


def mine(component: str, since: datetime, until: datetime) -> str:
    """SQL condition: a reward of the component in [since, until)."""
    moments = [f"TIMESTAMPTZ {quote(each.astimezone(UTC).isoformat())}" for each in (since, until)]
    return f"component = {quote(component)} AND occurred_at >= {moments[0]} AND occurred_at < {moments[1]}"


def observed(component: str, since: datetime, until: datetime) -> str:
    """SQL condition: an observation of the component in [since, until), and none of the installation's own runs."""
    return f"{mine(component, since, until)} AND coalesce(source, '') <> {quote(dagster_runs.SOURCE)}"


def second(occurred_at: str = "occurred_at") -> str:
    """SQL for the whole seconds since 1970."""
    return f"(epoch_us({occurred_at}) // 1000000)"


def create(duck: "duckdb.DuckDBPyConnection", observations: str, inside: str) -> int:
    """Create the table and say how many rows it has; from here on the connection keeps to one thread."""
    # Sums of several threads differ in their last digits from one reading to the next.
    duck.execute("SET threads = 1")
    duck.execute(
        f"""
        CREATE TEMP TABLE seen AS
        SELECT {second()} AS s, coalesce(attempt, 1) = 1 AS first, {is_scored("outcome")} AS scored,
               (outcome <> 'success')::DOUBLE AS failed, tenant, action, policy_id, policy_version,
               input_tokens::DOUBLE AS input_tokens, queue_ms, duration_ms, ttft_ms,
               CASE WHEN coalesce(cost_currency, 'USD') = 'USD' THEN cost_amount END AS cost_usd,
               coalesce(sample_weight, 1) AS w
        FROM {observations} WHERE {inside}"""
    )
    return int(duck.execute("SELECT count(*) FROM seen").fetchall()[0][0])


def mean(value: str, where: str = "true") -> str:
    """SQL for the weighted mean of `value` where it is known and the condition holds; null for fewer than 5 rows."""
    known = f"{value} IS NOT NULL AND {where}"
    return (
        f"CASE WHEN count(*) FILTER ({known}) >= {FEWEST} THEN "
        f"sum(w * {value}) FILTER ({known}) / sum(w) FILTER ({known}) END"
    )


def columns(duck: "duckdb.DuckDBPyConnection", sql: str) -> dict[str, Any]:
    """The columns of a result: numbers as float64 with NaN for null, texts as objects."""
    found = {}
    for name, held in duck.execute(sql).fetchnumpy().items():
        array = np.ma.asarray(held)
        found[name] = array.data if array.dtype == object else np.ma.filled(array.astype(np.float64), np.nan)
    return found
