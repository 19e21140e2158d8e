"""The verdict on two arms that were watched at the same time, with its reason in one sentence.

Here: what is asked of a comparison and what is answered. Not here: boundaries and intervals (`means`, `quantiles`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

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
        span: width of the range that the metric can take, 1 for rates; see `means.difference`.
    """

    name: str
    margin: float
    higher_is_better: bool = False
    quantile: float | None = None
    span: float = 1.0


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


@dataclass(frozen=True)
class Step:
    """Both arms over a time in which the treatment's share of the traffic was one number, in (0, 1)."""

    control: ArmData
    treatment: ArmData
    expected_share: float


@dataclass(frozen=True)
class MetricJudgement:
    """What is known of one guardrail.

    Attributes:
        difference: treatment minus control; None when it cannot be computed yet.
        interval: always-valid interval of the difference, at `alpha`.
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


def judge(
    control: ArmData,
    treatment: ArmData,
    *,
    expected_share: float,
    minimum_effect: float = 0.01,
    minimum_per_arm: int = 50,
    alpha: float = 0.05,
    guardrails: Sequence[Guardrail] = (),
    target_size: int = 2_000,
    mismatch_alpha: float = 0.001,
) -> Judgement:
    """Judge a treatment whose share of the traffic was constant; see `judge_steps`."""
    return judge_steps(
        [Step(control, treatment, expected_share)],
        minimum_effect=minimum_effect,
        minimum_per_arm=minimum_per_arm,
        alpha=alpha,
        guardrails=guardrails,
        target_size=target_size,
        mismatch_alpha=mismatch_alpha,
    )


def judge_steps(
    steps: Sequence[Step],
    *,
    minimum_effect: float = 0.01,
    minimum_per_arm: int = 50,
    alpha: float = 0.05,
    guardrails: Sequence[Guardrail] = (),
    target_size: int = 2_000,
    mismatch_alpha: float = 0.001,
) -> Judgement:
    """Judge a treatment over the steps of a ramp; may be asked at any time, as often as one likes."""
    raise NotImplementedError
