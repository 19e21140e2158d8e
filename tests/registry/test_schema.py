"""MLflow's schema: made at the first use, brought up to date from an older one, and one of the future left alone."""

import threading

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import database
from cogorch_dagster.registry import mlflow_store, store
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.settings import Settings


def run(settings: Settings, *statements: str) -> None:
    with database.engine(settings, settings.mlflow_database).begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def register(settings: Settings) -> str:
    lineage = Lineage(code_version="0.1.0")
    return store.register(settings, "agent-policy", {"a.json": b"[]"}, params={}, metrics={}, lineage=lineage).ref


def test_an_older_schema_is_upgraded_and_a_newer_one_refused(mlflow_database: Settings) -> None:
    assert register(mlflow_database) == "agent-policy@1"
    with database.engine(mlflow_database, mlflow_database.mlflow_database).connect() as connection:
        newest = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    from mlflow.store.db import utils

    script = utils.ScriptDirectory.from_config(utils._get_alembic_config(""))
    revision = script.get_revision(newest)
    assert revision is not None
    # The last migration alone is undone, by its own way back.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    with database.engine(mlflow_database, mlflow_database.mlflow_database).begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            revision.module.downgrade()
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision.down_revision}'"))
    fresh_process()
    threads = [threading.Thread(target=register, args=(mlflow_database,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.engine(mlflow_database, mlflow_database.mlflow_database).connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == newest
    assert register(mlflow_database) == "agent-policy@1"

    run(mlflow_database, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    fresh_process()
    with pytest.raises(Unavailable, match="is of a newer MLflow"):
        register(mlflow_database)


def fresh_process() -> None:
    """Forget what this process knows of databases."""
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

    mlflow_store.dispose()
    TrackingStoreRegistry._get_store_with_resolved_uri.cache_clear()
