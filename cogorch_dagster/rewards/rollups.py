"""Hourly rollups: sums that merge over any set of hours into means, standard errors and quantiles.

A rollup is made from the hour's rewards, and from its observations for the count of those that have no reward.
"""

# ruff: noqa: S608  SQL is composed of relations, column names and numbers of our own; texts go through `quote`.

from cogorch_dagster.rewards.buckets import bucket_sql
from cogorch_dagster.rewards.schema import KEYS, MEASURES, OUTCOMES, SUMS
from cogorch_dagster.rewards.scoring import MICROSECONDS_PER_HOUR, SCORED_OUTCOMES, hour_number, is_scored

# Part of every rollup's input digest: raise it when the meaning of a column changes.
FORMAT = "1"

# The column of a reward row that each measure averages; success is 0 or 1 and has a value wherever reward has one.
_VALUES = {"reward": "score", "cost": "cost_usd", "duration": "duration_ms"}


def rollups_query(rewards: str, observations: str) -> str:
    """SQL query with the columns of `ROLLUP_SCHEMA`.

    Args:
        rewards: relation of rewards of any number of whole hours.
        observations: relation of the observations of the same hours.
    """
    keys = ", ".join(KEYS)
    every_outcome = " + ".join(f"n_{outcome}" for outcome in OUTCOMES)
    return f"""
        WITH scored AS (
            SELECT {hour_number("occurred_at")} AS hour, {keys}, outcome, score, cost_usd, duration_ms,
                   sample_weight AS w, {bucket_sql("duration_ms")} AS bucket
            FROM {rewards}
        ),
        fine AS (
            SELECT hour, {keys}, bucket, {", ".join(_fine_sums())} FROM scored GROUP BY hour, {keys}, bucket
        ),
        unscored AS (
            SELECT {hour_number("occurred_at")} AS hour, {keys},
                   count(*) FILTER (outcome = 'cancelled') AS n_cancelled,
                   count(*) FILTER (outcome = 'pending') AS n_pending
            FROM {observations} WHERE NOT ({is_scored("outcome")}) GROUP BY ALL
        ),
        every AS (SELECT * FROM fine UNION ALL BY NAME SELECT * FROM unscored)
        SELECT make_timestamptz(hour * {MICROSECONDS_PER_HOUR}) AS hour, {keys}, {every_outcome} AS n,
               * EXCLUDE (hour, {keys})
        FROM (SELECT hour, {keys}, {", ".join(_coarse_sums())} FROM every GROUP BY hour, {keys})"""


def _fine_sums() -> list[str]:
    sums = [f"count(*) FILTER (outcome = '{outcome}') AS n_{outcome}" for outcome in SCORED_OUTCOMES]
    for measure, value in _VALUES.items():
        known = "" if measure == "reward" else f" FILTER ({value} IS NOT NULL)"
        sums += [
            f"count({value}) AS {measure}_n",
            f"sum(w){known} AS {measure}_sw",
            f"sum(w * {value}) AS {measure}_swy",
            f"sum(w * w){known} AS {measure}_sw2",
            f"sum(w * w * {value}) AS {measure}_sw2y",
            f"sum(w * w * {value} * {value}) AS {measure}_sw2y2",
        ]
    success = "FILTER (outcome = 'success')"
    return [*sums, f"sum(w) {success} AS success_swy", f"sum(w * w) {success} AS success_sw2y"]


def _coarse_sums() -> list[str]:
    # Of a 0/1 value the square is the value, and its count and weights are those of the reward.
    source = {"success_n": "reward_n", "success_sw": "reward_sw", "success_sw2": "reward_sw2"}
    source["success_sw2y2"] = "success_sw2y"
    sums = [f"coalesce(sum(n_{outcome}), 0)::BIGINT AS n_{outcome}" for outcome in OUTCOMES]
    for name in (f"{measure}_{part}" for measure in MEASURES for part in SUMS):
        kind = "BIGINT" if name.endswith("_n") else "DOUBLE"
        sums.append(f"coalesce(sum({source.get(name, name)}), 0)::{kind} AS {name}")
    entry = "{'key': bucket, 'value': duration_sw}"
    return [*sums, f"map_from_entries(list({entry}) FILTER (bucket IS NOT NULL)) AS latency"]
