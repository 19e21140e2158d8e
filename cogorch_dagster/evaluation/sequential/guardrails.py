"""Non-inferiority of the guardrail metrics: is the harm within its margin?

Every guardrail is asked two questions, with errors counted differently. *Breached* stops a version if any one of
them says so, so their part of alpha is split among them (Bonferroni). *Held* lets a version pass only if all of them
say so together with the reward, and an intersection of tests needs no split (Berger 1982): each uses the full level.
"""

from collections.abc import Sequence

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means, quantiles
from cogorch_dagster.evaluation.sequential.judgement import (
    ArmData,
    Guardrail,
    GuardrailState,
    MetricJudgement,
    Step,
)
from cogorch_dagster.evaluation.sequential.moments import Moments, Sample

Interval = tuple[float, float]


def judge_guardrail(
    guardrail: Guardrail,
    steps: Sequence[Step],
    *,
    breach_alpha: float,
    hold_alpha: float,
    target: float,
    minimum: int,
    most_steps: int,
) -> MetricJudgement:
    """State of one guardrail over the steps of a ramp.

    Args:
        breach_alpha: probability that the reported interval ever misses the difference.
        hold_alpha: probability that the bound behind `held` ever errs, one-sided.
        target: information at which the intervals are tightest, see `means.target_information`.
        most_steps: how many steps there can ever be.
        minimum: observations of the metric that each arm needs before anything is concluded.

    Raises:
        InvalidInput: an arm lacks the metric, or has no values where a quantile is asked for.
    """
    pairs = [(_metric(step.control, guardrail), _metric(step.treatment, guardrail)) for step in steps]
    smaller = min(sum(control.n for control, _ in pairs), sum(treatment.n for _, treatment in pairs))
    if smaller < minimum:
        reason = f"{guardrail.name} has {smaller:,} observations in the smaller arm, {minimum:,} are needed"
        return MetricJudgement(guardrail.name, GuardrailState.undecided, None, None, breach_alpha, reason)
    if guardrail.quantile is None:
        estimate, interval, bounds = _means(pairs, guardrail, breach_alpha, hold_alpha, target)
    else:
        estimate, interval = _quantiles(pairs, guardrail.quantile, breach_alpha / most_steps, target)
        bounds = _quantiles(pairs, guardrail.quantile, 2 * hold_alpha / most_steps, target)[1]
    state = _state(guardrail, interval, bounds)
    reason = _reason(guardrail, state, estimate, interval, bounds, breach_alpha)
    return MetricJudgement(guardrail.name, state, estimate, interval, breach_alpha, reason)


def _metric(arm: ArmData, guardrail: Guardrail) -> Sample | Moments:
    metric = arm.guardrails.get(guardrail.name)
    if metric is None:
        raise InvalidInput(f"an arm has no {guardrail.name!r}, only {sorted(arm.guardrails)}; give it to both arms")
    if guardrail.quantile is not None and isinstance(metric, Moments):
        raise InvalidInput(f"a quantile of {guardrail.name!r} needs its values; give a Sample instead of Moments")
    return metric


def moments_of(metric: Sample | Moments) -> Moments:
    return metric.moments if isinstance(metric, Sample) else metric


def _means(
    pairs: Sequence[tuple[Sample | Moments, Sample | Moments]],
    guardrail: Guardrail,
    breach_alpha: float,
    hold_alpha: float,
    target: float,
) -> tuple[float, Interval, Interval]:
    control, treatment = (means.stacked([moments_of(pair[arm]) for pair in pairs]) for arm in (0, 1))
    difference = means.difference(control, treatment, target=target, span=guardrail.span)
    interval, bounds = difference.interval(breach_alpha), difference.bounds(hold_alpha)
    return (
        float(difference.estimate),
        (float(interval[0]), float(interval[1])),
        (float(bounds[0]), float(bounds[1])),
    )


def _quantiles(
    pairs: Sequence[tuple[Sample | Moments, Sample | Moments]], quantile: float, alpha: float, target: float
) -> tuple[float, Interval]:
    """Difference in the latest step, and what the intervals of all steps have in common.

    Quantiles of mixtures do not add up over steps, so each step has its own interval, at alpha. Steps that contradict
    each other leave the latest one's interval.
    """
    lowest, highest, latest, estimate = -np.inf, np.inf, (-np.inf, np.inf), float("nan")
    size = max(round(2 * target), 1)  # information n₀n₁/(n₀+n₁) of arms of n each is n/2
    for control, treatment in pairs:
        if not isinstance(control, Sample) or not isinstance(treatment, Sample) or not control.n or not treatment.n:
            continue
        estimate, *ends = quantiles.quantile_difference(
            control.values, treatment.values, quantile, alpha, target_size=size
        )
        latest = (ends[0], ends[1])
        lowest, highest = max(lowest, latest[0]), min(highest, latest[1])
    return estimate, (lowest, highest) if lowest <= highest else latest


def _harm(guardrail: Guardrail, ends: Interval) -> Interval:
    return (-ends[1], -ends[0]) if guardrail.higher_is_better else ends


def _state(guardrail: Guardrail, interval: Interval, bounds: Interval) -> GuardrailState:
    if _harm(guardrail, interval)[0] > guardrail.margin:
        return GuardrailState.breached
    if _harm(guardrail, bounds)[1] < guardrail.margin:
        return GuardrailState.held
    return GuardrailState.undecided


def _reason(
    guardrail: Guardrail,
    state: GuardrailState,
    estimate: float,
    interval: Interval,
    bounds: Interval,
    alpha: float,
) -> str:
    what = guardrail.name if guardrail.quantile is None else f"the {guardrail.quantile:g} quantile of {guardrail.name}"
    change = (
        f"{what} changed by {estimate:+.4g} ({100 * (1 - alpha):.4g} % interval {interval[0]:.4g} to {interval[1]:.4g})"
    )
    if state is GuardrailState.breached:
        return f"{change}, for certain worse than the accepted {guardrail.margin:g}"
    worst = _harm(guardrail, bounds)[1]
    if state is GuardrailState.held:
        return f"{change}, at worst by {max(worst, 0.0):.4g} and so within the accepted {guardrail.margin:g}"
    return f"{change}, which may still be worse than the accepted {guardrail.margin:g}"
