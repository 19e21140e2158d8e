"""Bearer tokens of the service: issued once in the clear, kept as a hash, limited to scopes, revocable."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import tokens
from cogorch_dagster.policies import audit
from cogorch_dagster.policies.document import check_text

Scope = Literal["ingest", "read", "approve"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "cogorch_"
_MAX_SECRET = 256


@dataclass(frozen=True)
class Token:
    """What is known of a token; its secret is not."""

    token_id: uuid.UUID
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None


def issue(
    connection: sa.Connection, name: str, scopes: Iterable[str], *, replace: bool = False, actor: str = "system"
) -> str:
    """Create a token and return its secret, which cannot be shown again.

    Args:
        name: unique among the tokens that are not revoked; it is the actor of decisions made with the token.
        scopes: of `ingest`, `read`, `approve`; at least one.
        replace: give an existing token of this name a new secret and these scopes; the old secret ends.

    Raises:
        InvalidInput: an unknown or no scope, or no name.
        Refused: `token_exists`.
    """
    name = check_text("name of the token", name, 100)
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise InvalidInput(f"scopes {wanted or 'none'}: give one or more of {', '.join(SCOPES)}")
    # 256 random bits cannot be guessed, so a fast hash without salt keeps them as well as a slow one.
    secret = _PREFIX + secrets.token_urlsafe(32)
    values = {"token_id": uuid.uuid4(), "secret_hash": hash_secret(secret), "scopes": wanted, "revoked_at": None}
    audit.hold(connection)
    statement = insert(tokens).values(name=name, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={**values, "created_at": sa.func.now()},
        where=None if replace else tokens.c.revoked_at.is_not(None),
    )
    if connection.execute(statement.returning(tokens.c.token_id)).first() is None:
        raise Refused("token_exists", f"token {name} exists; revoke or replace it first, or choose another name")
    audit.append(connection, actor, "token.issued", f"token:{name}", {"scopes": wanted})
    return secret


def revoke(connection: sa.Connection, name: str, *, actor: str = "system") -> bool:
    """End a token, everywhere within `authentication.CACHE_S` seconds; False when none of that name is in force."""
    audit.hold(connection)
    statement = sa.update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
    revoked = connection.execute(statement.values(revoked_at=sa.func.now())).rowcount > 0
    if revoked:
        audit.append(connection, actor, "token.revoked", f"token:{name}", {})
    return revoked


def verify(connection: sa.Connection, secret: str) -> Token | None:
    """The token of a secret, revoked ones included (see `revoked_at`); None when no token has it."""
    if not secret or len(secret) > _MAX_SECRET:
        return None
    hashed = hash_secret(secret)
    row = connection.execute(sa.select(tokens).where(tokens.c.secret_hash == hashed)).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_hash, hashed):
        return None
    return _token(row)


def list_tokens(connection: sa.Connection) -> list[Token]:
    """Every token by name, revoked ones included."""
    return [_token(row) for row in connection.execute(sa.select(tokens).order_by(tokens.c.name))]


def hash_secret(secret: str) -> str:
    """SHA-256 of the secret in hexadecimal: what is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    return Token(
        token_id=row.token_id,
        name=row.name,
        scopes=frozenset(row.scopes),
        created_at=row.created_at.astimezone(UTC),
        revoked_at=row.revoked_at and row.revoked_at.astimezone(UTC),
    )
