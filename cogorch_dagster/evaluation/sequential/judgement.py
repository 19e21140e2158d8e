"""What is asked of a comparison of two arms, and what is answered.

Not here: how the answer is found (`verdict`, `guardrails`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential.moments import Moments, Sample


class Verdict(StrEnum):
    """What may be concluded about the treatment."""

    better = "better"
    worse = "worse"
    equivalent = "equivalent"
    not_enough_data = "not_enough_data"
    invalid = "invalid"


class GuardrailState(StrEnum):
    """Whether a guardrail's margin is known to be kept, known to be exceeded, or neither yet."""

    held = "held"
    breached = "breached"
    undecided = "undecided"


@dataclass(frozen=True)
class Guardrail:
    """A metric that may get worse by less than a margin.

    Attributes:
        name: key into `ArmData.guardrails`.
        margin: harm that is still accepted, in the metric's unit, at least 0.
        higher_is_better: False for latency, cost and failure rates.
        quantile: compare this quantile instead of the mean, in (0, 1); both arms must then hold a `Sample`.
        span: width of the range that the metric can take, 1 for rates, above 0; see `means.steadied`.
    """

    name: str
    margin: float
    higher_is_better: bool = False
    quantile: float | None = None
    span: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise InvalidInput(f"the margin of {self.name} must be 0 or more, got {self.margin}")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise InvalidInput(f"the quantile of {self.name} must lie between 0 and 1, got {self.quantile}")
        if not (math.isfinite(self.span) and self.span > 0):
            raise InvalidInput(f"the span of {self.name} must be above 0, got {self.span}")


@dataclass(frozen=True)
class ArmData:
    """What was observed of one arm.

    Attributes:
        reward: values or moments of the reward, in [0, 1].
        guardrails: values or moments by the guardrail's name.
        allocated: units that were sent to the arm, where some have no reward yet; None: as many as have a reward.
    """

    reward: Sample | Moments
    guardrails: Mapping[str, Sample | Moments] = field(default_factory=dict)
    allocated: int | None = None

    def __post_init__(self) -> None:
        if self.allocated is not None and self.allocated < self.reward.n:
            raise InvalidInput(f"{self.allocated} units were allocated, but {self.reward.n} have a reward")

    @property
    def units(self) -> int:
        """Units that were sent to the arm."""
        return self.reward.n if self.allocated is None else self.allocated


@dataclass(frozen=True)
class Step:
    """Both arms over a time in which the treatment's share of the traffic was one number, in (0, 1)."""

    control: ArmData
    treatment: ArmData
    expected_share: float

    def __post_init__(self) -> None:
        if not 0 < self.expected_share < 1:
            raise InvalidInput(
                f"expected_share must lie between 0 and 1, got {self.expected_share}; "
                "leave out steps in which one arm had all the traffic, they have nothing to compare"
            )


@dataclass(frozen=True)
class MetricJudgement:
    """What is known of one guardrail.

    Attributes:
        difference: treatment minus control; None when it cannot be computed yet.
        interval: always-valid interval of the difference that misses it with probability `alpha` at most.
        alpha: the metric's part of the error budget.
        reason: one sentence.
    """

    name: str
    state: GuardrailState
    difference: float | None
    interval: tuple[float, float] | None
    alpha: float
    reason: str


@dataclass(frozen=True)
class Judgement:
    """The answer to "is the treatment better?".

    Attributes:
        reason: one sentence with the numbers that decide.
        difference: mean reward of the treatment minus that of the control; None when it cannot be computed yet.
        interval: always-valid interval of the difference.
        metrics: one entry for each guardrail, in the order they were given; also when the verdict is `invalid`.
        n_control, n_treatment: rewards that were compared.
    """

    verdict: Verdict
    reason: str
    difference: float | None
    interval: tuple[float, float] | None
    metrics: tuple[MetricJudgement, ...]
    n_control: int
    n_treatment: int

    @property
    def breached(self) -> tuple[str, ...]:
        """Names of the guardrails whose margin is exceeded for certain."""
        return tuple(each.name for each in self.metrics if each.state is GuardrailState.breached)
