"""What the demo is asked for, and what it found."""

from dataclasses import dataclass
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.measurement import Measurement, difference
from cogorch_dagster.policies.store import PolicyVersion


@dataclass(frozen=True)
class DemoOptions:
    """One stretch of load is `rate` requests per second for `seconds`; it is sent twice, exactly alike."""

    rate: float = 36.0
    seconds: float = 45.0
    seed: int = 7
    keep_running: bool = False

    def __post_init__(self) -> None:
        if self.count < 200:
            raise InvalidInput(
                f"{self.rate} requests/s for {self.seconds} s are {self.count} requests; "
                "a proposal needs at least 200, so raise --rate or --seconds"
            )

    @property
    def count(self) -> int:
        """Requests in one stretch."""
        return round(self.rate * self.seconds)


@dataclass(frozen=True)
class Proposal:
    """The candidate as it was proposed; `estimate` and `ci95`: of the improvement of the mean reward per decision."""

    policy_id: str
    version: str
    parent: str
    params: dict[str, Any]
    parent_params: dict[str, Any]
    estimate: float
    ci95: tuple[float, float]
    effective_sample_size: float
    decisions: int

    @classmethod
    def of(cls, candidate: PolicyVersion, parent: PolicyVersion) -> "Proposal":
        """Read from a stored candidate and the version that it would replace."""
        evidence = candidate.evidence or {}
        low, high = evidence["ci95"]
        return cls(
            policy_id=candidate.policy_id,
            version=candidate.version,
            parent=parent.version,
            params=candidate.params,
            parent_params=parent.params,
            estimate=float(evidence["estimate"]),
            ci95=(float(low), float(high)),
            effective_sample_size=float(evidence["effective_sample_size"]),
            decisions=int(evidence["decisions"]),
        )

    @property
    def ref(self) -> str:
        return f"{self.policy_id}@{self.version}"


@dataclass(frozen=True)
class Measured:
    """Mean reward per decision before and after, each over one stretch of load, and their difference."""

    before: float
    before_se: float
    after: float
    after_se: float
    diff: float
    diff_ci95: tuple[float, float]
    decisions: tuple[int, int]

    @classmethod
    def of(cls, before: Measurement, after: Measurement) -> "Measured":
        value, interval = difference(before, after)
        return cls(before.value, before.se, after.value, after.se, value, interval, (before.decisions, after.decisions))


@dataclass(frozen=True)
class DemoResult:
    """The outcome; `cogorch demo --json` prints it as it is."""

    proposal: Proposal
    measured: Measured
    switch_ms: float
    failed_requests: int
    seed: int
    figure: str

    @property
    def verdict(self) -> str:
        """One honest sentence about what was measured."""
        low, high = self.measured.diff_ci95
        if low > 0:
            return "The new version is better: the 95 % interval of the measured difference lies above 0."
        if high < 0:
            return "The new version is worse: the 95 % interval of the measured difference lies below 0. Roll it back."
        return "Not decided: the 95 % interval of the measured difference includes 0. More traffic would tell."

    @property
    def as_estimated(self) -> bool:
        """Whether the measured difference fell inside the proposal's interval."""
        return self.proposal.ci95[0] <= self.measured.diff <= self.proposal.ci95[1]
