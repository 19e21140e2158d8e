# ruff: noqa: S608  SQL is composed of numbers of our own.
"""Policy parameters in force by bucket: the numbers in the params of the versions that the observations name.

A bucket in which two versions act, as in a canary ramp, has the mean of both, weighted by their rows.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from cogorch_dagster.causal.data.dataset import Floats, SetAside, Variable
from cogorch_dagster.causal.data.lake.seen import columns
from cogorch_dagster.causal.data.lake.variables import PARAMETER, POLICY, Buckets, Column
from cogorch_dagster.platform.tables import policy_versions

if TYPE_CHECKING:
    import duckdb

Ref = tuple[str, str]
"""Policy id and version."""


def acted(duck: "duckdb.DuckDBPyConnection") -> list[Ref]:
    """The versions that the observations name."""
    sql = """SELECT DISTINCT policy_id, policy_version FROM seen
             WHERE policy_id IS NOT NULL AND policy_version IS NOT NULL ORDER BY ALL"""
    return [(policy, version) for policy, version in duck.execute(sql).fetchall()]


def stored(connection: sa.Connection, refs: list[Ref]) -> dict[Ref, dict[str, Any]]:
    """The params of those versions that the control plane knows."""
    if not refs:
        return {}
    table = policy_versions.c
    query = sa.select(table.policy_id, table.version, table.params)
    rows = connection.execute(query.where(table.policy_id.in_(sorted({policy for policy, _ in refs}))))
    wanted = set(refs)
    return {(row.policy_id, row.version): row.params for row in rows if (row.policy_id, row.version) in wanted}


def read(
    duck: "duckdb.DuckDBPyConnection", rows: Buckets, refs: list[Ref], params: Mapping[Ref, Mapping[str, Any]]
) -> tuple[list[Column], list[SetAside]]:
    """A column for each number in the params: `param:`, the policy's id where several policies act, and the path."""
    aside = [
        SetAside(f"{PARAMETER}{policy}@{version}", "is no version that the control plane knows")
        for policy, version in refs
        if (policy, version) not in params
    ]
    if not params:
        return [], aside
    several = len({policy for policy, _ in params}) > 1
    weight = _weights(duck, rows, list(params))
    values: dict[str, dict[Ref, float]] = {}
    for ref, document in params.items():
        for path, number in numbers(document):
            values.setdefault(f"{ref[0]}.{path}" if several else path, {})[ref] = number
    return [Column(_variable(path), _mean(weight, held)) for path, held in sorted(values.items())], aside


def numbers(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """The numeric leaves of nested objects by dotted path, true and false as 1 and 0; lists are left out."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{path}{key}.")
        elif isinstance(value, bool | int | float):
            yield f"{path}{key}", float(value)


def _weights(duck: "duckdb.DuckDBPyConnection", rows: Buckets, refs: list[Ref]) -> dict[Ref, Floats]:
    """Σw of each version's rows by bucket, 0 where it did not act."""
    found = columns(
        duck,
        f"""SELECT s // {rows.width_s} AS b, policy_id AS p, policy_version AS v, sum(w) AS w
            FROM seen WHERE policy_id IS NOT NULL AND policy_version IS NOT NULL GROUP BY ALL""",
    )
    weights = {}
    for policy, version in refs:
        mine = (found["p"] == policy) & (found["v"] == version)
        weights[policy, version] = np.nan_to_num(rows.placed(found["b"][mine], found["w"][mine]))
    return weights


def _mean(weights: Mapping[Ref, Floats], values: Mapping[Ref, float]) -> Floats:
    total = np.sum([weights[ref] for ref in values], axis=0)
    summed = np.sum([weights[ref] * value for ref, value in values.items()], axis=0)
    return np.asarray(np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0))


def _variable(path: str) -> Variable:
    unit = "ms" if path.endswith("Ms") else "USD" if path.endswith("Usd") else ""
    return Variable(f"{PARAMETER}{path}", unit, "policy", POLICY, description=f"{path} of the policy in force")
