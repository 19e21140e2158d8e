"""Tokens: kept as a hash, limited to scopes, ended by revocation within seconds, never written to a log."""

import time

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform import database
from cogorch_dagster.policies import audit
from cogorch_dagster.service import tokens
from cogorch_dagster.service.authentication import CACHE_S
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, create_router, observation, put_into_force, token_for


def test_the_secret_is_nowhere_in_the_database_and_both_ends_of_a_token_are_audited(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        secret = tokens.issue(connection, "router", ["read", "ingest"])
        dump = str(connection.execute(sa.text("SELECT * FROM tokens")).all())
        dump += str(connection.execute(sa.text("SELECT * FROM audit_log")).all())
        assert secret not in dump and secret.removeprefix("cogorch_") not in dump
        found = tokens.verify(connection, secret)
        assert found is not None and found.scopes == {"read", "ingest"} and found.revoked_at is None
        assert tokens.revoke(connection, "router") is True
        assert tokens.revoke(connection, "router") is False
        revoked = tokens.verify(connection, secret)
        assert revoked is not None and revoked.revoked_at is not None
        events = [record.event for record in audit.records(connection, subject="token:router")]
        assert events == ["token.revoked", "token.issued"]
        assert audit.verify(connection).ok


def test_a_name_in_force_is_kept_unless_it_is_replaced(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        first = tokens.issue(connection, "router", ["read"])
        with pytest.raises(Refused, match="token router exists"):
            tokens.issue(connection, "router", ["ingest"])
        second = tokens.issue(connection, "router", ["ingest"], replace=True)
        assert tokens.verify(connection, first) is None
        tokens.revoke(connection, "router")
        third = tokens.issue(connection, "router", ["approve"])
        assert tokens.verify(connection, second) is None
        assert (found := tokens.verify(connection, third)) is not None and found.scopes == {"approve"}
        assert len(tokens.list_tokens(connection)) == 1


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "write"]])
def test_scopes_that_do_not_exist_are_refused(settings: Settings, scopes: list[str]) -> None:
    with database.transaction(settings) as connection, pytest.raises(InvalidInput, match="ingest, read, approve"):
        tokens.issue(connection, "router", scopes)


def test_every_route_wants_its_scope_and_says_which(shared: Service) -> None:
    create_router(shared.settings)
    put_into_force(shared.settings, 0.5)
    secrets = {scope: token_for(shared.settings, scope) for scope in tokens.SCOPES}
    batch = {"observations": [observation(1)]}
    decision = {"reason": "because"}
    routes = {
        ("POST", "/api/v1/observations", "ingest"): batch,
        ("POST", "/api/v1/feedback", "ingest"): {"feedback": []},
        ("GET", "/api/v1/policies/router-x/active", "read"): None,
        ("GET", "/api/v1/policies/router-x/events", "read"): None,
        ("GET", "/api/v1/policies/router-x/versions", "read"): None,
        ("POST", "/api/v1/policies/router-x/versions/1.0.0/approve", "approve"): decision,
        ("POST", "/api/v1/policies/router-x/versions/1.0.0/reject", "approve"): decision,
    }

    def call(method: str, path: str, token: str | None, body: object) -> tuple[int, str, str]:
        answer = shared.get(path, token) if method == "GET" else shared.post(path, token, body)
        return answer.status_code, answer.json()["error"], answer.json()["message"]

    for (method, path, scope), body in routes.items():
        assert call(method, path, None, body)[:2] == (401, "token_missing"), path
        assert call(method, path, "cogorch_guess", body)[:2] == (401, "token_unknown"), path
        for other in set(tokens.SCOPES) - {scope}:
            status, error, message = call(method, path, secrets[other], body)
            assert (status, error) == (403, "scope_missing"), path
            assert f"scope {scope}" in message and f"token {other} has {other}" in message
    assert shared.post("/api/v1/observations", secrets["ingest"], batch).status_code == 200
    basic = shared.get("/api/v1/policies/router-x/active", Authorization="Basic YTpi")
    assert (basic.status_code, basic.headers["WWW-Authenticate"]) == (401, 'Bearer realm="cogorch"')
    for path in ("/healthz", "/readyz", "/metrics"):
        assert shared.get(path).status_code == 200
    assert all(secret not in shared.log for secret in secrets.values())


def test_a_revoked_token_ends_within_seconds(shared: Service) -> None:
    token = token_for(shared.settings, "ingest", name="leaked")
    batch = {"observations": [observation(1)]}
    assert shared.post("/api/v1/observations", token, batch).status_code == 200
    with database.transaction(shared.settings) as connection:
        tokens.revoke(connection, "leaked")
    time.sleep(CACHE_S + 0.1)
    answer = shared.post("/api/v1/observations", token, batch)
    assert (answer.status_code, answer.json()["error"]) == (401, "token_revoked")
