"""A model server: one classifier behind HTTP, with a bounded queue, one worker and a meter.

    python -m cogorch_dagster.lab.server --model digits-forest --port 0

`POST /v1/classify` answers with the digit, the waiting time, the computing time and the cost; 429 when the queue is
full. `POST /control/fault` needs the token of `COGORCH_LAB_CONTROL_TOKEN` and is closed without one.
"""

import argparse
import asyncio
import hmac
import os
import random
import sys
from typing import Annotated, Any

import uvloop
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from cogorch_dagster.errors import CogorchError
from cogorch_dagster.lab import models, process
from cogorch_dagster.lab.digits import BRIGHTEST, PIXELS
from cogorch_dagster.lab.faults import Fault
from cogorch_dagster.lab.metering import MeteredWorker, QueueFull

CONTROL_TOKEN = "COGORCH_LAB_CONTROL_TOKEN"  # noqa: S105  # the variable's name
GreyLevel = Annotated[float, Field(ge=0, le=BRIGHTEST)]


class Question(BaseModel):
    """One image: 64 grey levels from 0 to 16, row by row."""

    model_config = ConfigDict(extra="ignore")

    pixels: Annotated[list[GreyLevel], Field(min_length=PIXELS, max_length=PIXELS)]


class FaultSwitch:
    """The fault that is on, and the way for hanging requests to end when it is switched off."""

    def __init__(self, seed: int) -> None:
        self.fault = Fault(kind="none")
        self._random = random.Random(seed)
        self._changed = asyncio.Event()

    def set(self, fault: Fault) -> None:
        self.fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault.kind == "kill":
            os._exit(1)

    async def suffer(self) -> Response | None:
        """Wait or fail as the fault demands; None when the request may go on."""
        if self.fault.kind == "hang":
            await self._changed.wait()
            return JSONResponse({"error": "stopped answering"}, status_code=503)
        if self.fault.kind == "errors" and self._random.random() < self.fault.rate:
            return JSONResponse({"error": "declared fault"}, status_code=500)
        return None


def create_app(model: models.TrainedModel, queue_capacity: int, control_token: str, seed: int) -> FastAPI:
    """The server's application; an empty `control_token` closes the control endpoint."""
    app = FastAPI(title=model.spec.name, openapi_url=None)
    worker = MeteredWorker(model, queue_capacity)
    switch = FaultSwitch(seed)

    @app.post("/v1/classify")
    async def classify(question: Question) -> Response:
        if (failed := await switch.suffer()) is not None:
            return failed
        try:
            answer = await worker.ask(question.pixels)
        except QueueFull:
            message = f"{queue_capacity} requests wait; the queue is full"
            return JSONResponse({"error": message}, status_code=429)
        return JSONResponse({"model": model.spec.name, **vars(answer)})

    @app.get("/healthz")
    async def healthz() -> Response:
        if switch.fault.kind == "hang" and (failed := await switch.suffer()) is not None:
            return failed
        state: dict[str, Any] = {
            "model": model.spec.name,
            "accuracy": model.accuracy,
            "answered": worker.answered,
            "waiting": worker.waiting,
            "fault": switch.fault.model_dump(),
        }
        return JSONResponse(state)

    @app.post("/control/fault")
    async def control(fault: Fault, request: Request) -> Response:
        given = request.headers.get("Authorization", "").encode()
        if not control_token or not hmac.compare_digest(given, f"Bearer {control_token}".encode()):
            return JSONResponse({"error": "the lab's control token is needed"}, status_code=401)
        if request.client is None or request.client.host != process.HOST:
            return JSONResponse({"error": "faults are switched from this machine alone"}, status_code=403)
        switch.set(fault)
        return JSONResponse({"fault": fault.model_dump()})

    return app


def main(arguments: list[str] | None = None) -> int:
    """Train, announce and serve until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cogorch_dagster.lab.server")
    parser.add_argument("--model", required=True, choices=list(models.MODELS))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait")
    parser.add_argument("--seed", type=int, default=0, help="of training and of the error fault")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when standard input closes")
    chosen = parser.parse_args(arguments)
    try:
        model = models.train(chosen.model, chosen.seed)
    except CogorchError as error:
        print(error, file=sys.stderr)
        return error.exit_code

    def announce(url: str) -> dict[str, Any]:
        return {"model": chosen.model, "url": url, "accuracy": model.accuracy}

    async def serve() -> None:
        app = create_app(model, chosen.queue, os.environ.get(CONTROL_TOKEN, ""), chosen.seed)
        await process.serve(app, chosen.port, announce, end_with_parent=chosen.end_with_parent)

    uvloop.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
