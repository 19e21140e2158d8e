"""How a process hears of activations: one LISTEN connection, renewed when PostgreSQL restarts, and a poll as a net."""

import asyncio
import logging

import psycopg

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import postgres
from cogorch_dagster.policies.replacement import CHANNEL
from cogorch_dagster.service.events import Hub
from cogorch_dagster.service.metrics import Metrics
from cogorch_dagster.settings import Settings

log = logging.getLogger("cogorch.service")

POLL_S = 5.0
_FIRST_WAIT_S = 0.1
_MOST_WAIT_S = 2.0


async def listen(settings: Settings, hub: Hub, metrics: Metrics) -> None:
    """Refresh a policy whenever its id is notified; runs until it is cancelled.

    The connection only listens: a query on it, inside the loop over its notifications, would hang.
    """
    wait_s = _FIRST_WAIT_S
    listening = False
    while True:
        try:
            # Does not start an embedded server: one that was stopped on purpose stays stopped.
            url = postgres.server_url(settings, settings.database)
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=5, application_name="cogorch-listener"
            ) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                listening = True
                metrics.listening.set(1)
                log.info("listening for activations")
                wait_s = _FIRST_WAIT_S
                # What was activated while nobody listened.
                await hub.refresh_all()
                async for notification in connection.notifies():
                    await hub.refresh(notification.payload)
        except (psycopg.Error, Unavailable, OSError) as error:
            if listening:
                log.warning("the LISTEN connection ended, it is renewed: %s", str(error).strip().partition("\n")[0])
        finally:
            listening = False
            metrics.listening.set(0)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _MOST_WAIT_S)


async def poll(hub: Hub, interval_s: float = POLL_S) -> None:
    """Look at every followed policy regularly, so that a missed notification is late and not lost."""
    while True:
        await asyncio.sleep(interval_s)
        await hub.refresh_all()
