# ruff: noqa: S608  SQL is composed of relations and numbers of our own; texts go through `quote`.
"""Numeric keys of the observations' context by bucket: replicas, concurrency, and whatever else was known before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cogorch_dagster.causal.data.dataset import SetAside, Variable
from cogorch_dagster.causal.data.lake.seen import columns, mean, second
from cogorch_dagster.causal.data.lake.variables import CONTEXT, KEY, POLICY, Buckets, Column, is_policy_key
from cogorch_dagster.lake.query import quote

if TYPE_CHECKING:
    import duckdb

MOST_KEYS = 20
LEAST_SHARE = 0.01
"""A key that fewer contexts have is not looked at."""

_SAMPLED = 20_000
_NUMERIC = 0.95


@dataclass(frozen=True)
class _Key:
    name: str
    numeric: bool


def read(
    duck: "duckdb.DuckDBPyConnection", observations: str, inside: str, total: int, rows: Buckets
) -> tuple[list[Column], list[SetAside]]:
    """Means of the keys whose values are numbers, also written as text, or true and false; the 20 most frequent ones.

    Args:
        observations, inside: relation and condition of the rows.
        total: how many rows there are; the keys are looked for in about 20,000 of them.
    """
    found = _keys(duck, observations, inside, total)
    numeric = [key.name for key in found if key.numeric]
    aside = [SetAside(f"{KEY}{key.name}", "is not a number") for key in found if not key.numeric]
    if not numeric:
        return [], aside
    paths = ", ".join(quote(_path(name)) for name in numeric)
    places = range(1, len(numeric) + 1)
    listed = ", ".join(f"{_number(f'v[{place}]')} AS k{place}" for place in places)
    means = ", ".join(f"{mean(f'k{place}')} AS k{place}" for place in places)
    held = columns(
        duck,
        f"""SELECT b, {means} FROM (
                SELECT b, w, {listed} FROM (
                    SELECT {second()} // {rows.width_s} AS b, coalesce(sample_weight, 1) AS w,
                           json_extract(context, [{paths}]) AS v
                    FROM {observations} WHERE {inside} AND context IS NOT NULL))
            GROUP BY b""",
    )
    made = [
        Column(_variable(name), rows.placed(held["b"], held[f"k{place}"]))
        for place, name in zip(places, numeric, strict=True)
    ]
    return made, aside


def _keys(duck: "duckdb.DuckDBPyConnection", observations: str, inside: str, total: int) -> list[_Key]:
    """The keys of the context in a sample, the most frequent first."""
    every = max(1, total // _SAMPLED)
    rows = duck.execute(
        f"""
        WITH sampled AS (
            SELECT context FROM {observations}
            WHERE {inside} AND context IS NOT NULL AND hash(epoch_us(occurred_at)) % {every} = 0
        ),
        pairs AS (SELECT context, unnest(json_keys(context)) AS key FROM sampled),
        typed AS (
            SELECT key, json_extract(context, '$."' || key || '"') AS v FROM pairs WHERE NOT contains(key, '"')
        )
        SELECT key, count(*) FILTER (json_type(v) <> 'NULL') AS known, count({_number("v")}) AS numbers
        FROM typed GROUP BY key HAVING known >= greatest(1, {LEAST_SHARE} * (SELECT count(*) FROM sampled))
        ORDER BY known DESC, key LIMIT {MOST_KEYS}"""
    ).fetchall()
    return sorted((_Key(key, numbers >= _NUMERIC * known) for key, known, numbers in rows), key=lambda each: each.name)


def _number(value: str) -> str:
    """SQL for the number that a JSON value is, null where it is none; a file's columns may be text in the context."""
    number = f"coalesce(TRY_CAST({value} AS DOUBLE), TRY_CAST({value} ->> '$' AS DOUBLE))"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _path(name: str) -> str:
    return f'$."{name}"'


def _variable(name: str) -> Variable:
    unit = "ms" if name.endswith(("_ms", "Ms")) else ""
    role, tier = ("policy", POLICY) if is_policy_key(name) else ("context", CONTEXT)
    said = f"mean {name} of the context of an attempt"
    return Variable(f"{KEY}{name}", unit, role, tier, description=said)  # type: ignore[arg-type]
