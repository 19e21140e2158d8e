"""The one way to talk to PostgreSQL: a pooled engine per database and a transaction.

Every write of the control plane happens inside `transaction`; a function that takes a `Connection` leaves
committing to its caller, so that several of them compose into one atomic step.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import postgres
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.settings import Settings

_engines: dict[str, sa.Engine] = {}
_engines_lock = threading.Lock()
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def engine(settings: Settings, database: str | None = None) -> sa.Engine:
    """The process's engine for one database (default: the control plane); starts the embedded server if needed."""
    name = database or settings.database
    try:
        url = postgres.server_url(settings, name)
    except Unavailable:
        postgres.ensure_running(settings)
        url = postgres.server_url(settings, name)
    with _engines_lock:
        if url not in _engines:
            _engines[url] = sa.create_engine(
                url.replace("postgresql://", "postgresql+psycopg://", 1),
                pool_pre_ping=True,
                pool_size=5,
                max_overflow=15,
                connect_args={"application_name": "cogorch", "connect_timeout": 10},
            )
        return _engines[url]


@contextmanager
def transaction(settings: Settings, *, isolation: str | None = None) -> Iterator[sa.Connection]:
    """A connection to the control plane in one transaction: committed on success, rolled back on any error.

    Args:
        isolation: for example `SERIALIZABLE` or `REPEATABLE READ`; the server's default otherwise.

    Raises:
        Unavailable: the server cannot be reached.
    """
    with _connect(settings) as connection:
        if isolation is not None:
            connection.execution_options(isolation_level=isolation)
        with connection.begin():
            yield connection


def lock(connection: sa.Connection, *key: object) -> None:
    """Hold an exclusive lock on a key until the transaction ends; waits for whoever holds it."""
    step = locking(*key)
    connection.execute(step.statement, step.values)


def locking(*key: object) -> Step:
    """`lock` as a step of a pipeline."""
    return Step(_LOCK, {"name": ":".join(str(part) for part in key)})


def dispose() -> None:
    """Close every pooled connection of this process."""
    with _engines_lock:
        for url in list(_engines):
            _engines.pop(url).dispose()


def _connect(settings: Settings) -> sa.Connection:
    try:
        return engine(settings).connect()
    except sa.exc.OperationalError as error:
        where = "the server of COGORCH_POSTGRES_URL" if settings.postgres_url else str(settings.home)
        raise Unavailable(
            f"PostgreSQL ({where}) refuses the connection: {str(error.orig).strip()}. Run `cogorch doctor`."
        ) from error
