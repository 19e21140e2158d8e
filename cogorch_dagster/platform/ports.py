"""Whether a port can be bound and whether something answers on it."""

import http.client
import socket
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.settings import Settings


class Port(NamedTuple):
    """A port that `cogorch up` listens on, and the setting that moves it."""

    name: str
    host: str
    number: int
    setting: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.number}"


def ports(settings: Settings) -> list[Port]:
    """The ports of an installation."""
    return [service(settings), webserver(settings)]


def service(settings: Settings) -> Port:
    """Where the service listens."""
    return Port("service", settings.service_host, settings.service_port, "COGORCH_SERVICE_PORT")


def webserver(settings: Settings) -> Port:
    """Where Dagster's web UI listens."""
    return Port("webserver", settings.webserver_host, settings.webserver_port, "COGORCH_WEBSERVER_PORT")


def require_free(port: Port) -> None:
    """Raise when a port cannot be bound.

    Raises:
        Unavailable: names the port, who holds it where that can be seen, and the setting to change.
    """
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do it: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError as error:
            raise Unavailable(
                f"Port {port.number} on {port.host}, which the {port.name} needs, cannot be used"
                f" ({_holder(port.number) or error.strerror}). Stop that process or set {port.setting} to a free port."
            ) from error


def answers(host: str, port: int, path: str, timeout_s: float = 2.0) -> bool:
    """Whether GET `path` is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(unix_socket: Path) -> bool:
    """Whether something accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(unix_socket))
        except OSError:
            return False
        return True


def _holder(number: int) -> str | None:
    import psutil

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number:
                name = psutil.Process(connection.pid).name() if connection.pid else "a process of another user"
                return f"{name}, pid {connection.pid}, listens there" if connection.pid else f"{name} listens there"
    return None
