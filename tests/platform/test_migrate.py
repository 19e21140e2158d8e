"""Migrations: the tables they create are those that the code believes in, and running them again changes nothing."""

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cogorch_dagster.platform import database, migrate
from cogorch_dagster.platform.tables import metadata
from cogorch_dagster.settings import Settings


def test_tables_equal_what_the_migrations_create(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, *_: name != "alembic_version", "compare_type": True},
        )
        assert compare_metadata(context, metadata) == []


def test_prepare_twice_changes_nothing(settings: Settings) -> None:
    first = migrate.prepare(settings)
    with database.transaction(settings) as connection:
        connection.execute(sa.text("INSERT INTO flags VALUES ('x', 'true', now(), 'test')"))
    assert migrate.prepare(settings) == first
    with database.transaction(settings) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM flags")).scalar_one() == 1
