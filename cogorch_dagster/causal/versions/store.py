"""Where versions of the causal graph are kept: the table `causal_versions`, whose rows never change."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import causal_versions as table

_SHORTEST = 8


def save(connection: sa.Connection, version: CausalVersion, run_id: str | None = None) -> bool:
    """Keep a version whose data set is kept; False when it is there already."""
    values = {
        "digest": version.digest,
        "scope": version.scope,
        "dataset": version.dataset,
        "document": version.document(),
        "model": version.model.content,
        "run_id": run_id,
    }
    added = insert(table).values(values).on_conflict_do_nothing().returning(table.c.digest)
    return connection.execute(added).first() is not None


def latest(connection: sa.Connection, scope: str) -> CausalVersion | None:
    """The version of a scope that was saved last, None before the first."""
    query = sa.select(table).where(table.c.scope == scope).order_by(table.c.created_at.desc(), table.c.digest).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def before(connection: sa.Connection, digest: str) -> CausalVersion | None:
    """The version of the same scope that was saved before this one, None for the first."""
    this = connection.execute(sa.select(table.c.scope, table.c.created_at).where(table.c.digest == digest)).one()
    query = (
        sa.select(table)
        .where(table.c.scope == this.scope, table.c.created_at < this.created_at)
        .order_by(table.c.created_at.desc(), table.c.digest)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def get(connection: sa.Connection, digest: str) -> CausalVersion:
    """The version of a digest, or of its beginning where that is unique: 8 hexadecimal digits or more.

    Raises:
        InvalidInput: none has it, or several have.
    """
    wanted = digest.removeprefix("sha256:").lower()
    if len(wanted) < _SHORTEST or not all(each in "0123456789abcdef" for each in wanted):
        raise InvalidInput(f"{digest!r} is no digest; give `sha256:` and at least {_SHORTEST} hexadecimal digits")
    rows = connection.execute(sa.select(table).where(table.c.digest.like(f"sha256:{wanted}%")).limit(2)).all()
    if len(rows) != 1:
        found = "no version has" if not rows else "several versions have"
        raise InvalidInput(f"{found} the digest {digest!r}; `cogorch causal graph --all` lists them")
    return _version(rows[0])


def listing(connection: sa.Connection, scope: str | None = None, limit: int = 100) -> list[tuple[datetime, str, str]]:
    """When each was saved, its scope and its digest; the newest first."""
    query = sa.select(table.c.created_at, table.c.scope, table.c.digest)
    query = query.order_by(table.c.created_at.desc(), table.c.digest).limit(limit)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return [(row.created_at, row.scope, row.digest) for row in connection.execute(query)]


def scopes(connection: sa.Connection) -> list[str]:
    """Every scope that has a version."""
    return list(connection.execute(sa.select(table.c.scope).distinct().order_by(table.c.scope)).scalars())


def prune(connection: sa.Connection, keep: int) -> int:
    """Forget all but the newest `keep` versions of each scope, with their effects and insights; how many went.

    Raises:
        InvalidInput: `keep` is less than 1.
    """
    if keep < 1:
        raise InvalidInput(f"keep is {keep}; at least the newest version of each scope stays, so it must be 1 or more")
    place = sa.func.row_number().over(partition_by=table.c.scope, order_by=table.c.created_at.desc())
    ranked = sa.select(table.c.digest, place.label("place")).subquery()
    old = sa.select(ranked.c.digest).where(ranked.c.place > keep)
    return connection.execute(sa.delete(table).where(table.c.digest.in_(old))).rowcount


def _version(row: sa.Row[Any]) -> CausalVersion:
    """The version of a row, held against its digest.

    Raises:
        Refused: `damaged_version`.
    """
    found = CausalVersion.of(row.document, StructuralModel.of(bytes(row.model)))
    if found.digest != row.digest:
        raise Refused(
            "damaged_version",
            f"causal version {row.digest} is not what was saved; restore the database from a backup, or discover anew",
        )
    return found
