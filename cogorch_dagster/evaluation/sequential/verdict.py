"""The verdict on two arms that were watched at the same time, with its reason in one sentence.

Here: the order of the questions and how the error budget is divided. Not here: boundaries and intervals (`means`,
`quantiles`), guardrails one by one (`guardrails`).

| verdict | when |
|---|---|
| invalid | the traffic was not split as intended, or a metric is not a number |
| worse | the reward's interval lies below 0 and the loss reaches the minimum effect, or a guardrail is breached |
| better | the interval lies above 0, the gain reaches the minimum effect, and every guardrail is held |
| equivalent | the whole interval lies within the minimum effect of 0, and every guardrail is held |
| not_enough_data | otherwise; also below the minimum per arm |

Without guardrails the reward's interval has all of alpha, with them it has half and the breaches share the other half:
when the treatment is in truth no different, the verdict is ever `better` or `worse` with probability alpha at most.
"""

import math
from collections.abc import Sequence

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means, mismatch
from cogorch_dagster.evaluation.sequential.guardrails import judge_guardrail, moments_of
from cogorch_dagster.evaluation.sequential.judgement import (
    ArmData,
    Guardrail,
    GuardrailState,
    Judgement,
    MetricJudgement,
    Step,
    Verdict,
)
from cogorch_dagster.evaluation.sequential.moments import Moments, Sample

__all__ = [
    "ArmData",
    "Guardrail",
    "GuardrailState",
    "Judgement",
    "MetricJudgement",
    "Moments",
    "Sample",
    "Step",
    "Verdict",
    "judge",
    "judge_steps",
]

TARGET_SIZE = 2_000
MISMATCH_ALPHA = 0.001
MOST_STEPS = 8


def judge(
    control: ArmData,
    treatment: ArmData,
    *,
    expected_share: float,
    minimum_effect: float = 0.01,
    minimum_per_arm: int = 50,
    alpha: float = 0.05,
    guardrails: Sequence[Guardrail] = (),
    target_size: int = TARGET_SIZE,
    mismatch_alpha: float = MISMATCH_ALPHA,
) -> Judgement:
    """Judge a treatment whose share of the traffic, `expected_share` in (0, 1), was constant; see `judge_steps`."""
    return judge_steps(
        [Step(control, treatment, expected_share)],
        most_steps=1,
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
    most_steps: int = MOST_STEPS,
    minimum_effect: float = 0.01,
    minimum_per_arm: int = 50,
    alpha: float = 0.05,
    guardrails: Sequence[Guardrail] = (),
    target_size: int = TARGET_SIZE,
    mismatch_alpha: float = MISMATCH_ALPHA,
) -> Judgement:
    """Judge a treatment over all steps of a ramp so far; ask at any time and as often as you like.

    The error budget is for the whole ramp: the steps are compared each within itself and then combined, so that
    neither the number of looks nor that of steps raises the rate of false verdicts. Settings must not change while a
    treatment is being watched.

    Args:
        steps: in order, the current one last; at least one.
        most_steps: how many there can ever be; guardrails on quantiles divide their alpha among them.
        minimum_effect: least difference in reward that matters in practice, at least 0; 0 never finds `equivalent`.
        minimum_per_arm: rewards (and observations of each guardrail) that each arm needs over all steps, at least 2.
        alpha: probability of ever saying better or worse of a treatment that is no different, in (0, 1).
        target_size: observations of both arms, at the first step's share, at which intervals are tightest. Too small
            costs little, see `boundary`; so by default it is small.
        mismatch_alpha: probability of ever saying invalid of traffic that was split as intended, in (0, 1).

    Raises:
        InvalidInput: a setting out of range, no step, or a guardrail without its metric.
    """
    _check(steps, most_steps, minimum_effect, minimum_per_arm, alpha, mismatch_alpha)
    target = means.target_information(target_size, steps[0].expected_share, minimum_per_arm)
    control, treatment = (
        [moments_of(arm.reward) for arm in arms]
        for arms in ([step.control for step in steps], [step.treatment for step in steps])
    )
    counts = sum(m.n for m in control), sum(m.n for m in treatment)
    reward_alpha = alpha / 2 if guardrails else alpha
    strange = _not_a_number(steps, guardrails)
    if strange:
        reason = f"Invalid: {strange} holds values that are not finite numbers."
        return Judgement(Verdict.invalid, reason, None, None, (), *counts)
    metrics = tuple(
        judge_guardrail(
            guardrail,
            steps,
            breach_alpha=alpha / 2 / len(guardrails),
            hold_alpha=alpha / 2,
            target=target,
            minimum=minimum_per_arm,
            most_steps=most_steps,
        )
        for guardrail in guardrails
    )
    estimate, interval = _reward(control, treatment, target, reward_alpha)
    found = _verdict_on_reward(estimate, interval, minimum_effect, counts, minimum_per_arm)
    text = _sentence(found, estimate, interval, counts, minimum_effect, minimum_per_arm, reward_alpha)
    verdict, reason = _with_guardrails(found, text, metrics)
    problem = _mismatch(steps, mismatch_alpha)
    if problem:
        # A certain harm is still told: an arm that breaks may be the very reason for the mismatch.
        harms = "".join(f"; {each.reason}" for each in metrics if each.state is GuardrailState.breached)
        verdict, reason = Verdict.invalid, f"Invalid: {problem}{harms}."
    return Judgement(verdict, reason, estimate, interval, metrics, *counts)


def classify(
    estimate: np.ndarray | float, lower: np.ndarray | float, upper: np.ndarray | float, minimum_effect: float
) -> np.ndarray:
    """Verdicts on rewards as an array of the enumeration's values: better, worse, equivalent, not_enough_data."""
    lower, upper = np.asarray(lower), np.asarray(upper)
    return np.select(
        [
            (lower > 0) & (estimate >= minimum_effect),
            (upper < 0) & (estimate <= -minimum_effect),
            (lower > -minimum_effect) & (upper < minimum_effect),
        ],
        [Verdict.better.value, Verdict.worse.value, Verdict.equivalent.value],
        Verdict.not_enough_data.value,
    )


def _check(
    steps: Sequence[Step],
    most_steps: int,
    minimum_effect: float,
    minimum_per_arm: int,
    alpha: float,
    mismatch_alpha: float,
) -> None:
    if not steps:
        raise InvalidInput("there is no step to judge; give at least one")
    if len(steps) > most_steps:
        raise InvalidInput(f"{len(steps)} steps are more than most_steps, {most_steps}; set it before the ramp begins")
    if not (math.isfinite(minimum_effect) and minimum_effect >= 0):
        raise InvalidInput(f"minimum_effect must be 0 or more, got {minimum_effect}")
    if minimum_per_arm < 2:
        raise InvalidInput(f"minimum_per_arm must be at least 2, got {minimum_per_arm}")
    for name, value in (("alpha", alpha), ("mismatch_alpha", mismatch_alpha)):
        if not 0 < value < 1:
            raise InvalidInput(f"{name} must lie between 0 and 1, got {value}")


def _not_a_number(steps: Sequence[Step], guardrails: Sequence[Guardrail]) -> str:
    """Name of the first metric that holds something else than numbers; empty when there is none."""
    for arm in (arm for step in steps for arm in (step.control, step.treatment)):
        if not moments_of(arm.reward).finite:
            return "reward"
        for guardrail in guardrails:
            metric = arm.guardrails.get(guardrail.name)
            if metric is not None and not moments_of(metric).finite:
                return guardrail.name
    return ""


def _mismatch(steps: Sequence[Step], mismatch_alpha: float) -> str:
    """What is wrong with the split of the traffic; empty when nothing is."""
    units = [(step.control.units, step.treatment.units, step.expected_share) for step in steps]
    evidence = float(mismatch.log_evidence(*zip(*units, strict=True)))
    if evidence < -math.log(mismatch_alpha):
        return ""
    received, total = sum(n1 for _, n1, _ in units), sum(n0 + n1 for n0, n1, _ in units)
    expected = sum((n0 + n1) * share for n0, n1, share in units)
    return (
        f"the treatment received {received:,} of {total:,} units where {expected:,.0f} were intended, "
        f"odds of {_odds(evidence)} to 1 against the intended split ({1 / mismatch_alpha:,.0f} to 1 are enough)"
    )


def _odds(evidence: float) -> str:
    return f"{math.exp(evidence):,.0f}" if evidence < 20 else f"10^{evidence / math.log(10):.0f}"


def _reward(
    control: Sequence[Moments], treatment: Sequence[Moments], target: float, alpha: float
) -> tuple[float | None, tuple[float, float] | None]:
    if not any(c.n and t.n for c, t in zip(control, treatment, strict=True)):
        return None, None
    difference = means.difference(means.stacked(control), means.stacked(treatment), target=target)
    lower, upper = difference.interval(alpha)
    return float(difference.estimate), (float(lower), float(upper))


def _verdict_on_reward(
    estimate: float | None,
    interval: tuple[float, float] | None,
    minimum_effect: float,
    counts: tuple[int, int],
    minimum_per_arm: int,
) -> Verdict:
    if estimate is None or interval is None or min(counts) < minimum_per_arm:
        return Verdict.not_enough_data
    return Verdict(str(classify(estimate, *interval, minimum_effect)))


def _sentence(
    verdict: Verdict,
    estimate: float | None,
    interval: tuple[float, float] | None,
    counts: tuple[int, int],
    minimum_effect: float,
    minimum_per_arm: int,
    alpha: float,
) -> str:
    """What the reward alone says, without the full stop."""
    if min(counts) < minimum_per_arm or estimate is None or interval is None:
        return (
            f"control has {counts[0]:,} rewards and treatment {counts[1]:,}, "
            f"both need {minimum_per_arm:,} seen at the same time"
        )
    lower, upper = interval
    numbers = (
        f"{estimate:+.4f} ({100 * (1 - alpha):.4g} % interval {lower:.4f} to {upper:.4f}, "
        f"{counts[0]:,} control and {counts[1]:,} treatment rewards)"
    )
    if verdict in (Verdict.better, Verdict.worse):
        return f"the reward changed by {numbers}, at least the minimum effect of {minimum_effect:g}"
    if verdict is Verdict.equivalent:
        return f"the reward changed by {numbers}, for certain less than the minimum effect of {minimum_effect:g}"
    if lower > 0 or upper < 0:
        return (
            f"the reward changed by {numbers}, but whether by the minimum effect of {minimum_effect:g} is not known yet"
        )
    return f"the reward changed by {numbers}, which does not tell a gain from a loss yet"


def _with_guardrails(verdict: Verdict, text: str, metrics: Sequence[MetricJudgement]) -> tuple[Verdict, str]:
    """Verdict and sentence once the guardrails are heard: a breach decides, and an undecided one holds a pass back."""
    breached = [each for each in metrics if each.state is GuardrailState.breached]
    undecided = [each for each in metrics if each.state is GuardrailState.undecided]
    if breached:
        return Verdict.worse, f"Worse, because {'; '.join(each.reason for each in breached)}; {text}."
    if verdict in (Verdict.better, Verdict.equivalent) and undecided:
        waiting = "; ".join(each.reason for each in undecided)
        return Verdict.not_enough_data, f"Not enough data: {text}, but {waiting}."
    held = f"; all {len(metrics)} guardrails hold" if metrics and verdict is not Verdict.worse and not undecided else ""
    opening = {Verdict.not_enough_data: "Not enough data"}.get(verdict, verdict.value.capitalize())
    return verdict, f"{opening}: {text}{held}."
