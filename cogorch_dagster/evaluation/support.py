"""Whether a log can answer what a target policy is worth: overlap by arm, and the typed reasons to refuse.

A number is always to be had; these say when it would mean nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cogorch_dagster.evaluation.importance import Importance, effective_sample_size
from cogorch_dagster.evaluation.patterns import Floats, Patterns

MINIMUM_DECISIONS = 30
MINIMUM_ESS = 30.0
NEGLIGIBLE = 1e-4
"""A target probability below this does not need to have been logged."""
_MASS_ERRORS = 5.0


class RefusalReason(StrEnum):
    """Why a log does not answer."""

    TOO_FEW_DECISIONS = "too_few_decisions"
    PROPENSITY_OUT_OF_RANGE = "propensity_out_of_range"
    ARM_NEVER_LOGGED = "arm_never_logged"
    SMALL_EFFECTIVE_SAMPLE = "small_effective_sample"
    CONSTANT_REWARD = "constant_reward"
    INCONSISTENT_PROPENSITIES = "inconsistent_propensities"


@dataclass(frozen=True)
class Refusal:
    """A reason and a sentence with the value, the bound and what would help."""

    reason: RefusalReason
    message: str


@dataclass(frozen=True)
class ArmOverlap:
    """One arm at the first draw of a decision.

    Attributes:
        logged: decisions whose first draw it was.
        logged_share, target_share: of the decisions, by sample weight: drawn as logged, and as the target would draw.
        effective_sample_size: of the decisions that drew it first.
        largest_weight: largest importance weight among them.
    """

    arm: str
    logged: int
    logged_share: float
    target_share: float
    effective_sample_size: float
    largest_weight: float


@dataclass(frozen=True)
class Support:
    """How far a log speaks for one target.

    Attributes:
        mean_weight: mean importance weight; 1 but for chance when the propensities are right and the overlap is full.
        mean_weight_se: its standard error.
    """

    decisions: int
    effective_sample_size: float
    largest_weight: float
    mean_weight: float
    mean_weight_se: float
    overlap: tuple[ArmOverlap, ...]


def support(patterns: Patterns, ratios: Importance) -> Support:
    """Overlap and effective sample size of the first candidate."""
    sums, ratio = patterns.sums, ratios.ratio[0]
    total = max(float(sums.s.sum()), 1e-300)
    mean = float(ratio @ sums.s) / total
    apart = float(np.sqrt(((ratio - mean) ** 2) @ sums.ss)) / total
    return Support(
        decisions=patterns.decisions,
        effective_sample_size=float(effective_sample_size(patterns, ratio[None])[0]),
        largest_weight=float(ratio.max(initial=0.0)),
        mean_weight=mean,
        mean_weight_se=apart,
        overlap=_overlap(patterns, ratios, total),
    )


def _overlap(patterns: Patterns, ratios: Importance, total: float) -> tuple[ArmOverlap, ...]:
    sums, ratio, arms = patterns.sums, ratios.ratio[0], len(patterns.arms)
    first = patterns.action[:, 0]

    def by_arm(term: Floats) -> Floats:
        return np.bincount(first, weights=term, minlength=arms).astype(np.float64)

    logged, mass = by_arm(sums.n), by_arm(sums.s)
    weighted, squares = by_arm(ratio * sums.s), by_arm(ratio * ratio * sums.ss)
    largest = np.zeros(arms)
    for arm in range(arms):
        largest[arm] = ratio[first == arm].max(initial=0.0)
    visits = np.bincount(patterns.state[:, 0], weights=sums.s, minlength=len(patterns.states.tenant))
    target = visits @ ratios.probability[0]
    ess = np.divide(weighted**2, squares, out=np.zeros(arms), where=squares > 0)
    return tuple(
        ArmOverlap(
            arm=name,
            logged=round(float(logged[number])),
            logged_share=float(mass[number]) / total,
            target_share=float(target[number]) / total,
            effective_sample_size=float(ess[number]),
            largest_weight=float(largest[number]),
        )
        for number, name in enumerate(patterns.arms)
    )


def refusal(patterns: Patterns, ratios: Importance, found: Support) -> Refusal | None:
    """The first reason for which the log does not answer, or None."""
    more = "let the policy in force draw what the target draws more often, or wait for more decisions"
    if found.decisions < MINIMUM_DECISIONS:
        return Refusal(
            RefusalReason.TOO_FEW_DECISIONS,
            f"{found.decisions} decisions, at least {MINIMUM_DECISIONS} are needed; widen the period or send traffic",
        )
    missing = {each.arm: each.target_share for each in found.overlap if not each.logged}
    if missing := {arm: share for arm, share in missing.items() if share > NEGLIGIBLE}:
        listed = ", ".join(f"{arm} ({share:.1%})" for arm, share in sorted(missing.items()))
        return Refusal(
            RefusalReason.ARM_NEVER_LOGGED,
            f"the target draws {listed}, the {found.decisions} logged decisions never did; nothing is known about it, "
            "so give it a little traffic first",
        )
    if found.effective_sample_size < MINIMUM_ESS:
        return Refusal(
            RefusalReason.SMALL_EFFECTIVE_SAMPLE,
            f"{found.decisions} decisions are worth {found.effective_sample_size:.1f} of the target's own (largest "
            f"weight {found.largest_weight:.1f}), at least {MINIMUM_ESS:g} are needed; {more}",
        )
    if _constant(patterns, ratios):
        return Refusal(
            RefusalReason.CONSTANT_REWARD,
            f"every reward among the {found.decisions} decisions that the target could have made is the same, so that "
            "no interval can be told from them; wait for decisions that differ",
        )
    if abs(found.mean_weight - 1.0) > _MASS_ERRORS * found.mean_weight_se + 1e-6:
        return Refusal(
            RefusalReason.INCONSISTENT_PROPENSITIES,
            f"the mean importance weight is {found.mean_weight:.3f} where it should be 1 (standard error "
            f"{found.mean_weight_se:.3f}): the logged propensities are not those of the draws, or the target draws "
            "where the log never does; check how the propensity is computed",
        )
    return None


def impossible(rows: int, decisions: int) -> Refusal:
    """The refusal of a log in which `rows` propensities cannot be."""
    return Refusal(
        RefusalReason.PROPENSITY_OUT_OF_RANGE,
        f"{rows} of {decisions} propensities are outside (0, 1]; log the probability with which the arm was drawn, and "
        "leave rows out that have none",
    )


def _constant(patterns: Patterns, ratios: Importance) -> bool:
    """Whether rewards do not vary, by as much as rounding allows, where the target has weight."""
    sums, reached = patterns.sums, ratios.ratio[0] > 0
    s, sy, syy = (float(column[reached].sum()) for column in (sums.s, sums.sy, sums.syy))
    return s * syy - sy * sy <= 1e-12 * s * syy
