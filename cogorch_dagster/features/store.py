"""Where feature sets are kept: the table `feature_sets`, whose rows never change."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.platform.tables import feature_sets as table

_SHORTEST = 8


@dataclass(frozen=True)
class Listed:
    """A set in a list."""

    created_at: datetime
    scope: str
    digest: str
    selected: int
    rows: int
    explained: float


def save(connection: sa.Connection, features: FeatureSet, run_id: str | None = None) -> bool:
    """Keep a set; False when the same is there already."""
    values = {
        "digest": features.digest,
        "scope": features.scope,
        # A transaction that builds several sets has one time of its own; the order among them counts.
        "created_at": sa.func.clock_timestamp(),
        "document": features.document(),
        "run_id": run_id,
    }
    added = insert(table).values(values).on_conflict_do_nothing().returning(table.c.digest)
    return connection.execute(added).first() is not None


def latest(connection: sa.Connection, scope: str) -> FeatureSet | None:
    """The set of a scope that was saved last, None before the first."""
    query = sa.select(table.c.document).where(table.c.scope == scope)
    row = connection.execute(query.order_by(table.c.created_at.desc(), table.c.digest).limit(1)).one_or_none()
    return None if row is None else FeatureSet.of(row.document)


def in_force(connection: sa.Connection, scope: str, at: datetime) -> FeatureSet | None:
    """The newest set of a scope that was selected on decisions before a moment only.

    Where there is none such yet, the first one to follow it that selected anything. None: there is neither.
    """
    until = sa.cast(table.c.document["until"].as_string(), sa.DateTime(timezone=True))
    selected = sa.func.jsonb_array_length(table.c.document["selected"])
    of_scope = sa.select(table.c.document).where(table.c.scope == scope)
    before = of_scope.where(until <= at).order_by(until.desc(), table.c.created_at.desc(), table.c.digest)
    after = of_scope.where(until > at, selected > 0).order_by(until, table.c.created_at.desc(), table.c.digest)
    for query in (before, after):
        row = connection.execute(query.limit(1)).one_or_none()
        if row is not None:
            return FeatureSet.of(row.document)
    return None


def is_digest(given: str) -> bool:
    """Whether a text has the form of a digest or of its beginning, with or without `sha256:`."""
    wanted = given.removeprefix("sha256:").lower()
    return wanted != "" and all(each in "0123456789abcdef" for each in wanted)


def get(connection: sa.Connection, digest: str) -> FeatureSet:
    """The set of a digest, or of its beginning where that is unique: 8 hexadecimal digits or more.

    Raises:
        InvalidInput: none has it, or several have.
    """
    wanted = digest.removeprefix("sha256:").lower()
    if len(wanted) < _SHORTEST or not is_digest(digest):
        raise InvalidInput(
            f"{digest!r} is no digest; give {_SHORTEST} hexadecimal digits or more, as `cogorch features list` does"
        )
    query = sa.select(table.c.document).where(table.c.digest.like(f"sha256:{wanted}%")).limit(2)
    rows = connection.execute(query).all()
    if len(rows) != 1:
        found = "no feature set has" if not rows else "several feature sets have"
        raise InvalidInput(f"{found} the digest {digest!r}; `cogorch features list` names them")
    return FeatureSet.of(rows[0].document)


def listing(connection: sa.Connection, scope: str | None = None, limit: int = 100) -> list[Listed]:
    """Sets, the newest first."""
    document = table.c.document
    query = sa.select(
        table.c.created_at,
        table.c.scope,
        table.c.digest,
        sa.func.jsonb_array_length(document["selected"]).label("selected"),
        document["rows"].as_integer().label("rows"),
        document["explained"].as_float().label("explained"),
    )
    query = query.order_by(table.c.created_at.desc(), table.c.digest).limit(limit)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return [Listed(*row) for row in connection.execute(query)]
