# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""Rolling statistics of each component and each of its policy versions, from hourly rollups alone.

A window is made of whole hours: every hour that overlaps [as_of - window, as_of). At 13:20 the window of 1 h is the
hours that begin at 12:00 and 13:00, at 13:00 sharp the one that begins at 12:00. So it holds the newest rows, and
spans the window and less than an hour more; rows of as_of's own hour count even when they come after as_of.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.buckets import value_of
from cogorch_dagster.rewards.schema import MEASURES, ROLLUP_SCHEMA, SUMS
from cogorch_dagster.rewards.weighted import Sums
from cogorch_dagster.settings import Settings

WINDOWS = {"1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR}
_GROUP = "name, component, component_kind"
_VERSION = f"{_GROUP}, policy_id, policy_version"
# A row for each version, and one for all versions of a component, in which is_total is 1.
_SETS = f"GROUPING SETS (({_VERSION}), ({_GROUP}))"
_TOTAL = "grouping(policy_version) AS is_total"


@dataclass(frozen=True)
class RollingRow:
    """One component, or one policy version of it, over one window.

    `n` counts all observations; every other statistic is over those that are scored (success, failure, timeout) and
    know the value, weighted by their sample weight. Durations are milliseconds with a relative error below 1 %, costs
    US dollars. A statistic without rows is None, and so is the standard error of a single row.
    """

    component: str
    component_kind: str
    policy_id: str | None
    policy_version: str | None
    window: str
    as_of: datetime
    n: int
    scored: int
    success_rate: float | None
    success_rate_se: float | None
    p50_ms: float | None
    p95_ms: float | None
    mean_cost: float | None
    mean_cost_se: float | None
    mean_reward: float | None
    mean_reward_se: float | None

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON has it: `as_of` in ISO 8601."""
        return asdict(self) | {"as_of": self.as_of.isoformat()}


def rolling_stats(settings: Settings, as_of: datetime | None = None, component: str | None = None) -> list[RollingRow]:
    """Statistics over 1 h, 24 h and 7 d, one row for each component and version that has observations in a window.

    The row with `policy_version` None is the component over all its versions; observations that name no version are
    in that row only.

    Args:
        as_of: where the windows end, now unless given.
        component: only this one; all unless given.
    """
    as_of = datetime.now(UTC) if as_of is None else as_of.astimezone(UTC)
    first = {name: first_hour(as_of, window) for name, window in WINDOWS.items()}
    with transaction(settings) as connection:
        entries = catalogue.entries(connection, "rollups", min(first.values()), as_of)
    with query.connected(settings) as duckdb:
        relation = query.scan(settings, entries, ROLLUP_SCHEMA)
        windowed = _windowed(relation, first, component)
        sums = query.table(duckdb, _sums_query(windowed)).to_pylist()
        quantiles = query.table(duckdb, _quantiles_query(windowed)).to_pylist()
    buckets = {_key(row): row for row in quantiles}
    rows = [
        _row(found, buckets.get(_key(found)), as_of)
        for found in sums
        if found["is_total"] or found["policy_version"] is not None
    ]
    order = list(WINDOWS)
    return sorted(rows, key=lambda r: (r.component, r.policy_id or "", r.policy_version or "", order.index(r.window)))


def first_hour(as_of: datetime, window: timedelta) -> datetime:
    """The first of the whole hours that overlap [as_of - window, as_of)."""
    return floor_hour(as_of - window)


def _windowed(relation: str, first: dict[str, datetime], component: str | None) -> str:
    windows = ", ".join(f"({query.quote(name)}, TIMESTAMPTZ {query.quote(str(hour))})" for name, hour in first.items())
    only = "" if component is None else f"WHERE r.component = {query.quote(component)}"
    return f"(SELECT * FROM {relation} AS r JOIN (VALUES {windows}) AS w(name, since) ON r.hour >= w.since {only})"


def _sums_query(windowed: str) -> str:
    sums = ", ".join(f"sum({m}_{s}) AS {m}_{s}" for m in MEASURES for s in SUMS)
    return f"SELECT {_VERSION}, {_TOTAL}, sum(n)::BIGINT AS n, {sums} FROM {windowed} GROUP BY {_SETS}"


def _quantiles_query(windowed: str) -> str:
    """The bucket below whose upper end lie at least a half, and 95 %, of the weight."""
    partition = f"PARTITION BY {_VERSION}, is_total"
    # A rounded product must not push the quantile past a value that holds exactly that share.
    reached = {share: f"reached >= {share} * total * (1 - 1e-12)" for share in (0.5, 0.95)}
    return f"""
        WITH entries AS (
            SELECT {_VERSION}, unnest(map_entries(latency)) AS entry FROM {windowed}
        ),
        merged AS (
            SELECT {_VERSION}, {_TOTAL}, entry.key AS bucket, sum(entry.value) AS weight
            FROM entries GROUP BY entry.key, {_SETS}
        ),
        running AS (
            SELECT *, sum(weight) OVER ({partition} ORDER BY bucket) AS reached, sum(weight) OVER ({partition}) AS total
            FROM merged
        )
        SELECT {_VERSION}, is_total,
               min(bucket) FILTER ({reached[0.5]}) AS p50, min(bucket) FILTER ({reached[0.95]}) AS p95
        FROM running GROUP BY {_VERSION}, is_total"""


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        row[name] for name in ("name", "component", "component_kind", "policy_id", "policy_version", "is_total")
    )


def _row(found: dict[str, Any], buckets: dict[str, Any] | None, as_of: datetime) -> RollingRow:
    reward, success, cost = (
        Sums(int(found[f"{measure}_n"]), *(found[f"{measure}_{name}"] for name in SUMS[1:]))
        for measure in ("reward", "success", "cost")
    )
    return RollingRow(
        component=found["component"],
        component_kind=found["component_kind"],
        policy_id=found["policy_id"],
        policy_version=found["policy_version"],
        window=found["name"],
        as_of=as_of,
        n=found["n"],
        scored=reward.n,
        success_rate=success.mean,
        success_rate_se=success.standard_error,
        p50_ms=value_of(buckets["p50"]) if buckets else None,
        p95_ms=value_of(buckets["p95"]) if buckets else None,
        mean_cost=cost.mean,
        mean_cost_se=cost.standard_error,
        mean_reward=reward.mean,
        mean_reward_se=reward.standard_error,
    )
