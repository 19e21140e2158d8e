"""What is answered to "what is the effect of this on that": one effect, or a range over the graphs that may be."""

from dataclasses import dataclass
from typing import Literal

from cogorch_dagster.causal.effects.estimation.estimate import Estimate
from cogorch_dagster.causal.effects.estimation.overlap import Overlap
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.causal.effects.refutation.refutation import Refutation
from cogorch_dagster.causal.effects.refutation.sensitivity import Sensitivity

Claim = Literal["causal", "weak", "associational"]
"""causal: everything that a causal claim needs is there and acceptable; weak: identified, but something is not;
associational: the data do not hold the comparison that the formula asks for."""


@dataclass(frozen=True)
class Effect:
    """An effect with all that is needed to judge it.

    Attributes:
        unit: of the estimate, such as "ms per replica".
        estimand: the formula with its adjustment set.
        estimate: the answer.
        cross_checks: the same by other methods, and by other valid adjustment sets.
        overlap, sensitivity: None only where the graph alone says that there is no effect.
        refutations: placebo, random common cause, subset; () where they were not asked for.
        choice: why this estimator, in a sentence.
        claim: how it may be called.
        reasons: why it is not called causal; () where it is.
        sentences: for people.
    """

    treatment: str
    outcome: str
    unit: str
    estimand: Estimand
    estimate: Estimate
    cross_checks: tuple[Estimate, ...]
    overlap: Overlap | None
    sensitivity: Sensitivity | None
    refutations: tuple[Refutation, ...]
    choice: str
    claim: Claim
    reasons: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class EffectRange:
    """Different effects, one for each answer of the class of graphs; the truth is one of them.

    Attributes:
        interval: from the lowest to the highest bound of all their intervals.
        edges: that would have to be oriented to narrow it.
    """

    treatment: str
    outcome: str
    unit: str
    effects: tuple[Effect, ...]
    interval: tuple[float, float]
    edges: tuple[str, ...]
    sentences: tuple[str, ...]
