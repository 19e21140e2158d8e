"""One embedded PostgreSQL for the whole session, one fresh pair of databases and one home for each test that asks."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.settings import Settings

TEMPLATE = "cogorch_template"

# The cores are shared by several pytest processes: threads that wait for each other within small products cost many
# times the products. Nothing above imports numpy, which reads this when it is imported, as do processes of tests.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """Settings of the session's server; its `cogorch_template` database is migrated, never written to."""
    # Not below pytest's own folder: every pytest that starts closes that to other users, and as root the server is one.
    home = Path(tempfile.mkdtemp(prefix="cogorch-server-"))
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


@pytest.fixture
def settings(server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A migrated installation of its own: databases cloned from the template, home in `tmp_path`.

    The `COGORCH_*` environment names it too, so that processes which a test starts find it.
    """
    suffix = uuid.uuid4().hex[:12]
    names = {"database": f"cogorch_{suffix}", "dagster_database": f"dagster_{suffix}"}
    base = postgres.server_url(server, "postgres")
    admin = sa.create_engine(
        base.replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
    )
    with admin.connect() as connection:
        # Files as they are: nothing here waits for a disk, and the other way writes each page to the log as well.
        connection.execute(sa.text(f'CREATE DATABASE "{names["database"]}" TEMPLATE {TEMPLATE} STRATEGY FILE_COPY'))
        connection.execute(sa.text(f'CREATE DATABASE "{names["dagster_database"]}" STRATEGY FILE_COPY'))
    environment = {
        "COGORCH_HOME": str(tmp_path / "home"),
        "COGORCH_POSTGRES_URL": base,
        "COGORCH_DATABASE": names["database"],
        "COGORCH_DAGSTER_DATABASE": names["dagster_database"],
    }
    for name in [name for name in os.environ if name.startswith("COGORCH_") and name != "COGORCH_REALDATA"]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield Settings(home=tmp_path / "home", postgres_url=SecretStr(base), **names, _env_file=None)
    database.dispose()
    with admin.connect() as connection:
        for name in names.values():
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of public data sets, `../shared/data` or `COGORCH_REALDATA`; skips with a message without it."""
    root = Path(__file__).parent.parent
    folder = Path(os.environ.get("COGORCH_REALDATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}; set COGORCH_REALDATA to their folder")
    return folder
