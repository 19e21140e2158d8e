"""One embedded PostgreSQL for the whole session, one fresh database and one home for each test that asks."""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.settings import Settings, load_settings
from tests import forked

TEMPLATE = "cogorch_template"

# What each of the servers may come to hold, and the files of tests; after 1,500 tests it was .1 GiB.
ROOM = 2**30

# Behaviour, not seconds: on busy cores the first example of a process alone may take some.
hypothesis.settings.register_profile(
    "busy cores", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy cores")

# Whole files go to the workers, these first: else one of them would still be at a long one when the others have ended.
# Those that mostly wait for processes are in front, so that there is work for the cores meanwhile.
LONGEST = (
    # First two that need no disk: what an installation has just written is still being flushed.
    "evaluation/test_estimators.py",
    "evaluation/test_route_llm.py",
    "demo/test_demo.py",
    "cli/test_up.py",
    "lab/test_canary.py",
    "lab/test_fleet.py",
    "jobs/test_killed.py",
    "service/test_resilience.py",
    "cli/test_agents.py",
    "jobs/test_training.py",
    "causal/discovery/test_discover.py",
    "agents/training/test_joint.py",
    "causal/effects/estimation/test_doubly_robust.py",
    "evaluation/drift/test_detection.py",
    "evaluation/test_bandit.py",
    "platform/test_postgres.py",
    "fleet/calibration/test_recovery.py",
    "observations/test_importing.py",
    "policies/test_canary.py",
    "rewards/test_materialise.py",
)

# The cores are shared by several pytest processes: threads that wait for each other within small products cost many
# times the products. Nothing above imports numpy, which reads this when it is imported, as do processes of tests.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def memory() -> str | None:
    """A folder in memory with room for a server and for files, None where there is none and the disk has to do.

    ext4 looks at every file that was removed within the last minutes before it creates one, and each test creates and
    removes the 350 files of a database: 0.03 s of a core for the first tests, 0.3 s for those after some dozens.
    """
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM
    return str(folder) if roomy else None


# What tests write goes there too: the product waits for the disk with each file that it keeps.
if (in_memory := memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", in_memory)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage later, and not among what is imported here: meanwhile that takes a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file and among the others the order stays."""
    folder = Path(__file__).parent
    place = {folder / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """Settings of the session's server; its `cogorch_template` database is migrated, never written to."""
    # Not below pytest's own folder: every pytest that starts closes that to other users, and as root the server is one.
    home = Path(tempfile.mkdtemp(prefix="cogorch-server-", dir=memory()))
    settings = Settings(home=home, database=TEMPLATE, dagster_database="dagster_template", _env_file=None)
    migrate.prepare(settings)
    # No test crashes the machine, and what a killed server wrote is with the kernel; cloning databases waits for disks.
    with database.engine(settings).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ALTER SYSTEM SET fsync = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    database.dispose()
    yield settings
    database.dispose()
    postgres.stop(settings, mode="immediate")
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def cloned(server: Settings, home: Path) -> Iterator[Settings]:
    """A migrated installation for processes that several tests share; no environment names it."""
    base = postgres.server_url(server, "postgres")
    name = f"cogorch_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(
        base.replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} STRATEGY FILE_COPY'))
    yield Settings(home=home, postgres_url=SecretStr(base), database=name, _env_file=None)
    database.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def settings(server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A migrated installation of its own: a database cloned from the template, home in `tmp_path`.

    The `COGORCH_*` environment names it too, so that processes which a test starts find it. There is no database for
    Dagster, see `dagster_database`, nor for MLflow, see `mlflow_database`.
    """
    suffix = uuid.uuid4().hex[:12]
    names = {
        "database": f"cogorch_{suffix}",
        "dagster_database": f"dagster_{suffix}",
        "mlflow_database": f"mlflow_{suffix}",
    }
    base = postgres.server_url(server, "postgres")
    admin = sa.create_engine(
        base.replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
    )
    with admin.connect() as connection:
        # Files as they are: nothing here waits for a disk, and the other way writes each page to the log as well.
        connection.execute(sa.text(f'CREATE DATABASE "{names["database"]}" TEMPLATE {TEMPLATE} STRATEGY FILE_COPY'))
    environment = {
        "COGORCH_HOME": str(tmp_path / "home"),
        "COGORCH_POSTGRES_URL": base,
        "COGORCH_DATABASE": names["database"],
        "COGORCH_DAGSTER_DATABASE": names["dagster_database"],
        "COGORCH_MLFLOW_DATABASE": names["mlflow_database"],
    }
    for name in [name for name in os.environ if name.startswith("COGORCH_") and name != "COGORCH_REALDATA"]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # What this process read for an earlier test names a database that is gone.
    load_settings.cache_clear()
    yield Settings(home=tmp_path / "home", postgres_url=SecretStr(base), **names, _env_file=None)
    database.dispose()
    with admin.connect() as connection:
        for name in names.values():
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture(scope="session")
def mlflow_template(server: Settings) -> Settings:
    """Settings of the session's server; its MLflow database has MLflow's schema, and is never written to."""
    from cogorch_dagster.registry import mlflow_store

    mlflow_store.client(server)
    mlflow_store.dispose()
    database.dispose()
    return server


@pytest.fixture
def mlflow_database(settings: Settings, mlflow_template: Settings) -> Iterator[Settings]:
    """The installation of `settings` with a registry of its own; asking for it costs an import of MLflow once."""
    from cogorch_dagster.registry import mlflow_store

    admin = sa.create_engine(
        postgres.server_url(mlflow_template, "postgres").replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
    )
    with admin.connect() as connection:
        made, template = settings.mlflow_database, mlflow_template.mlflow_database
        connection.execute(sa.text(f'CREATE DATABASE "{made}" TEMPLATE "{template}" STRATEGY FILE_COPY'))
    yield settings
    mlflow_store.dispose()


@pytest.fixture
def dagster_database(settings: Settings) -> Settings:
    """The installation of `settings` with a database for a Dagster instance that outlives a process."""
    migrate.create_databases(settings)
    return settings


@pytest.fixture(scope="session")
def forking() -> Iterator[forked.Forking]:
    """Runs programs of this project in processes of their own, quicker than starting an interpreter for each."""
    with forked.running() as server:
        yield server


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of public data sets, `../shared/data` or `COGORCH_REALDATA`; skips with a message without it."""
    root = Path(__file__).parent.parent
    folder = Path(os.environ.get("COGORCH_REALDATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}; set COGORCH_REALDATA to their folder")
    return folder
