"""`python -m cogorch_dagster.service`: serve until SIGINT or SIGTERM, then finish what was begun and leave."""

import gc
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn

from cogorch_dagster.service.app import create_app
from cogorch_dagster.service.events import Hub
from cogorch_dagster.settings import load_settings

SWITCH_S = 0.0005
"""How long a thread waits for the interpreter while another one computes, seconds."""
GRACE_S = 5
"""How long requests in progress may take after a signal, seconds."""


class Server(uvicorn.Server):
    """Ends the event streams first: uvicorn waits for open connections before the application hears of the end."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def main() -> None:
    """Serve the application of the settings; exits with 0 after a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load_settings()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.service_host,
        port=settings.service_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
    )
    # uvicorn raises the signal again after its own shutdown.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    server = Server(config, app.state.hub)
    _keep_pauses_short()
    server.run()
    if not server.started:
        sys.exit(3)


def _keep_pauses_short() -> None:
    """Followers wait for what threads of ingestion and the collector of garbage hold up."""
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
