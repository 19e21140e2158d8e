# ruff: noqa: S608  SQL is composed of names of columns and numbers of our own.
"""Shares by bucket: of the tenants in the traffic, and of the arms among the first draws.

Shares add up to 1, so one of them is left out: the last by name, whatever the traffic, so that the same component has
the same variables in every period.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.causal.data.dataset import SetAside, Variable
from cogorch_dagster.causal.data.lake.seen import columns
from cogorch_dagster.causal.data.lake.variables import CONTEXT, DRAWN, SHARE, TENANT, Buckets, Column

if TYPE_CHECKING:
    import duckdb

MOST = 6
LEAST_SHARE = 0.01
"""Tenants and arms are told apart: the six largest with at least this share; the rest counts as the one left out."""


def tenants(duck: "duckdb.DuckDBPyConnection", rows: Buckets) -> tuple[list[Column], list[SetAside]]:
    """Shares of first attempts by tenant."""
    return _shares(duck, rows, "tenant", "first", TENANT)


def arms(duck: "duckdb.DuckDBPyConnection", rows: Buckets) -> tuple[list[Column], list[SetAside]]:
    """Shares of the scored first attempts by the arm that was drawn."""
    return _shares(duck, rows, "action", "first AND scored", SHARE)


def _shares(
    duck: "duckdb.DuckDBPyConnection", rows: Buckets, what: str, where: str, prefix: str
) -> tuple[list[Column], list[SetAside]]:
    condition = f"{what} IS NOT NULL AND {where}"
    totals = columns(
        duck, f"SELECT {what} AS name, sum(w) AS w FROM seen WHERE {condition} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    if len(totals["name"]) < 2:
        return [], []
    whole = totals["w"].sum()
    large = [str(name) for name, w in zip(totals["name"], totals["w"], strict=True) if w >= LEAST_SHARE * whole]
    names = sorted(large[:MOST])
    if len(names) < 2:
        return [], [SetAside(f"{prefix}{name}", "is all but all of the traffic") for name in names]
    # With more names than are told apart, the rest is the reference and no named one is left out.
    rest = len(names) < len(totals["name"])
    kept = names if rest else names[:-1]
    found = columns(
        duck,
        f"""SELECT s // {rows.width_s} AS b, {what} AS name, sum(w) AS w FROM seen WHERE {condition} GROUP BY 1, 2""",
    )
    made = [Column(_variable(prefix, name), values) for name, values in _placed(found, kept, rows)]
    aside = [] if rest else [SetAside(f"{prefix}{names[-1]}", f"is 1 less the shares of {', '.join(kept)}")]
    return made, aside


def _placed(found: dict[str, Any], names: list[str], rows: Buckets) -> list[tuple[str, Any]]:
    inside, at = np.unique(found["b"], return_inverse=True)
    total = np.bincount(at, found["w"])
    out = []
    for name in names:
        mine = found["name"] == name
        share = np.bincount(at[mine], found["w"][mine], minlength=len(inside)) / total
        out.append((name, rows.placed(inside, share)))
    return out


def _variable(prefix: str, name: str) -> Variable:
    if prefix == TENANT:
        return Variable(
            f"{prefix}{name}", "share", "context", CONTEXT, description=f"share of tenant {name} in the requests"
        )
    return Variable(
        f"{prefix}{name}", "share", "policy", DRAWN, description=f"share of first draws that went to {name}"
    )
