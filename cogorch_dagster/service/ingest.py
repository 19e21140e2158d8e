"""Receive batches of observations and feedback: sound rows are committed before the answer, bad ones are explained."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from cogorch_dagster.observations import inbox, parsing
from cogorch_dagster.observations.schema import Feedback, Observation
from cogorch_dagster.platform import database
from cogorch_dagster.service.answers import Busy, ErrorAnswer, Unacceptable
from cogorch_dagster.service.authentication import requires
from cogorch_dagster.service.metrics import Metrics
from cogorch_dagster.service.tokens import Token
from cogorch_dagster.settings import Settings

MAX_BODY_BYTES = 16 << 20
MAX_ROWS = 5_000
_MAX_DISCARDED = 4
# Validation holds the interpreter; more threads would only hold more connections.
THREADS = 4
MAX_WAITING = 32

Stream = Literal["observations", "feedback"]
router = APIRouter(prefix="/api/v1", tags=["ingest"])


class RejectedRow(BaseModel):
    """One field of one row that keeps the row out; a row may have several."""

    index: int = Field(description="Position of the row in the request, from 0.")
    field: str = Field(description="Empty when the row as a whole is bad.")
    value: str
    message: str


class IngestAnswer(BaseModel):
    """What became of the rows: accepted + duplicates + distinct rejected indexes = rows sent."""

    accepted: int = Field(description="Stored by this request.")
    duplicates: int = Field(description="Stored before, or twice in this request; not an error.")
    rejected: list[RejectedRow]


@dataclass(frozen=True)
class _Stored:
    accepted: int
    duplicates: int
    rejected_rows: int
    rejections: list[parsing.Rejection]

    @property
    def rows(self) -> int:
        return self.accepted + self.duplicates + self.rejected_rows


class Ingest:
    """The store of batches behind a bounded number of threads and of waiting requests."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._waiting = 0

    async def store(self, stream: Stream, request: Request, token: Token) -> Response:
        """Store the request's rows and answer 200, or 207 when some were rejected.

        Raises:
            Busy: `MAX_WAITING` requests wait already.
            Unacceptable: the body as a whole cannot be taken.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} batches wait for the database; send this one again")
        self._waiting += 1
        try:
            body = await read_body(request)
            began = time.perf_counter()
            work = _observations if stream == "observations" else _feedback
            stored = await anyio.to_thread.run_sync(work, self._settings, body, token.name, limiter=self._limiter)
        finally:
            self._waiting -= 1
        self._metrics.seconds.labels(stream).observe(time.perf_counter() - began)
        self._metrics.batch_rows.labels(stream).observe(stored.rows)
        for outcome, rows in (
            ("accepted", stored.accepted),
            ("duplicate", stored.duplicates),
            ("rejected", stored.rejected_rows),
        ):
            self._metrics.rows.labels(stream, outcome).inc(rows)
        rejected = [
            {"index": each.line, "field": each.field, "value": each.value, "message": each.message}
            for each in stored.rejections
        ]
        answer = {"accepted": stored.accepted, "duplicates": stored.duplicates, "rejected": rejected}
        return Response(orjson.dumps(answer), 207 if rejected else 200, media_type="application/json")


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body; of a body over the limit nothing is kept.

    Raises:
        Unacceptable: 413 over `limit` bytes, 415 compressed, 400 when the client went away.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unacceptable(415, "unsupported_encoding", "the body is compressed; send it as plain JSON")
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            else:
                # Many clients read the answer only after they have sent everything, so the rest is read and dropped.
                chunks.clear()
                if size > _MAX_DISCARDED * limit:
                    break
    except ClientDisconnect:
        raise Unacceptable(400, "incomplete_body", "the connection ended before the body did") from None
    if size > limit:
        message = f"the body has {size} bytes or more; at most {limit}: split the batch"
        raise Unacceptable(413, "body_too_large", message)
    return b"".join(chunks)


def _rows(body: bytes, key: Stream) -> list[Any]:
    """The list under `key` of the JSON object in the body."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unacceptable(400, "malformed_json", f"the body is not JSON: {error}") from None
    rows = document.get(key) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise Unacceptable(400, "malformed_batch", f'the body must be {{"{key}": [...]}}')
    if len(rows) > MAX_ROWS:
        message = f"the batch has {len(rows)} rows; at most {MAX_ROWS}: split it"
        raise Unacceptable(413, "batch_too_large", message)
    return rows


def _observations(settings: Settings, body: bytes, token_name: str) -> _Stored:
    rows = _rows(body, "observations")
    for row in rows:
        # A row that names no source comes from whom the token was given to.
        if isinstance(row, dict) and not row.get("source"):
            row["source"] = token_name
    parsed = parsing.parse_observations(rows)
    return _store(settings, parsed, inbox.enqueue)


def _feedback(settings: Settings, body: bytes, _: str) -> _Stored:
    return _store(settings, parsing.parse_feedback(_rows(body, "feedback")), inbox.enqueue_feedback)


def _store(settings: Settings, parsed: parsing.Parsed[Any], enqueue: Callable[..., inbox.Enqueued]) -> _Stored:
    added = duplicates = 0
    if parsed.records:
        with database.transaction(settings) as connection:
            enqueued = enqueue(connection, parsed.records)
        added, duplicates = enqueued.added, enqueued.duplicates
    return _Stored(added, duplicates, parsed.rejected_rows, parsed.rejections)


def _documented(key: Stream, model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a body that is read by hand, because validating it row by row must not fail the batch."""
    schema = {
        "type": "object",
        "required": [key],
        "properties": {key: {"type": "array", "maxItems": MAX_ROWS, "items": model.model_json_schema()}},
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    207: {"model": IngestAnswer, "description": "The sound rows are committed; some rows were rejected."},
    400: {"model": ErrorAnswer, "description": "Not JSON, or not of the form of a batch."},
    401: {"model": ErrorAnswer, "description": "No token in force."},
    403: {"model": ErrorAnswer, "description": "The token lacks scope `ingest`."},
    413: {"model": ErrorAnswer, "description": f"Over {MAX_ROWS} rows or {MAX_BODY_BYTES} bytes."},
    503: {"model": ErrorAnswer, "description": "PostgreSQL is away or the service is busy: see `Retry-After`."},
}
Caller = Annotated[Token, Depends(requires("ingest"))]


@router.post(
    "/observations",
    response_model=IngestAnswer,
    responses=_RESPONSES,
    openapi_extra=_documented("observations", Observation),
)
async def post_observations(request: Request, token: Caller) -> Response:
    """Store a batch of observations. The answer comes after the commit.

    A row is identified by `source` and `source_id`; sending it again changes nothing. Without `source` the name of the
    token is taken. Names in camelCase and OpenTelemetry's `gen_ai.*` are understood. Scope `ingest`.
    """
    ingest: Ingest = request.app.state.ingest
    return await ingest.store("observations", request, token)


@router.post(
    "/feedback", response_model=IngestAnswer, responses=_RESPONSES, openapi_extra=_documented("feedback", Feedback)
)
async def post_feedback(request: Request, token: Caller) -> Response:
    """Store a batch of feedback on observations, late or early. The answer comes after the commit.

    The latest `occurred_at` for an observation and metric counts. Scope `ingest`.
    """
    ingest: Ingest = request.app.state.ingest
    return await ingest.store("feedback", request, token)
