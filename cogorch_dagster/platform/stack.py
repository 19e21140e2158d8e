"""What `cogorch up` runs besides PostgreSQL: the commands, their environment, and how each shows that it is ready.

One code server holds the code location, and the web server and the daemon share it: the code is imported once, and runs
are its children. It listens on a Unix socket in a folder of its owner, since whoever reaches it may start any job.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import ports
from cogorch_dagster.platform.processes import Command
from cogorch_dagster.settings import Settings

# sun_path holds 108 bytes with its end; gRPC counts the scheme `unix:` in.
SOCKET_PATH_BYTES = 100
LOCATION = "cogorch"


@dataclass(frozen=True)
class Part:
    """One process of the installation.

    Attributes:
        stage: parts of a stage start together, once those of the stage before are ready.
        ready: whether it serves; asked until it does or `ready_within_s` has passed.
    """

    command: Command
    stage: int
    ready: Callable[[], bool]
    url: str | None = None
    ready_within_s: float = 90.0

    @property
    def name(self) -> str:
        return self.command.name


def parts(settings: Settings, *, agents: bool = False) -> list[Part]:
    """The processes in the order of their start; writes Dagster's instance and workspace files.

    Args:
        agents: whether the agents run too; they learn without a pause, on a core of their own.
    """
    from cogorch_dagster.platform import dagster_instance

    dagster_instance.write_instance(settings)
    socket = code_socket(settings)
    socket.unlink(missing_ok=True)
    workspace = str(_write_workspace(settings, socket))
    port = ports.webserver(settings)
    code = ("--socket", str(socket), "--module-name", "cogorch_dagster.definitions", "--location-name", LOCATION)
    lean = ("--empty-working-directory", "--use-python-environment-entry-point")
    code_server = _command(settings, "code-server", "dagster", "api", "grpc", *code, *lean)
    address = ("--host", port.host, "--port", str(port.number))
    webserver = _command(settings, "webserver", "dagster_webserver", "--workspace", workspace, *address)
    daemon = _command(settings, "daemon", "dagster._daemon", "run", "--workspace", workspace)
    found = [
        service(settings),
        Part(code_server, 0, lambda: ports.accepts(socket)),
        Part(webserver, 1, lambda: ports.answers(port.host, port.number, "/server_info"), port.url),
        Part(daemon, 1, lambda: True),
    ]
    if agents:
        # After the service, which tells them the versions in force; they need nobody to wait for them.
        found.append(Part(_command(settings, "agents", "cogorch_dagster.cli", "agents", "serve"), 1, lambda: True))
    return found


def service(settings: Settings) -> Part:
    """The HTTP service alone."""
    port = ports.service(settings)
    command = _command(settings, "service", "cogorch_dagster.service")
    return Part(command, 0, lambda: ports.answers(port.host, port.number, "/readyz"), port.url)


def inherited_environment() -> dict[str, str]:
    """This process's environment without any setting of an installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COGORCH_")}


def log_file(settings: Settings, name: str) -> Path:
    """Where a process's output goes."""
    return settings.home / "logs" / f"{name}.log"


def run_directory(settings: Settings) -> Path:
    """The folder of what only lives while processes do, readable by its owner alone."""
    directory = settings.home / "run"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def code_socket(settings: Settings) -> Path:
    """The code server's socket: under the home, or in a private temporary folder where that path is too long.

    Raises:
        Unavailable: the temporary folder belongs to somebody else.
    """
    socket = run_directory(settings) / "code-server.sock"
    if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES:
        return socket
    digest = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"cogorch-{os.getuid()}-{digest}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise Unavailable(
            f"{directory} belongs to another user; set COGORCH_HOME to a shorter path or TMPDIR to a folder"
        )
    return directory / "code-server.sock"


def _command(settings: Settings, name: str, *module_and_arguments: str) -> Command:
    """A Python module as a process of this installation."""
    from cogorch_dagster.platform import dagster_instance

    # Every setting is spelled out, so that a child depends on neither a `.env` file nor its working directory.
    environment = {**inherited_environment(), **dagster_instance.environment(settings)}
    argv = (sys.executable, "-m", *module_and_arguments)
    return Command(name, argv, environment, log_file(settings, name), settings.home)


def _write_workspace(settings: Settings, socket: Path) -> Path:
    import yaml

    path = settings.home / "dagster" / "workspace.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"load_from": [{"grpc_server": {"socket": str(socket), "location_name": LOCATION}}]}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(content))
    temporary.replace(path)
    return path
