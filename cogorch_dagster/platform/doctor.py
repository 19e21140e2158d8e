"""Checks of what the installation stands on: Python, packages, disk, lake, PostgreSQL, ports, processes.

Each check answers with what it found and with the remedy; none of them changes anything, except that PostgreSQL is
started where it is set up and merely stopped, as every other command would.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import LiteralString

from cogorch_dagster.errors import CogorchError, Unavailable
from cogorch_dagster.platform import migrate, ports, postgres, run_state, stack
from cogorch_dagster.settings import Settings

LEAST_FREE_BYTES = 1 << 30
SETUP = "Run `make setup` (or `cogorch setup`)."


@dataclass(frozen=True)
class Check:
    """What one check found; `required` when the installation cannot work without it."""

    name: str
    ok: bool
    detail: str
    remedy: str
    required: bool = True


Finding = tuple[bool, str]


def examine(name: str, check: Callable[[], Finding], remedy: str, *, required: bool = True) -> Check:
    """Run one check; whatever it raises is its finding."""
    try:
        ok, detail = check()
    except CogorchError as error:
        ok, detail = False, str(error)
    # A doctor who faints helps nobody: an error that no one foresaw is reported like the others.
    except Exception as error:
        ok, detail = False, f"{type(error).__name__}: {error}"
    return Check(name, ok, detail, "" if ok else remedy, required)


def checks(settings: Settings) -> Iterator[Check]:
    """The checks of the platform, in the order in which one builds on the other."""
    yield examine("python", _python, "Use Python 3.11 or 3.12: `make setup PYTHON=python3.11`.")
    yield examine("packages", _packages, "Run `make setup`: it installs the locked versions.")
    yield examine("disk", lambda: _disk(settings), f"Free space or move COGORCH_HOME ({settings.home}) elsewhere.")
    yield examine("lake", lambda: _lake(settings), "Make COGORCH_LAKE a path that this user can write to.")
    yield examine("postgres", lambda: _postgres(settings), _postgres_remedy(settings))
    yield examine("databases", lambda: _databases(settings), SETUP)
    yield examine("schema", lambda: _schema(settings), SETUP)
    up = run_state.is_up(settings)
    for port in ports.ports(settings):
        yield examine(
            f"port_{port.name}",
            lambda port=port: _port(port, up),  # type: ignore[misc]
            f"Stop what holds the port or set {port.setting}.",
            required=False,
        )
    yield examine("processes", lambda: _processes(settings), "Run `cogorch down`, then `cogorch up`.", required=False)
    yield examine(
        "service",
        lambda: _service(settings, up),
        f"Read {stack.log_file(settings, 'service')}.",
        required=up,
    )


def _python() -> Finding:
    return (3, 11) <= sys.version_info[:2] < (3, 13), f"{sys.version.split()[0]} at {sys.executable}"


def _packages() -> Finding:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    wrong = []
    wanted = [requirement for text in requires("cogorch") or () if not (requirement := Requirement(text)).marker]
    for requirement in wanted:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
        else:
            if not requirement.specifier.contains(found, prereleases=True):
                wrong.append(f"{requirement.name} is {found}, wanted {requirement.specifier}")
    return not wrong, "; ".join(wrong) or f"{len(wanted)} packages within their ranges"


def _disk(settings: Settings) -> Finding:
    existing = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return free >= LEAST_FREE_BYTES, f"{free / (1 << 30):.1f} GiB free at {existing}, at least 1 GiB wanted"


def _lake(settings: Settings) -> Finding:
    import uuid

    from fsspec.core import url_to_fs

    filesystem, root = url_to_fs(settings.lake_root)
    probe = f"{root.rstrip('/')}/.doctor-{uuid.uuid4().hex}"
    filesystem.makedirs(root, exist_ok=True)
    filesystem.pipe_file(probe, b"cogorch")
    try:
        written = filesystem.cat_file(probe) == b"cogorch"
    finally:
        filesystem.rm_file(probe)
    return written, f"{settings.lake_root} is writable"


def _postgres(settings: Settings) -> Finding:
    if postgres.is_embedded(settings) and not (postgres.data_directory(settings) / "PG_VERSION").exists():
        return False, f"not set up yet under {postgres.data_directory(settings)}"
    (version,) = _ask(settings, "SHOW server_version")
    where = (
        f"embedded, pid {postgres.server_pid(settings)}" if postgres.is_embedded(settings) else "COGORCH_POSTGRES_URL"
    )
    return True, f"PostgreSQL {version} ({where})"


def _postgres_remedy(settings: Settings) -> str:
    if postgres.is_embedded(settings):
        return f"{SETUP} If it does not start, read {postgres.data_directory(settings) / 'log'}."
    return "Start that server, or correct or remove COGORCH_POSTGRES_URL."


def _databases(settings: Settings) -> Finding:
    _require_server(settings)
    existing = _ask(settings, "SELECT datname FROM pg_database")
    missing = [name for name in (settings.database, settings.dagster_database) if name not in existing]
    return (
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"{settings.database}, {settings.dagster_database}",
    )


def _schema(settings: Settings) -> Finding:
    _require_server(settings)
    present, newest = migrate.revisions(settings)
    return present == newest, f"revision {present or 'none'}" + ("" if present == newest else f", newest is {newest}")


def _port(port: ports.Port, up: bool) -> Finding:
    if up:
        return True, f"{port.number} belongs to the running installation"
    ports.require_free(port)
    return True, f"{port.number} is free"


def _processes(settings: Settings) -> Finding:
    state = run_state.read(settings)
    if state is None:
        return True, "not up; `cogorch up` starts service, web UI and daemon"
    alive = {record.name for record in state.alive()}
    if state.supervisor() is None:
        return not alive, f"the supervisor was killed and left {', '.join(sorted(alive)) or 'nothing'} behind"
    missing = {record.name for record in state.records} - alive
    restarts = ", ".join(f"{name} {count} times" for name, count in state.restarts.items())
    detail = f"{state.phase}: {', '.join(sorted(alive))}" + (f"; restarted: {restarts}" if restarts else "")
    return not missing, detail + (f"; not running: {', '.join(sorted(missing))}" if missing else "")


def _service(settings: Settings, up: bool) -> Finding:
    ready = ports.answers(settings.service_host, settings.service_port, "/readyz")
    if not up:
        return True, f"{settings.service_url} " + ("answers" if ready else "is not up; `cogorch up` starts it")
    return ready, f"{settings.service_url} " + ("is ready" if ready else "is not ready")


def _require_server(settings: Settings) -> None:
    """Keep the checks that follow from starting a server where none is set up."""
    if postgres.is_embedded(settings) and not (postgres.data_directory(settings) / "PG_VERSION").exists():
        raise Unavailable("PostgreSQL is not set up yet")


def _ask(settings: Settings, question: LiteralString) -> list[str]:
    """The first column of an answer from the server's own database."""
    import psycopg

    postgres.ensure_running(settings)
    try:
        with psycopg.connect(postgres.server_url(settings, "postgres"), connect_timeout=5) as connection:
            return [str(row[0]) for row in connection.execute(question)]
    except psycopg.OperationalError as error:
        raise Unavailable(str(error).strip()) from error
