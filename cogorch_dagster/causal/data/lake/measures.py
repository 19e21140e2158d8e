# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""Load, queues and outcomes by bucket, from the table `seen` and from the rewards of the same period."""

from typing import TYPE_CHECKING

import numpy as np

from cogorch_dagster.causal.data.lake.seen import FEWEST, columns, mean, second
from cogorch_dagster.causal.data.lake.variables import MEASURES, Buckets, Column, measure
from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    import duckdb


def buckets(duck: "duckdb.DuckDBPyConnection", width: int, first: int, last: int, most: int) -> Buckets:
    """The buckets first .. last that hold at least 5 scored observations.

    Raises:
        InvalidInput: more than `most`.
    """
    sql = f"""SELECT s // {width} AS b FROM seen WHERE scored AND s >= {first * width} AND s < {(last + 1) * width}
              GROUP BY b HAVING count(*) >= {FEWEST} ORDER BY b LIMIT {most + 1}"""
    numbers = columns(duck, sql)["b"].astype(np.int64)
    if len(numbers) > most:
        raise InvalidInput(f"buckets of {width} s make more than {most:,} rows; take wider ones or a shorter period")
    return Buckets(width, numbers)


def from_observations(duck: "duckdb.DuckDBPyConnection", rows: Buckets) -> list[Column]:
    """Load, input, queue, latency, first token, errors, cost and unfairness."""
    found = columns(duck, _MEASURES.format(width=rows.width_s))
    unfair = columns(duck, _UNFAIRNESS.format(width=rows.width_s))
    placed = {name: rows.placed(found["b"], values) for name, values in found.items() if name != "b"}
    placed["unfairness"] = rows.placed(unfair["b"], unfair["unfairness"])
    return [Column(measure(name), placed[name]) for name in MEASURES if name in placed]


def from_rewards(duck: "duckdb.DuckDBPyConnection", rewards: str, inside: str, rows: Buckets) -> list[Column]:
    """Reward and judged quality."""
    sql = f"""SELECT {second()} // {rows.width_s} AS b, {mean("quality")} AS quality, {mean("score")} AS reward
              FROM (SELECT * REPLACE (coalesce(sample_weight, 1) AS sample_weight), sample_weight AS w FROM {rewards})
              WHERE {inside} GROUP BY b"""
    found = columns(duck, sql)
    return [Column(measure(name), rows.placed(found["b"], found[name])) for name in ("quality", "reward")]


_MEASURES = f"""
    SELECT s // {{width}} AS b, coalesce(sum(w) FILTER (first), 0) * 60 / {{width}} AS load,
           {mean("input_tokens", "first")} AS input_tokens, {mean("queue_ms", "scored")} AS queue_ms,
           {mean("duration_ms", "scored")} AS latency_ms, {mean("ttft_ms", "scored")} AS ttft_ms,
           {mean("failed", "scored")} AS error_share,
           {mean("cost_usd", "scored")} * sum(w) FILTER (scored)
               / nullif(sum(w) FILTER (scored AND first), 0) AS cost_usd
    FROM seen GROUP BY b"""

_UNFAIRNESS = f"""
    SELECT b, CASE WHEN count(*) > 1 THEN max(share) - min(share) END AS unfairness
    FROM (SELECT s // {{width}} AS b, tenant, 1 - sum(w * failed) / sum(w) AS share FROM seen
          WHERE scored AND tenant IS NOT NULL GROUP BY b, tenant HAVING count(*) >= {FEWEST})
    GROUP BY b"""
