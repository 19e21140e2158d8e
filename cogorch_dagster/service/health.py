"""Whether the process lives, whether it can serve, and its metrics. These routes want no token and show no data."""

import logging
import time

import anyio
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import database, postgres
from cogorch_dagster.service.metrics import Metrics
from cogorch_dagster.settings import Settings

log = logging.getLogger("cogorch.service")
router = APIRouter(tags=["health"])

DATABASE_TIMEOUT_S = 3.0
_FRESH_S = 2.0


class DatabaseProbe:
    """Asks the database on behalf of probes, which may come often and must not start a stopped server."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._problem: str | None = None
        self._asked_at = float("-inf")
        self._asking = anyio.Lock()

    async def problem(self) -> str | None:
        """None when the migrated database answers within three seconds; the last answer holds for two seconds."""
        async with self._asking:
            if time.monotonic() - self._asked_at < _FRESH_S:
                return self._problem
            self._problem = f"no answer within {DATABASE_TIMEOUT_S:g} s"
            with anyio.move_on_after(DATABASE_TIMEOUT_S):
                self._problem = await anyio.to_thread.run_sync(self._ask, abandon_on_cancel=True)
            self._asked_at = time.monotonic()
            if self._problem is not None:
                self._metrics.database_away()
            return self._problem

    def _ask(self) -> str | None:
        try:
            postgres.server_url(self._settings, self._settings.database)
            with database.transaction(self._settings) as connection:
                self._metrics.read_database(connection)
        except Unavailable as error:
            return str(error)
        except sa.exc.SQLAlchemyError as error:
            return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        return None


@router.get("/healthz")
async def healthz() -> dict[str, bool]:
    """200 while the process answers, whatever else is down."""
    return {"alive": True}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 when PostgreSQL answers and is migrated, else 503 with the problem."""
    probe: DatabaseProbe = request.app.state.probe
    problem = await probe.problem()
    if problem is None:
        return JSONResponse({"ready": True})
    return JSONResponse({"ready": False, "problem": problem}, 503, {"Retry-After": "1"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus metrics; what only the database knows is NaN or absent while it is away."""
    await request.app.state.probe.problem()
    exposition: Metrics = request.app.state.metrics
    return Response(exposition.exposition(), media_type=CONTENT_TYPE_LATEST)
