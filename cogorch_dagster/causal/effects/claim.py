"""What an effect may be called, and how it is told.

Causal needs an adjustment set (or instrument, or mediators), an interval, overlap and a bound on hidden confounders,
each acceptable, and refuters that did not object. That two refuters were passed is no evidence by itself.
"""

from collections.abc import Sequence

import numpy as np

from cogorch_dagster.causal.effects.answer import Claim
from cogorch_dagster.causal.effects.estimation.estimate import Estimate
from cogorch_dagster.causal.effects.estimation.overlap import Overlap
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.causal.effects.refutation.refutation import Refutation
from cogorch_dagster.causal.effects.refutation.sensitivity import Sensitivity

_APART = 4.0
"""Standard errors of the difference at which two methods contradict each other, as they are correlated less."""


def judged(
    estimate: Estimate,
    overlap: Overlap | None,
    sensitivity: Sensitivity | None,
    refutations: Sequence[Refutation],
    cross_checks: Sequence[Estimate],
) -> tuple[Claim, tuple[str, ...]]:
    """The claim and, where it is not causal, the reasons."""
    if overlap is None or sensitivity is None:
        return "weak", ("it rests on the graph alone: neither overlap nor a bound was computed",)
    reasons = []
    if not np.isfinite(estimate.interval).all():
        reasons.append("the interval has no bound on one side")
    elif not estimate.excludes_zero:
        reasons.append("the interval holds 0: the data do not show the direction of the effect")
    if overlap.verdict != "good":
        reasons.append(f"overlap is {overlap.verdict}: {'; '.join(overlap.reasons) or 'no rows can be compared'}")
    if estimate.excludes_zero and not sensitivity.passed:
        reasons.append(
            f"a hidden confounder with {sensitivity.robustness_of_bound:.1%} of what is left of treatment and outcome "
            "would suffice to overturn it"
        )
    if not refutations:
        reasons.append("no refuter was run")
    reasons += [f"{each.name} refutes it: {each.sentence}" for each in refutations if not each.passed]
    reasons += [_contradiction(estimate, each) for each in cross_checks if contradicts(estimate, each)]
    if overlap.verdict == "none":
        return "associational", tuple(reasons)
    return ("weak", tuple(reasons)) if reasons else ("causal", ())


def contradicts(one: Estimate, other: Estimate) -> bool:
    """Whether two estimates of the same effect differ by more than chance, and more than half of the larger."""
    apart = abs(one.value - other.value)
    error = float(np.hypot(one.se, other.se))
    return apart > _APART * error and apart > 0.5 * max(abs(one.value), abs(other.value))


def told(
    estimand: Estimand,
    estimate: Estimate,
    units: tuple[str, str],
    claim: Claim,
    reasons: Sequence[str],
    more: Sequence[str],
) -> tuple[str, ...]:
    """The effect in sentences; `units` of outcome and treatment."""
    return (_size(estimand, estimate, units), _basis(estimand), _verdict(claim, reasons), *more)


def _size(estimand: Estimand, estimate: Estimate, units: tuple[str, str]) -> str:
    of_outcome, of_treatment = (f" {unit}" if unit else "" for unit in units)
    low, high = estimate.interval
    span = f"(95 % interval {low:.4g} to {high:.4g})"
    direction = "raises" if estimate.value > 0 else "lowers"
    if estimand.kind == "zero":
        return (
            f"{estimand.treatment} has no {_kind(estimand)}effect on {estimand.outcome}: no directed path leads there."
        )
    change = f"1{of_treatment} more of {estimand.treatment}"
    if estimate.target in {"ATE", "ATT"}:
        change = f"{estimand.treatment} at its higher value"
    if not estimate.excludes_zero:
        return (
            f"Whether {change} changes {estimand.outcome} {_way(estimand)}is not shown: "
            f"{estimate.value:.4g}{of_outcome} {span}."
        )
    return f"{change} {direction} {estimand.outcome} {_way(estimand)}by {abs(estimate.value):.4g}{of_outcome} {span}."


def _kind(estimand: Estimand) -> str:
    return "" if estimand.effect == "total" else f"{estimand.effect} "


def _way(estimand: Estimand) -> str:
    mediators = " and ".join(estimand.mediators)
    if not mediators:
        return "" if estimand.effect == "total" else "directly "
    ways = {
        "direct": f"past {mediators} ",
        "indirect": f"through {mediators} ",
        "controlled": f"with {mediators} fixed ",
    }
    return ways.get(estimand.effect, "")


def _basis(estimand: Estimand) -> str:
    held = f"adjusted for {', '.join(estimand.adjustment)}" if estimand.adjustment else "without adjustment"
    if estimand.kind == "zero":
        return "The graph says so; no data were used."
    if estimand.kind == "frontdoor":
        return f"By the front door through {', '.join(estimand.mediators)}, {held}."
    if estimand.kind == "instrument":
        return f"By the instrument {', '.join(estimand.instruments)}, {held}; {estimand.assumes}".rstrip("; ") + "."
    if estimand.kind == "mediation":
        return f"By the mediation formula with {', '.join(estimand.mediators)}, {held}."
    return f"By comparison of like with like, {held}." if estimand.adjustment else "The graph asks for no adjustment."


def _verdict(claim: Claim, reasons: Sequence[str]) -> str:
    if claim == "causal":
        return "Given the graph, this is a causal claim: interval, overlap, bound and refuters are in order."
    what = "a weak claim" if claim == "weak" else "an association, no causal claim"
    return f"This is {what}: {'; '.join(reasons)}."


def _contradiction(estimate: Estimate, other: Estimate) -> str:
    return f"{other.method} finds {other.value:.4g} where {estimate.method} finds {estimate.value:.4g}"
