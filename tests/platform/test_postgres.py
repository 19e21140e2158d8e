"""The embedded PostgreSQL: starts once however many ask, outlives its starter, comes back after `kill -9`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from pydantic import SecretStr

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import database, postgres
from cogorch_dagster.settings import Settings


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation of its own, whose server may be killed."""
    settings = Settings(home=tmp_path_factory.mktemp("embedded"), _env_file=None)
    yield settings
    database.dispose()
    postgres.stop(settings, mode="immediate")


def test_a_server_that_never_ran_is_not_running(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new", _env_file=None)
    assert postgres.server_pid(settings) is None
    assert not postgres.stop(settings)
    with pytest.raises(Unavailable, match="is not running"):
        postgres.server_url(settings, "postgres")


def test_four_processes_that_start_it_at_once_share_one_server(embedded: Settings) -> None:
    code = (
        "import sys; from cogorch_dagster.platform import postgres; from cogorch_dagster.settings import Settings\n"
        "settings = Settings(home=sys.argv[1], _env_file=None)\n"
        "postgres.ensure_running(settings); print(postgres.server_pid(settings))"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(embedded.home)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    pids = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 4
    # Every starter has ended, the server goes on.
    assert pids == {str(postgres.server_pid(embedded))}
    with psycopg.connect(postgres.server_url(embedded, "postgres")) as connection:
        row = connection.execute("SELECT current_setting('TimeZone'), current_setting('max_connections')").fetchone()
    assert row == ("UTC", "300")


def test_a_killed_server_comes_back_with_what_was_committed(embedded: Settings) -> None:
    postgres.ensure_running(embedded)
    with psycopg.connect(postgres.server_url(embedded, "postgres")) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    killed = postgres.server_pid(embedded)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    _await_end(killed)
    assert postgres.server_pid(embedded) is None
    postgres.ensure_running(embedded)
    assert postgres.server_pid(embedded) not in (None, killed)
    with psycopg.connect(postgres.server_url(embedded, "postgres")) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_transaction_after_a_restart_gets_a_fresh_connection(embedded: Settings) -> None:
    admin = Settings(home=embedded.home, database="postgres", _env_file=None)
    import sqlalchemy as sa

    with database.transaction(admin) as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    killed = postgres.server_pid(embedded)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    _await_end(killed)
    # The command that comes next starts it again by itself.
    with database.transaction(admin) as connection:
        assert connection.execute(sa.text("SELECT 2")).scalar_one() == 2


def test_a_busy_backend_of_a_killed_server_does_not_keep_the_next_one_out(embedded: Settings) -> None:
    postgres.ensure_running(embedded)
    killed = postgres.server_pid(embedded)
    assert killed is not None
    connection = psycopg.connect(postgres.server_url(embedded, "postgres"), autocommit=True)
    backend = psutil.Process(connection.info.backend_pid)
    # Counts for minutes and does not look whether its server lives.
    connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 2000000000)")
    time.sleep(0.5)
    os.kill(killed, signal.SIGKILL)
    _await_end(killed)
    assert backend.is_running()
    postgres.ensure_running(embedded)
    assert postgres.server_pid(embedded) not in (None, killed)
    _await_end(backend.pid)
    connection.close()


def test_stopping_leaves_no_process(embedded: Settings) -> None:
    postgres.ensure_running(embedded)
    pid = postgres.server_pid(embedded)
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert postgres.stop(embedded)
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not postgres.stop(embedded)


def test_a_stale_pid_file_does_not_point_at_a_stranger(embedded: Settings) -> None:
    postgres.stop(embedded)
    # This test's own process: alive, but no server.
    lines = [str(os.getpid()), "x", "0", "5432", "/tmp", "", "0 0", "ready"]
    file = postgres.data_directory(embedded) / "postmaster.pid"
    file.write_text("\n".join(lines) + "\n")
    assert postgres.server_pid(embedded) is None
    file.unlink()


@pytest.mark.parametrize("name", ["a home with 'spaces'", "long-" * 30])
def test_the_home_may_have_any_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("named") / name, _env_file=None)
    postgres.ensure_running(settings)
    try:
        with psycopg.connect(postgres.server_url(settings, "postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        assert postgres.stop(settings, mode="immediate")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "postgres").write_text("a file where the data should be")
    with pytest.raises(Unavailable, match="does not start"):
        postgres.ensure_running(Settings(home=home, _env_file=None))


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("postgresql://u:p@h:5433", "postgresql://u:p@h:5433/cogorch"),
        ("postgresql://u:p@h:5433/other", "postgresql://u:p@h:5433/cogorch"),
        ("postgresql://u@/postgres?host=%2Ftmp%2Fx", "postgresql://u@/cogorch?host=%2Ftmp%2Fx"),
        ("postgresql://u:p@h/x?sslmode=require", "postgresql://u:p@h/cogorch?sslmode=require"),
    ],
)
def test_the_url_of_a_database_on_another_server(base: str, expected: str) -> None:
    settings = Settings(postgres_url=SecretStr(base), _env_file=None)
    assert postgres.server_url(settings, "cogorch") == expected
    assert not postgres.is_embedded(settings)


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
