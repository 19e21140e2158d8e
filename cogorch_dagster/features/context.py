"""Columns made of the decisions' context: numbers as they are, and indicators of the most frequent texts."""

# ruff: noqa: S608  SQL is composed of relations of our own; texts go through `quote`.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogorch_dagster.lake.query import quote

if TYPE_CHECKING:
    import duckdb

MOST_KEYS = 20
MOST_TEXTS = 5
_NUMERIC = 0.95
"""A key whose known values are numbers (or true and false) in at least this share counts as numeric."""


@dataclass(frozen=True)
class ContextColumn:
    """A key of the context; `value` None: the number that it holds, else whether it holds this text."""

    key: str
    value: str | None = None

    @property
    def name(self) -> str:
        return f"context.{self.key}" if self.value is None else f"context.{self.key}={self.value}"

    def document(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ContextColumn":
        return cls(str(document["key"]), None if document["value"] is None else str(document["value"]))


def context_sql(column: ContextColumn) -> str:
    """The column as SQL over `context`; missing (NULL) where the key is."""
    text = _text(column.key)
    if column.value is None:
        return f"coalesce(try_cast({text} AS DOUBLE), try_cast({text} AS BOOLEAN)::DOUBLE)"
    return f"({text} = {quote(column.value)})::DOUBLE"


def find_context(duck: "duckdb.DuckDBPyConnection", rows: str, own: str) -> tuple[ContextColumn, ...]:
    """The columns that the contexts of some observations allow: at most 20 keys, the most frequent ones.

    Args:
        rows: relation of observations, which `own`, a condition, calls o.
    """
    keys = duck.execute(
        f"""SELECT key FROM (SELECT unnest(json_keys(o.context)) AS key FROM {rows} AS o
            WHERE {own} AND o.context IS NOT NULL)
            GROUP BY key HAVING NOT contains(key, '"') ORDER BY count(*) DESC, key LIMIT {MOST_KEYS}"""
    ).fetchall()
    found: list[ContextColumn] = []
    for (key,) in sorted(keys):
        number, text = context_sql(ContextColumn(key)), _text(key)
        known, numbers = duck.execute(
            f"SELECT count({text}), count({number}) FROM (SELECT o.context FROM {rows} AS o WHERE {own})"
        ).fetchall()[0]
        if known and numbers >= _NUMERIC * known:
            found.append(ContextColumn(key))
            continue
        texts = duck.execute(
            f"""SELECT {text} AS value FROM (SELECT o.context FROM {rows} AS o WHERE {own})
                WHERE value IS NOT NULL GROUP BY value ORDER BY count(*) DESC, value LIMIT {MOST_TEXTS}"""
        ).fetchall()
        found += [ContextColumn(key, value) for (value,) in texts]
    return tuple(found)


def _text(key: str) -> str:
    path = quote(f'$."{key}"')
    return f"json_extract_string(context, {path})"
