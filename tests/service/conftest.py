"""Running services: one with an installation of its own, and one that the tests of a module share."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from cogorch_dagster.platform import database, postgres
from cogorch_dagster.settings import Settings
from tests.conftest import TEMPLATE
from tests.service.processes import Service, service_of


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    """A service of this test alone, to kill or to count."""
    with service_of(settings, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def running(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that a module's tests share: starting a process costs a second."""
    base = postgres.server_url(server, "postgres")
    name = f"cogorch_{uuid.uuid4().hex[:12]}"
    url = base.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}'))
    folder = tmp_path_factory.mktemp("shared")
    settings = Settings(home=folder / "home", postgres_url=SecretStr(base), database=name, _env_file=None)
    with service_of(settings, folder) as shared:
        yield shared
    database.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def shared(running: Service) -> Service:
    """The module's service with an empty inbox and no tokens; policies stay, so each test names its own."""
    with database.transaction(running.settings) as connection:
        connection.execute(sa.text("TRUNCATE inbox_observations, inbox_feedback, tokens"))
    return running
