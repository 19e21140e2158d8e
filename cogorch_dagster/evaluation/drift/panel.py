# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""The streams of one component from the lake: reward, latency, failures, and the mix of its actions, by time of day.

A panel begins at midnight UTC, so that its columns know their place in the day. Hours count as the lake has them:
what comes late changes the panel, and the next scan sees it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.schema import REWARD_SCHEMA
from cogorch_dagster.rewards.scoring import is_scored
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

DAY = timedelta(days=1)
MEASURES = ("reward", "latency", "failures")
MIX = "mix:"
MOST_ACTIONS = 6
# A mean of fewer observations than this is no value.
FEWEST_OBSERVATIONS = 5
# What each metric is the mean of, over the rows of `rewards` joined with their observations.
VALUE_SQL = {
    "reward": "r.score",
    "latency": "ln(greatest(r.duration_ms, 0.001))",
    "failures": "(r.outcome <> 'success')::DOUBLE",
}


@dataclass(frozen=True)
class Panel:
    """Streams of one component.

    Attributes:
        start: midnight UTC, where column 0 begins.
        width: of a bucket; it divides a day.
        metrics: name of each row: reward, latency (mean of ln ms), failures (share), `mix:<action>` (share).
        values: (streams, buckets); NaN where fewer than 5 observations are.
        counts: (streams, buckets) observations behind each value.
        within: variance of a single observation around its bucket's mean, (streams,).
    """

    component: str
    start: datetime
    width: timedelta
    metrics: tuple[str, ...]
    values: Floats
    counts: Floats
    within: Floats

    @property
    def period(self) -> int:
        return DAY // self.width

    @property
    def days(self) -> float:
        return float(self.values.shape[1] / self.period)

    def time_of(self, bucket: int) -> datetime:
        """When a bucket begins."""
        return self.start + bucket * self.width

    @property
    def least_scale(self) -> Floats:
        """The error of sampling of a typical bucket: no stream is taken to be steadier than that."""
        typical = np.maximum(self._typical, 1.0)
        return np.asarray(np.sqrt(np.maximum(self.within, 1.0 / typical**2) / typical))

    @property
    def reliability(self) -> Floats:
        """√(n/typical n), at most 1."""
        return np.asarray(np.sqrt(np.minimum(self.counts / np.maximum(self._typical, 1.0)[:, None], 1.0)))

    @property
    def _typical(self) -> Floats:
        known = np.where(self.counts >= FEWEST_OBSERVATIONS, self.counts, np.nan)
        seen = ~np.isnan(known).all(axis=1)
        out = np.ones(len(known))
        out[seen] = np.nanmedian(known[seen], axis=1)
        return out


def components_since(settings: Settings, since: datetime, until: datetime) -> list[str]:
    """Every component that has rewards in the period."""
    with transaction(settings) as connection:
        rewards = catalogue.entries(connection, "rewards", since, until)
    with query.connected(settings) as duck:
        relation = query.scan(settings, rewards, REWARD_SCHEMA)
        return [row[0] for row in duck.execute(f"SELECT DISTINCT component FROM {relation} ORDER BY ALL").fetchall()]


def read_panels(
    settings: Settings, components: Sequence[str], since: datetime, until: datetime, width: timedelta
) -> list[Panel]:
    """The panels of these components over the whole days from `since` and the complete buckets before `until`.

    A component's panel begins with the midnight before its first reward.

    Raises:
        ValueError: the width does not divide a day.
    """
    if DAY % width:
        raise ValueError(f"a bucket of {width} does not divide a day; take 10 minutes or an hour, for example")
    since = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    buckets = (until - since) // width
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        rewards = catalogue.entries(connection, "rewards", since, until)
        observations = catalogue.entries(connection, "observations", since, until)
    if buckets <= 0 or not rewards:
        return []
    with query.connected(settings) as duck:
        bucket = f"(epoch_us(occurred_at) - {round(since.timestamp() * 1e6)}) // {round(width.total_seconds() * 1e6)}"
        named = ", ".join(map(query.quote, components)) or "NULL"
        inside = f"component IN ({named}) AND {bucket} BETWEEN 0 AND {buckets - 1}"
        means = _measures(duck, query.scan(settings, rewards, REWARD_SCHEMA), bucket, inside)
        mix = _mix(duck, query.scan(settings, observations, OBSERVATION_SCHEMA), bucket, inside)
    return [
        panel
        for name in components
        if (panel := _panel(name, since, width, buckets, means.get(name, []), mix.get(name, []))) is not None
    ]


Row = tuple[str, int, float, float, float]


def _measures(duck: "duckdb.DuckDBPyConnection", rewards: str, bucket: str, inside: str) -> dict[str, list[Row]]:
    """By component: (metric, bucket, count, Σy, Σy²), each row weighted as it was sampled, counts as they are."""
    found: dict[str, list[Row]] = {}
    for metric, value in VALUE_SQL.items():
        sql = f"""SELECT component, {bucket} AS bucket, count(y),
                         sum(w * y) / nullif(sum(w) FILTER (y IS NOT NULL), 0),
                         sum(w * y * y) / nullif(sum(w) FILTER (y IS NOT NULL), 0)
                  FROM (SELECT component, occurred_at, sample_weight AS w, {value} AS y FROM {rewards} AS r)
                  WHERE {inside} GROUP BY ALL"""
        for component, at, count, mean, square in duck.execute(sql).fetchall():
            if count:
                found.setdefault(component, []).append((metric, at, count, mean, square))
    return found


def _mix(duck: "duckdb.DuckDBPyConnection", observations: str, bucket: str, inside: str) -> dict[str, list[Row]]:
    """As `_measures`, for the share of each of the most frequent actions among the scored first attempts."""
    sql = f"""
        WITH drawn AS (
            SELECT component, {bucket} AS bucket, action, sample_weight AS w FROM {observations}
            WHERE {inside} AND action IS NOT NULL AND coalesce(attempt, 1) = 1 AND {is_scored("outcome")}
        ),
        frequent AS (
            SELECT component, action FROM drawn GROUP BY component, action
            QUALIFY row_number() OVER (PARTITION BY component ORDER BY sum(w) DESC, action) <= {MOST_ACTIONS}
        ),
        every AS (SELECT component, bucket, count(*) AS n, sum(w) AS total FROM drawn GROUP BY ALL),
        mine AS (SELECT component, bucket, action, sum(w) AS part FROM drawn GROUP BY ALL)
        SELECT e.component, f.action, e.bucket, e.n, coalesce(m.part, 0) / e.total
        FROM every AS e JOIN frequent AS f ON f.component = e.component
        LEFT JOIN mine AS m ON m.component = e.component AND m.bucket = e.bucket AND m.action = f.action"""
    found: dict[str, list[Row]] = {}
    for component, action, at, count, share in duck.execute(sql).fetchall():
        found.setdefault(component, []).append((f"{MIX}{action}", at, count, share, share))
    return found


def _panel(
    component: str, since: datetime, width: timedelta, buckets: int, measures: list[Row], mix: list[Row]
) -> Panel | None:
    rows = [*measures, *mix]
    if not rows:
        return None
    period = DAY // width
    first = min(row[1] for row in rows) // period * period
    # A component that only ever does one thing has no mix.
    actions = sorted({row[0] for row in mix})
    metrics = (*MEASURES, *(actions if len(actions) > 1 else ()))
    place = {metric: number for number, metric in enumerate(metrics)}
    values = np.full((len(metrics), buckets - first), np.nan)
    counts = np.zeros(values.shape)
    noise, weight = np.zeros(len(metrics)), np.zeros(len(metrics))
    for metric, at, count, mean, square in rows:
        row = place.get(metric)
        if row is None:
            continue
        counts[row, at - first] = count
        if count >= FEWEST_OBSERVATIONS:
            values[row, at - first] = mean
        noise[row] += count * max(square - mean * mean, 0.0)
        weight[row] += count
    within = noise / np.maximum(weight, 1.0)
    return Panel(component, since + first * width, width, metrics, values, counts, within)
