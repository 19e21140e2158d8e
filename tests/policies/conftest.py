"""A policy to test with: `router-x`, three arms, version 1.0.0 active as the seed would make it."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, drafts
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.decisions import approve
from cogorch_dagster.settings import Settings


def router_params(first: float = 0.5, **changes: Any) -> dict[str, Any]:
    return {
        "modelWeights": {"a": first, "b": 1 - first},
        "latencyTargetMs": 100,
        "maxCostUsd": 0.01,
        "fallbackOn": ["error"],
        "cooldownMs": 0,
        "timeoutMs": 1000,
        **changes,
    }


@pytest.fixture
def params() -> Any:
    """Builds valid router parameters with a given first weight."""
    return router_params


def make_router(connection: sa.Connection) -> str:
    administration.create_policy(connection, "router-x", "router", "router:x", actor="ada")
    drafts.propose_version(connection, "router-x", router_params(), actor="ada")
    approve(connection, "router-x", "1.0.0", "ada", "first")
    activate(connection, "router-x@1.0.0", "ada")
    return "router-x"


@pytest.fixture
def router(settings: Settings) -> str:
    """Id of a policy whose 1.0.0 is active, committed."""
    with transaction(settings) as connection:
        return make_router(connection)


@pytest.fixture(scope="module")
def shared_engine(server: Settings) -> Iterator[sa.Engine]:
    """A migrated database that a module's tests only touch in transactions that are rolled back."""
    name = f"cogorch_shared_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(_url(server, "postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{server.database}"'))
    engine = sa.create_engine(_url(server, name))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def connection(shared_engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction for a whole test, rolled back."""
    with shared_engine.connect() as opened:
        yield opened


@pytest.fixture
def rx(connection: sa.Connection) -> str:
    """As `router`, within `connection`."""
    return make_router(connection)


def _url(server: Settings, name: str) -> str:
    return postgres.server_url(server, name).replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def unguarded(settings: Settings) -> Any:
    """Runs SQL as a superuser who has switched the triggers off."""

    def run(sql: str, **values: Any) -> None:
        with transaction(settings) as superuser:
            superuser.execute(sa.text("SET LOCAL session_replication_role = replica"))
            superuser.execute(sa.text(sql), values)

    return run
