"""The running service of `tests/service`, and a peer that answers as a test says."""

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.service.conftest import running, service, shared

__all__ = ["peer", "running", "service", "shared"]

Answer = tuple[int, bytes]


@dataclass
class Peer:
    """An HTTP server on loopback that is not the service: what a proxy, a bug or another program may answer."""

    answer: Callable[[str, bytes], Answer] = lambda path, body: (404, b"")
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def peer() -> Iterator[Peer]:
    answering = Peer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answering.requests.append((self.path, body))
            status, content = answering.answer(self.path, body)
            self.send_response(status)
            if self.path.endswith("/events"):
                self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = respond

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield answering
    server.shutdown()
    thread.join()
    server.server_close()
