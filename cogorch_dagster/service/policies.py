"""What clients ask of policies: their rules, the active version and its changes, all versions, decisions on them."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import database
from cogorch_dagster.policies import decisions, store
from cogorch_dagster.service.answers import ErrorAnswer
from cogorch_dagster.service.authentication import requires
from cogorch_dagster.service.documents import read_active
from cogorch_dagster.service.events import Hub
from cogorch_dagster.service.tokens import Token

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])

Reader = Annotated[Token, Depends(requires("read"))]
Approver = Annotated[Token, Depends(requires("approve"))]
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "No token in force."},
    403: {"model": ErrorAnswer, "description": "The token lacks the scope."},
    404: {"model": ErrorAnswer, "description": "No such policy or version."},
    409: {"model": ErrorAnswer, "description": "A rule of the life cycle refuses; `error` is its reason."},
    503: {"model": ErrorAnswer, "description": "PostgreSQL is away: see `Retry-After`."},
}


class CanaryPolicy(BaseModel):
    """A version that is tried on a share of the traffic; see `cogorch_dagster.client` for how to split it."""

    version: str
    digest: str
    params: dict[str, Any]
    share: float = Field(gt=0, lt=1)


class ActivePolicy(BaseModel):
    """The version in force, and the one that ramps beside it."""

    policy_id: str
    kind: str
    version: str
    digest: str = Field(description="`sha256:` of the canonical JSON of `params`.")
    params: dict[str, Any]
    activated_at: datetime
    revised_at: datetime = Field(description="When what is served last changed: an activation, or a step of a canary.")
    canary: CanaryPolicy | None = None


class PolicyAnswer(BaseModel):
    """What has versions: who approves them, and how far they may go."""

    model_config = ConfigDict(from_attributes=True)

    policy_id: str
    kind: str
    component: str | None
    mode: str = Field(description="`manual`, `autonomous_threshold` or `autonomous_all`.")
    threshold: float = Field(description="Lower bound of the improvement from which `autonomous_threshold` approves.")
    strictness: str = Field(description="`strict`, `standard` or `wide`: bounds and largest steps of hyperparameters.")
    created_at: datetime


class Version(BaseModel):
    """One version with its state, as it lies in the control plane."""

    model_config = ConfigDict(from_attributes=True)

    policy_id: str
    version: str
    kind: str
    status: str
    digest: str
    params: dict[str, Any]
    parent: str | None
    evidence: dict[str, Any] | None
    created_at: datetime
    created_by: str
    activated_at: datetime | None
    ended_at: datetime | None


class DecisionRequest(BaseModel):
    """Why, and of which content."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2000)
    digest: str | None = Field(default=None, description="The digest that was looked at; refused if it is another one.")


class DecisionAnswer(BaseModel):
    """The decision as recorded; an approved version is activated by a job, not by this request."""

    model_config = ConfigDict(from_attributes=True)

    decision_id: uuid.UUID
    policy_id: str
    version: str
    digest: str
    action: str
    actor: str
    reason: str
    decided_at: datetime


@router.get("/{policy_id}", response_model=PolicyAnswer, responses=_ERRORS)
def get_policy(policy_id: str, request: Request, _: Reader) -> store.Policy:
    """A policy: kind, component, mode, threshold and strictness. Scope `read`."""
    with database.transaction(request.app.state.settings) as connection:
        return store.policy(connection, policy_id)


@router.get(
    "/{policy_id}/active",
    response_model=ActivePolicy,
    responses={**_ERRORS, 304: {"description": "The version of `If-None-Match` is still in force."}},
)
def get_active(policy_id: str, request: Request, _: Reader) -> Response:
    """The active version of a policy; with `If-None-Match` only if it changed. Scope `read`."""
    document = read_active(request.app.state.settings, policy_id)
    if document is None:
        raise Refused("no_active_version", f"policy {policy_id} has no active version yet")
    headers = {"ETag": document.etag, "Cache-Control": "no-cache"}
    if _matches(request.headers.get("if-none-match", ""), document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.body, headers=headers, media_type="application/json")


@router.get(
    "/{policy_id}/events",
    response_class=StreamingResponse,
    responses={**_ERRORS, 200: {"content": {"text/event-stream": {}}, "description": "An endless stream of events."}},
)
async def follow(policy_id: str, request: Request, _: Reader) -> StreamingResponse:
    """Server-sent events of a policy: what is served first, then every change of it. Scope `read`.

    `event: policy`, `id` is the version, `data` the document of `/active`. Comments keep the connection alive.
    """
    hub: Hub = request.app.state.hub
    subscription = await hub.subscribe(policy_id)

    async def stream() -> AsyncIterator[bytes]:
        try:
            async for part in subscription.stream():
                yield part
        finally:
            hub.unsubscribe(policy_id, subscription)

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


@router.get("/{policy_id}/versions", response_model=list[Version], responses=_ERRORS)
def list_versions(policy_id: str, request: Request, _: Reader) -> list[store.PolicyVersion]:
    """Every version of a policy, lowest number first, with status and evidence. Scope `read`."""
    with database.transaction(request.app.state.settings) as connection:
        store.policy(connection, policy_id)
        return store.versions(connection, policy_id)


@router.post("/{policy_id}/versions/{version}/approve", response_model=DecisionAnswer, responses=_ERRORS)
async def approve(
    policy_id: str, version: str, decision: DecisionRequest, request: Request, token: Approver
) -> decisions.Decision:
    """Approve a draft; the activation job then claims the decision. Scope `approve`; the actor is the token."""
    return await _decide(request, decisions.approve, (policy_id, version), token, decision)


@router.post("/{policy_id}/versions/{version}/reject", response_model=DecisionAnswer, responses=_ERRORS)
async def reject(
    policy_id: str, version: str, decision: DecisionRequest, request: Request, token: Approver
) -> decisions.Decision:
    """Reject a draft, or an approved version that is not active yet. Scope `approve`; the actor is the token."""
    return await _decide(request, decisions.reject, (policy_id, version), token, decision)


async def _decide(
    request: Request, action: Any, ref: tuple[str, str], token: Token, decision: DecisionRequest
) -> decisions.Decision:
    def decide() -> decisions.Decision:
        with database.transaction(request.app.state.settings) as connection:
            decided: decisions.Decision = action(
                connection, *ref, actor=f"token:{token.name}", reason=decision.reason, digest=decision.digest
            )
            return decided

    return await run_in_threadpool(decide)


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether the header of RFC 9110 names the tag; weak forms compare equal."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
