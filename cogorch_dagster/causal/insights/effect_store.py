"""Effects of a version as documents, and where they are kept: the table `causal_effects`, whose rows never change."""

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.causal.effects.answer import Effect, EffectRange
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.platform.tables import causal_effects as table
from cogorch_dagster.policies.document import as_document

_KINDS = {Effect: "effect", EffectRange: "range", NotIdentified: "not_identified"}


def effect_document(found: Effect | EffectRange | NotIdentified) -> dict[str, Any]:
    """Plain JSON; `answer` is effect, range or not_identified, and what is not finite is null."""
    return as_document({"answer": _KINDS[type(found)], **_plain(asdict(found))})


def save(connection: sa.Connection, version: str, document: Mapping[str, Any]) -> bool:
    """Keep the document of an effect of a version; False when there is one already."""
    values = {
        "version": version,
        "treatment": document["treatment"],
        "outcome": document["outcome"],
        "document": as_document(document),
    }
    added = insert(table).values(values).on_conflict_do_nothing().returning(table.c.version)
    return connection.execute(added).first() is not None


def of_version(connection: sa.Connection, version: str) -> list[dict[str, Any]]:
    """The documents of all effects of a version, by cause and outcome."""
    query = sa.select(table.c.document).where(table.c.version == version)
    return list(connection.execute(query.order_by(table.c.treatment, table.c.outcome)).scalars())


def known(connection: sa.Connection, version: str) -> set[tuple[str, str]]:
    """(cause, outcome) of the effects that are kept."""
    query = sa.select(table.c.treatment, table.c.outcome).where(table.c.version == version)
    return {(row.treatment, row.outcome) for row in connection.execute(query)}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    return value
