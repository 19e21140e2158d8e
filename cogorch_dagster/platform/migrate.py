"""Create the installation's databases and bring the control plane to the newest schema; safe to run any time."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cogorch_dagster.platform import database, postgres
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config


def prepare(settings: Settings) -> str:
    """Start the server if it is ours, create the missing databases, run the migrations.

    Returns:
        The schema's revision.
    """
    postgres.ensure_running(settings)
    create_databases(settings)
    return upgrade(settings)


def create_databases(settings: Settings) -> list[str]:
    """Create the databases that do not exist yet; returns their names."""
    created = []
    admin = sa.create_engine(
        postgres.server_url(settings, "postgres").replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
    )
    with admin.connect() as connection:
        # Two processes may prepare at once: CREATE DATABASE cannot run inside the transaction a lock would need.
        connection.execute(sa.text("SELECT pg_advisory_lock(hashtextextended('cogorch:databases', 0))"))
        existing = set(connection.execute(sa.text("SELECT datname FROM pg_database")).scalars())
        for name in (settings.database, settings.dagster_database, settings.mlflow_database):
            if name not in existing:
                connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
                created.append(name)
    admin.dispose()
    return created


def upgrade(settings: Settings) -> str:
    """Run the pending migrations in one transaction; concurrent callers wait for each other."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    config = _config()
    with database.transaction(settings) as connection:
        database.lock(connection, "migrate")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return MigrationContext.configure(connection).get_current_revision() or ""


def revisions(settings: Settings) -> tuple[str | None, str | None]:
    """The revision that the control plane has, and the newest there is."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.transaction(settings) as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
