"""Where versions of the causal graph are kept: the table `causal_versions`, whose rows never change.

Which of them answers for its scope is in `causal_heads`: the one found last, also where it had been found before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import causal_datasets
from cogorch_dagster.platform.tables import causal_heads as heads
from cogorch_dagster.platform.tables import causal_versions as table

_SHORTEST = 8


def save(connection: sa.Connection, version: CausalVersion, run_id: str | None = None) -> bool:
    """Keep a version whose data set is kept, and let it answer for its scope; False when it is there already."""
    values = {
        "digest": version.digest,
        "scope": version.scope,
        "dataset": version.dataset,
        "document": version.document(),
        "model": version.model.content,
        "run_id": run_id,
    }
    added = insert(table).values(values).on_conflict_do_nothing().returning(table.c.digest)
    new = connection.execute(added).first() is not None
    head = {"version": version.digest, "found_at": sa.func.clock_timestamp()}
    connection.execute(
        insert(heads).values(scope=version.scope, **head).on_conflict_do_update(index_elements=["scope"], set_=head)
    )
    return new


def latest(connection: sa.Connection, scope: str) -> CausalVersion | None:
    """The version of a scope that was found last, None before the first."""
    query = sa.select(table).join(heads, heads.c.version == table.c.digest).where(heads.c.scope == scope)
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def before(connection: sa.Connection, digest: str) -> CausalVersion | None:
    """The version of the same scope that was saved before this one, None for the first, or where there is none."""
    this = sa.select(table.c.scope, table.c.created_at).where(table.c.digest == digest).subquery()
    query = (
        sa.select(table)
        .join(this, table.c.scope == this.c.scope)
        .where(table.c.created_at < this.c.created_at)
        .order_by(table.c.created_at.desc(), table.c.digest)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row)


def require(connection: sa.Connection, digest: str) -> None:
    """Hold a version against a clean-up until the transaction ends.

    Raises:
        Refused: `unknown_version`, it is gone.
    """
    query = sa.select(table.c.digest).where(table.c.digest == digest).with_for_update(key_share=True)
    if connection.execute(query).first() is None:
        raise Refused(
            "unknown_version", f"causal version {digest} is gone; a clean-up keeps the newest. Discover anew."
        )


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


@dataclass(frozen=True)
class Listed:
    """A version in a list: when it was first found, whose it is, and whether it answers now."""

    found_at: datetime
    scope: str
    version: str
    latest: bool


def listing(connection: sa.Connection, scope: str | None = None, limit: int = 100) -> list[Listed]:
    """Versions, the newest first."""
    query = sa.select(table.c.created_at, table.c.scope, table.c.digest, heads.c.version.is_not(None).label("latest"))
    query = query.select_from(table.outerjoin(heads, heads.c.version == table.c.digest))
    query = query.order_by(table.c.created_at.desc(), table.c.digest).limit(limit)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return [Listed(row.created_at, row.scope, row.digest, row.latest) for row in connection.execute(query)]


def scopes(connection: sa.Connection) -> list[str]:
    """Every scope that has a version, components and files."""
    return list(connection.execute(sa.select(heads.c.scope).order_by(heads.c.scope)).scalars())


def components(connection: sa.Connection) -> dict[str, datetime]:
    """The scopes that are components, no files, and when their latest version was found."""
    query = (
        sa.select(heads.c.scope, heads.c.found_at)
        .join(table, heads.c.version == table.c.digest)
        .join(causal_datasets, causal_datasets.c.digest == table.c.dataset)
        .where(causal_datasets.c.since.is_not(None))
        .order_by(heads.c.scope)
    )
    return {row.scope: row.found_at for row in connection.execute(query)}


def prune(connection: sa.Connection, keep: int) -> int:
    """Forget all but the newest `keep` versions of each scope and its latest, with their effects and insights.

    Returns:
        How many went.

    Raises:
        InvalidInput: `keep` is less than 1.
    """
    if keep < 1:
        raise InvalidInput(f"keep is {keep}; at least the newest version of each scope stays, so it must be 1 or more")
    place = sa.func.row_number().over(partition_by=table.c.scope, order_by=table.c.created_at.desc())
    ranked = sa.select(table.c.digest, place.label("place")).subquery()
    old = sa.select(ranked.c.digest).where(ranked.c.place > keep, ranked.c.digest.not_in(sa.select(heads.c.version)))
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
