"""The router: answers requests by the versions served of its policy, which it follows through `client` alone.

    python -m cogorch_dagster.lab.router --service http://127.0.0.1:8710 --policy router-core \\
        --arm digits-linear=http://127.0.0.1:9001 --state .cogorch/lab/router

`POST /v1/classify` answers or fails; `POST /feedback` says whether an answer was right; `GET /status` says which
version is in force since when. A request keeps the version it began with, so that a switch of versions fails none.
While a version ramps, each request is drawn for it or for the active one (`splitting`), by its `unit_key` if it has
one.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import uvloop
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from cogorch_dagster.client import CanaryDocument, ObservationClient, PolicyDocument, PolicyFollower
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab import process
from cogorch_dagster.lab.dispatch import Dispatcher
from cogorch_dagster.lab.routing import RouterPolicy
from cogorch_dagster.lab.server import Question
from cogorch_dagster.lab.splitting import Split

INGEST_TOKEN = "COGORCH_LAB_INGEST_TOKEN"  # noqa: S105  # the variables' names
READ_TOKEN = "COGORCH_LAB_READ_TOKEN"  # noqa: S105


class RoutedQuestion(Question):
    """One image, on whose behalf it is asked, and what must keep its version while a canary lasts."""

    tenant: Annotated[str | None, Field(max_length=200, min_length=1)] = None
    unit_key: Annotated[str | None, Field(max_length=512, min_length=1)] = None


class Judgement(BaseModel):
    """Whether the answer to an earlier request was right."""

    model_config = ConfigDict(extra="forbid")

    request_id: str
    correct: Annotated[int, Field(ge=0, le=1)]


class PolicyInForce:
    """The versions that new requests are routed by; replaced as one reference from the follower's thread.

    A document that this router cannot follow leaves the last good one in force and becomes the `problem`. A canary that
    it cannot follow is one too, and gets no traffic.
    """

    def __init__(self, arms: frozenset[str]) -> None:
        self._arms = arms
        self._served: Split | None = None
        self.applied_at_ms: float | None = None
        self.activated_at: str | None = None
        self.problem: str | None = None
        self.believes_canary: Callable[[], bool] = lambda: True

    @property
    def policy(self) -> RouterPolicy | None:
        """The active version."""
        return self._served.active if self._served else None

    @property
    def split(self) -> Split | None:
        """The versions to route by now: without the canary once its lease has run out."""
        served = self._served
        if served is None or served.canary is None or self.believes_canary():
            return served
        return Split(served.active)

    def apply(self, document: PolicyDocument) -> None:
        self.problem = None
        active = self._read(document, document)
        canary = None
        if document.canary is not None:
            try:
                canary = self._read(document, document.canary)
            except InvalidInput:
                self._served = Split(active)
                raise
        before = self.policy
        self._served = Split.of(active, canary, document.canary.share) if document.canary and canary else Split(active)
        if before is None or before.version != active.version or self.activated_at is None:
            self.applied_at_ms = time.time() * 1e3
        self.activated_at = document.activated_at.isoformat()

    def _read(self, document: PolicyDocument, of: PolicyDocument | CanaryDocument) -> RouterPolicy:
        try:
            return RouterPolicy.read(document.policy_id, of.version, of.digest, of.params, self._arms)
        except InvalidInput as error:
            self.problem = str(error)
            raise


def create_app(dispatcher: Dispatcher, in_force: PolicyInForce, observations: ObservationClient) -> FastAPI:
    """The router's application."""
    app = FastAPI(title="cogorch lab router", openapi_url=None)

    @app.post("/v1/classify")
    async def classify(question: RoutedQuestion) -> Response:
        split = in_force.split
        if split is None:
            return JSONResponse({"error": "no policy was received yet"}, status_code=503)
        routed = await dispatcher.route(split, question.pixels, question.tenant, question.unit_key)
        answer: dict[str, Any] = {
            "request_id": routed.decision_id,
            "policy_version": routed.policy_version,
            "model": routed.arm,
            "attempts": routed.attempts,
        }
        if routed.last.failure is not None:
            return JSONResponse({**answer, "error": routed.last.error_type}, status_code=502)
        return JSONResponse({**answer, "label": routed.last.label})

    @app.post("/feedback")
    async def feedback(judgement: Judgement) -> Response:
        if not dispatcher.judge(judgement.request_id, float(judgement.correct)):
            message = f"no answer {judgement.request_id} is remembered"
            return JSONResponse({"error": message}, status_code=404)
        return JSONResponse({}, status_code=202)

    @app.get("/status")
    async def status() -> Response:
        policy, split = in_force.policy, in_force.split
        canary = split.canary if split else None
        state: dict[str, Any] = {
            "policy_id": policy.policy_id if policy else None,
            "version": policy.version if policy else None,
            "digest": policy.digest if policy else None,
            "weights": dict(policy.weights) if policy else None,
            "activated_at": in_force.activated_at,
            "applied_at_ms": in_force.applied_at_ms,
            "canary": {"version": canary.version, "share": split.share} if split and canary else None,
            "problem": in_force.problem,
            "cooling": sorted(dispatcher.cooldowns.cooling(time.monotonic())),
            "counters": dict(sorted(dispatcher.counts.items())),
            "observations": vars(observations.stats),
        }
        return JSONResponse(state)

    @app.post("/flush")
    async def flush() -> Response:
        """Wait until the service holds every row that was observed so far, at most 10 s."""
        delivered = await asyncio.to_thread(observations.flush, 10.0)
        return JSONResponse({"delivered": delivered, "waiting": observations.stats.waiting})

    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"ready": in_force.policy is not None}, status_code=200 if in_force.policy else 503)

    return app


async def serve(chosen: argparse.Namespace) -> None:
    """Follow the policy and route until told to stop; then deliver what is still spooled, as far as 3 s allow."""
    upstreams: dict[str, str] = dict(chosen.arm)
    in_force = PolicyInForce(frozenset(upstreams))
    observations = ObservationClient(chosen.service, os.environ[INGEST_TOKEN], chosen.state / "spool")
    follower = PolicyFollower(
        chosen.service,
        os.environ[READ_TOKEN],
        chosen.policy,
        chosen.state / "policy.json",
        on_change=in_force.apply,
    )
    in_force.believes_canary = lambda: follower.canary is not None
    # The policy's timeout is the only bound on a call; a pool that made requests wait would hide in their latency.
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    try:
        async with httpx.AsyncClient(timeout=None, limits=unlimited, trust_env=False) as http:  # noqa: S113
            dispatcher = Dispatcher(
                upstreams, http, observations.send, observations.feedback, random.Random(chosen.seed)
            )
            follower.start()
            await process.serve(
                create_app(dispatcher, in_force, observations),
                chosen.port,
                lambda url: {"url": url, "version": in_force.policy.version if in_force.policy else None},
                end_with_parent=chosen.end_with_parent,
                ready=lambda: in_force.policy is not None,
            )
    finally:
        follower.close()
        observations.close(timeout=3.0)


def _arm(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not name or not url.startswith("http"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=http://HOST:PORT")
    return name, url


def main(arguments: list[str] | None = None) -> int:
    """The command line in this module's docstring; the tokens come from the environment. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cogorch_dagster.lab.router")
    parser.add_argument("--service", required=True, help="URL of the cogorch service")
    parser.add_argument("--policy", default="router-core")
    parser.add_argument("--arm", type=_arm, action="append", required=True, metavar="NAME=URL")
    parser.add_argument("--state", type=Path, required=True, help="folder of the spool and of the last good policy")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when standard input closes")
    chosen = parser.parse_args(arguments)
    if missing := [name for name in (INGEST_TOKEN, READ_TOKEN) if not os.environ.get(name)]:
        parser.error(f"the environment lacks {' and '.join(missing)}")
    uvloop.run(serve(chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
