"""What is told of updates of the agents' hyperparameters; `updates` reads it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Acknowledgement:
    """What a process made of a version.

    Attributes:
        latency_ms: from the activation until it was written; None of a process that started later, or refused a
            version before it was active.
    """

    process: str
    accepted: bool
    reason: str | None
    steps: int
    acknowledged_at: datetime
    latency_ms: float | None


@dataclass(frozen=True)
class Earnings:
    """Returns of windows on one side of an activation, over all processes; `mean` is None without any."""

    windows: int
    mean: float | None


@dataclass(frozen=True)
class Update:
    """One activation of a version.

    Attributes:
        previous: the version that it replaced.
        action: approve or rollback; `decided_by` and `reason` are of that decision.
        mostly_refused: whether more processes refuse it than took it over.
        before, after: what the agents earned, as far as the two can be compared.
    """

    agent: str
    policy_id: str
    version: str
    previous: str | None
    action: str
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    activated_at: datetime
    acknowledgements: tuple[Acknowledgement, ...]
    mostly_refused: bool
    before: Earnings
    after: Earnings

    @property
    def ref(self) -> str:
        """`agent-policy@1.0.1`."""
        return f"{self.policy_id}@{self.version}"


@dataclass(frozen=True)
class Pending:
    """A version that is not in force yet: a draft, one that is approved, or one that is tried."""

    agent: str
    policy_id: str
    version: str
    status: str
    parent: str | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class Statistics:
    """Figures over all updates of the agents asked for.

    Attributes:
        versions: how many there are of each status.
        accepted, refused: acknowledgements, those of processes that started later included.
        acceptance: share of the acknowledgements that accept; None without any.
        median_ms, p99_ms: from activation to acknowledgement, of versions taken over; None without any.
        rollbacks: activations by a rollback; `automatic` are those after a drop.
    """

    versions: dict[str, int]
    accepted: int
    refused: int
    acceptance: float | None
    median_ms: float | None
    p99_ms: float | None
    rollbacks: int
    automatic: int
