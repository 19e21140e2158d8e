"""The application: its parts made from the settings and put together."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from cogorch_dagster.canary.watching import watch
from cogorch_dagster.service import answers, health, ingest, policies, updates
from cogorch_dagster.service.authentication import Authenticator
from cogorch_dagster.service.documents import read_active
from cogorch_dagster.service.events import Hub
from cogorch_dagster.service.health import DatabaseProbe
from cogorch_dagster.service.ingest import Ingest
from cogorch_dagster.service.listener import listen, poll
from cogorch_dagster.service.metrics import Metrics
from cogorch_dagster.settings import Settings

_DESCRIPTION = """Observations of a fleet in, active policies out.

Every route under `/api/v1` wants a bearer token with the scope that it names. Errors are
`{"error": code, "message": text}`; 503 comes with `Retry-After` and means that nothing was stored."""


def create_app(settings: Settings) -> FastAPI:
    """The service of one installation; makes no connection before it starts.

    Call `app.state.hub.close()` before the server waits for its connections to end, or event streams hold it up.
    """
    metrics = Metrics()
    hub = Hub(partial(read_active, settings), metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(listen(settings, hub, metrics)), asyncio.create_task(poll(hub))]
        ended = threading.Event()
        judge = threading.Thread(target=watch, args=(settings, ended), name="canary", daemon=True)
        judge.start()
        try:
            yield
        finally:
            hub.close()
            ended.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(title="cogorch", version="1", description=_DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.hub = hub
    app.state.authenticator = Authenticator(settings)
    app.state.ingest = Ingest(settings, metrics)
    app.state.probe = DatabaseProbe(settings, metrics)
    answers.install(app)
    app.include_router(ingest.router)
    app.include_router(policies.router)
    app.include_router(updates.router)
    app.include_router(health.router)
    return app
