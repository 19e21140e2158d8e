"""What is told of updates of the agents' hyperparameters; `updates` reads it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

STARTED = "it was in force when the process started"
"""How the reason of an answer begins that was given at a start: nothing was reloaded."""


@dataclass(frozen=True)
class Acknowledgement:
    """What a process made of a version.

    Attributes:
        latency_ms: from the activation until it was written; None of a process that started later, or refused a
            version before it was active, or answers again.
    """

    process: str
    accepted: bool
    reason: str | None
    steps: int
    acknowledged_at: datetime
    latency_ms: float | None

    @property
    def why(self) -> str:
        """The reason, the same whether it was given at a start or later."""
        return (self.reason or "").removeprefix(f"{STARTED}: ")


def latest(answers: Iterable[Acknowledgement]) -> list[Acknowledgement]:
    """The last answer of each process, so that one that was started again counts once."""
    return list({each.process: each for each in answers}.values())


def refusals(answers: Iterable[Acknowledgement]) -> dict[str, int]:
    """For how many processes each reason stands, by their last answers."""
    return dict(Counter(each.why for each in latest(answers) if not each.accepted))


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
        acknowledgements: every answer in order, those of processes that were started again included.
        taken_over, refused: processes, by their last answer.
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
    taken_over: int
    refused: int
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
        accepted, refused: processes that ran when a version came into force, by their last answer to it, over all
            activations; who finds a version at a start decides nothing.
        acceptance: share of these that accept; None without any.
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
