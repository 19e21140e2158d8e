"""What a proposal must show, and the refusals of one that does not.

Each refusal has a stable reason and a sentence with the value, the bound and what would help.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.evaluation.estimators import Estimate
from cogorch_dagster.evaluation.improvement import Improvement
from cogorch_dagster.evaluation.patterns import Patterns
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals.evidence import overlap
from cogorch_dagster.proposals.limits import Limits


class Insufficient(Refused):
    """The evidence does not suffice; `evidence` is what was found."""

    def __init__(self, reason: str, message: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(reason, message)
        self.evidence = dict(evidence)


def require_decisions(active: PolicyVersion, found: Decisions, limits: Limits) -> None:
    """Raises `too_few_decisions`, `unsettled` or `missing_feedback`."""
    evidence = {
        "decisions_usable": found.usable,
        "decisions_left_out": found.left_out,
        "decisions_by_version": {str(each.version): each.usable for each in found.versions},
    }
    if found.usable < limits.minimum_decisions:
        left_out = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items()) or "none"
        _refuse(
            "too_few_decisions",
            f"{found.usable} decisions of {active.policy_id} can be evaluated, at least {limits.minimum_decisions} are "
            f"needed (left out: {left_out}); wait for more traffic, widen the period, or log propensity and "
            "action_set with every attempt",
            evidence,
        )
    mine = found.of_version(active.version)
    share = (mine.usable if mine else 0) / found.usable
    if share < limits.minimum_active_share:
        _refuse(
            "unsettled",
            f"{active.ref} made {share:.1%} of the {found.usable} decisions, at least "
            f"{limits.minimum_active_share:.0%} are needed: most of the evidence is about versions it has replaced; "
            "wait for more of its own traffic or begin the period at its activation",
            evidence,
        )
    feedback = found.feedback
    if feedback.delay_s is not None and feedback.share < limits.minimum_feedback:
        _refuse(
            "missing_feedback",
            f"{feedback.judged} of {feedback.successes} successes have a quality ({feedback.share:.1%}), at least "
            f"{limits.minimum_feedback:.0%} are needed: the reward counts quality, and the rest would count as wrong; "
            "send feedback for more of them or set qualityWeight to 0",
            evidence,
        )


def require_overlap(active: PolicyVersion, half: Patterns, before: Mapping[str, float], limits: Limits) -> None:
    """Raises `missing_overlap` when an arm in use was hardly ever drawn."""
    attempts = dict(zip(half.arms, half.attempts_by_arm().tolist(), strict=True))
    short = {
        arm: attempts[arm] for arm, weight in before.items() if weight > 0 and attempts[arm] < limits.minimum_per_arm
    }
    if short:
        listed = ", ".join(f"{arm} {count}" for arm, count in sorted(short.items()))
        _refuse(
            "missing_overlap",
            f"too few logged attempts of arms that have weight in {active.ref}: {listed} in one half of the decisions, "
            f"at least {limits.minimum_per_arm} are needed of each; let them be drawn, or give them weight 0",
            {"overlap": overlap(half, {arm: (weight, weight) for arm, weight in before.items()})},
        )


def require_support(found: Estimate, document: Mapping[str, Any], limits: Limits) -> None:
    """Raises `small_effective_sample` when the decisions that estimate the candidate say too little about it."""
    ess = found.effective_sample_size
    if ess < limits.minimum_ess:
        _refuse(
            "small_effective_sample",
            f"the {found.decisions} decisions that estimate the candidate are worth {ess:.1f} of its own (largest "
            f"weight {found.largest_weight:.1f}), at least {limits.minimum_ess:g} are needed; wait for more decisions "
            f"or lower the step limit {limits.step_limit:g}",
            document,
        )


def require_gain(dr: Improvement, snips: Improvement, document: Mapping[str, Any], limits: Limits) -> None:
    """Raises `bound_below_minimum_gain` unless both lower bounds reach the minimum gain."""
    same = all(arm["weight_before"] == arm["weight_after"] for arm in document["overlap"].values())
    if same and not any(tenant["used"] for tenant in document["tenants"]):
        _refuse(
            "bound_below_minimum_gain",
            f"no weights within {limits.step_limit:g} of the active ones have a better lower bound than those, so the "
            f"gain is 0, not the minimum {limits.minimum_gain:g}; wait for more decisions or raise the step limit",
            document,
        )
    if min(dr.ci95[0], snips.ci95[0]) < limits.minimum_gain:
        _refuse(
            "bound_below_minimum_gain",
            f"the lower 95 % bound of the improvement is {dr.ci95[0]:.4f} (doubly robust, estimate {dr.value:.4f}) and "
            f"{snips.ci95[0]:.4f} (self-normalised, estimate {snips.value:.4f}); both must reach the minimum gain "
            f"{limits.minimum_gain:g}. Wait for more than the {document['decisions']} decisions that estimate it, or "
            "accept a smaller gain.",
            document,
        )


def _refuse(reason: str, message: str, evidence: Mapping[str, Any]) -> NoReturn:
    raise Insufficient(reason, message, evidence)
