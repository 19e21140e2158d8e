"""Who calls: a bearer token in every request, looked up at most every two seconds, and the scope that a route wants."""

import threading
import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from cogorch_dagster.platform import database
from cogorch_dagster.service import tokens
from cogorch_dagster.service.answers import Denied
from cogorch_dagster.service.tokens import Scope, Token
from cogorch_dagster.settings import Settings

CACHE_S = 2.0
"""How long, in seconds, a token is believed without asking again: the time until a revocation holds everywhere."""
_CACHE_ENTRIES = 10_000

_bearer = HTTPBearer(auto_error=False, description="A token of `cogorch`, with the scope that the route names.")


class Authenticator:
    """Tokens by the hash of their secret; unknown secrets are remembered too, so guessing costs no query each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[Token | None, float]] = {}

    async def token(self, secret: str) -> Token | None:
        """The token of a secret, revoked or not; None when there is none."""
        key = tokens.hash_secret(secret)
        cached = self._cache.get(key)
        if cached is not None and time.monotonic() < cached[1]:
            return cached[0]
        return await run_in_threadpool(self._look_up, key, secret)

    def _look_up(self, key: str, secret: str) -> Token | None:
        asked_at = time.monotonic()
        with database.transaction(self._settings) as connection:
            token = tokens.verify(connection, secret)
        with self._lock:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            self._cache[key] = (token, asked_at + CACHE_S)
        return token


def requires(scope: Scope) -> Callable[..., Coroutine[Any, Any, Token]]:
    """A dependency that lets a request pass with a token of this scope, and is that token.

    Raises:
        Denied: 401 without a token in force, 403 when it lacks the scope.
    """

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Token:
        if credentials is None:
            raise Denied(401, "token_missing", "send `Authorization: Bearer <token>`")
        authenticator: Authenticator = request.app.state.authenticator
        token = await authenticator.token(credentials.credentials)
        if token is None:
            raise Denied(401, "token_unknown", "the token is not one of this installation")
        if token.revoked_at is not None:
            raise Denied(401, "token_revoked", f"token {token.name} was revoked at {token.revoked_at.isoformat()}")
        if scope not in token.scopes:
            held = ", ".join(sorted(token.scopes))
            raise Denied(403, "scope_missing", f"this needs scope {scope}; token {token.name} has {held}")
        return token

    return check
