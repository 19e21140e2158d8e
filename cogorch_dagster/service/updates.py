"""What became of updates of the agents' hyperparameters: history, pending, statistics, for whoever may read."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cogorch_dagster.platform import database
from cogorch_dagster.service.answers import ErrorAnswer
from cogorch_dagster.service.authentication import requires
from cogorch_dagster.service.tokens import Token
from cogorch_dagster.serving import updates

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])

Reader = Annotated[Token, Depends(requires("read"))]
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "No token in force."},
    403: {"model": ErrorAnswer, "description": "The token lacks the scope."},
    422: {"model": ErrorAnswer, "description": "There is no such agent."},
    503: {"model": ErrorAnswer, "description": "PostgreSQL is away: see `Retry-After`."},
}


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Acknowledgement(_Answer):
    """What a running process made of a version."""

    process: str
    accepted: bool
    reason: str | None
    steps: int
    acknowledged_at: datetime
    latency_ms: float | None = Field(description="From the activation; null for a process that started later.")


class Earnings(_Answer):
    """Mean shared reward per step over windows of one episode's length."""

    windows: int
    mean: float | None


class Update(_Answer):
    """One activation of a version of an agent's hyperparameters."""

    agent: str
    policy_id: str
    version: str
    previous: str | None
    action: str
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    activated_at: datetime
    acknowledgements: list[Acknowledgement] = Field(description="Every answer, those after a restart included.")
    taken_over: int = Field(description="Processes, by their last answer.")
    refused: int = Field(description="Processes, by their last answer.")
    mostly_refused: bool
    before: Earnings
    after: Earnings


class PendingUpdate(_Answer):
    """A version that is not in force yet."""

    agent: str
    policy_id: str
    version: str
    status: str
    parent: str | None
    created_at: datetime
    created_by: str


class UpdateStatistics(_Answer):
    """Counts and latencies over all updates, of the processes that ran when a version came into force."""

    versions: dict[str, int]
    accepted: int
    refused: int
    acceptance: float | None
    median_ms: float | None
    p99_ms: float | None
    rollbacks: int
    automatic: int


class Updates(_Answer):
    """History (newest first), pending (oldest first) and statistics."""

    history: list[Update]
    pending: list[PendingUpdate]
    statistics: UpdateStatistics


@router.get("/updates", response_model=Updates, responses=_ERRORS)
def get_updates(
    request: Request,
    _: Reader,
    agent: Annotated[str | None, Query(description="policy, consensus, ethical or resource; default: all.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """What became of updates of the agents' hyperparameters. Scope `read`."""
    with database.transaction(request.app.state.settings) as connection:
        return updates.document(connection, agent, limit=limit)
