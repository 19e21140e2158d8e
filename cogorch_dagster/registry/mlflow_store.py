"""The door to MLflow: its client, straight on the database `mlflow` of our PostgreSQL, quiet and without a server.

The schema is brought to MLflow's newest at the first use in a process, which takes some seconds once in the life of an
installation. Artifacts do not pass through here: MLflow only learns where they lie.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import database, postgres
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_ready: set[str] = set()
_ready_lock = threading.Lock()
_REMEDY = "Run `cogorch doctor`."


def client(settings: Settings) -> "MlflowClient":
    """MLflow's client on this installation's database, whose schema is the newest.

    Raises:
        Unavailable: PostgreSQL cannot be reached, has no such database, or one of a newer MLflow.
    """
    url = database_url(settings)
    if url not in _ready:
        # Where it cannot be reached, that is told before MLflow is imported, which takes seconds.
        with locked(settings, "schema"):
            pass
    mlflow_client = _imported()
    with _ready_lock:
        if url not in _ready:
            with translated(settings):
                _prepare(settings, url, mlflow_client)
            if not _ready:
                atexit.register(_end)
            _ready.add(url)
    return mlflow_client(tracking_uri=url, registry_uri=url)


def database_url(settings: Settings) -> str:
    """The address of MLflow's database for SQLAlchemy; it may hold a password, so it is neither shown nor stored."""
    postgres.ensure_running(settings)
    return postgres.server_url(settings, settings.mlflow_database).replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def locked(settings: Settings, *key: str) -> Iterator[None]:
    """Let one process at a time write what the key names; others wait, and a killed one lets go.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or has no such database.
    """
    try:
        connection = database.engine(settings, settings.mlflow_database).connect()
    except sa.exc.OperationalError as error:
        raise Unavailable(
            f"the registry's database {settings.mlflow_database} cannot be opened: {_told(settings, error.orig)}. "
            "Run `cogorch setup`, which creates it, or `cogorch doctor`."
        ) from None
    with connection, connection.begin():
        database.lock(connection, "registry", *key)
        yield


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Raise what MLflow or its database run into as `Unavailable`, without what is secret."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise Unavailable(f"the registry does not answer: {_told(settings, error.message)}. {_REMEDY}") from None
    except sa.exc.DBAPIError as error:
        raise Unavailable(f"the registry does not answer: {_told(settings, error.orig)}. {_REMEDY}") from None


def dispose() -> None:
    """Close MLflow's connections of this process, to whatever database."""
    import sys

    with _ready_lock:
        _ready.clear()
    for name in ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"):
        if name in sys.modules:
            for engine in sys.modules[name].SqlAlchemyStore._engine_map.values():
                engine.dispose()


def _end() -> None:
    """Close what is open before the interpreter ends; MLflow keeps it in places where Python looks too late."""
    dispose()
    database.dispose()


def _imported() -> "type[MlflowClient]":
    # Read while it is imported; also for the processes that this one starts.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    return MlflowClient


def _prepare(settings: Settings, url: str, mlflow_client: "type[MlflowClient]") -> None:
    """Bring the schema to MLflow's newest, where it is not that."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from mlflow.store.tracking import sqlalchemy_store

    schema: Any = utils
    tracking: Any = sqlalchemy_store
    with locked(settings, "schema"):
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        if schema._get_schema_version(engine) is None:
            # Makes all tables. The client would too, and write down this process's folder as the place of artifacts.
            tracking.SqlAlchemyStore(url, "lake:/registry")
        try:
            # Compares the schema with MLflow's migrations, all of which it reads for that: once is enough.
            mlflow_client(tracking_uri=url, registry_uri=url).search_experiments(max_results=1)
        except MlflowException:
            if schema._get_schema_version(engine) == schema._get_latest_schema_revision():
                raise
            try:
                schema._initialize_tables(engine)
            except CommandError as error:
                raise Unavailable(
                    f"the registry's database {settings.mlflow_database} is of a newer MLflow ({error}); "
                    "install that one"
                ) from None


def _told(settings: Settings, said: object) -> str:
    """What the database said, in one line and without the password."""
    text = " ".join(str(said).split())
    if settings.postgres_url is not None:
        password = sa.make_url(settings.postgres_url.get_secret_value()).password
        text = text.replace(settings.postgres_url.get_secret_value(), "the server of COGORCH_POSTGRES_URL")
        text = text.replace(password, "***") if password else text
    return text
