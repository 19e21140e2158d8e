"""What logged decisions say of a router's weights, whoever chose them: estimates, and the evidence document of both.

The decisions must not have chosen the weights, else the estimate is inflated. Estimates assume that requests do not
affect each other: an arm that slows down under more load is worth less than it was when logged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.evaluation.estimators import Estimate, estimate
from cogorch_dagster.evaluation.importance import importance
from cogorch_dagster.evaluation.improvement import Improvement, improvement
from cogorch_dagster.evaluation.known_features import Featured
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.evaluation.report import evaluate
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals import requirements
from cogorch_dagster.proposals.evidence import evidence_document
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.slices import TenantChoice


@dataclass(frozen=True)
class Measured:
    """The candidate's value, its improvement by two estimators, and all of it as a document."""

    candidate: Estimate
    dr: Improvement
    snips: Improvement
    document: dict[str, Any]

    def require(self, limits: Limits) -> None:
        """Raises Insufficient: `small_effective_sample` or `bound_below_minimum_gain`."""
        requirements.require_support(self.candidate, self.document, limits)
        requirements.require_gain(self.dr, self.snips, self.document, limits)


def measured(
    active: PolicyVersion,
    decisions: Decisions,
    patterns: Patterns,
    new: Floats,
    old: Floats,
    *,
    by_features: Featured | None = None,
    weights: Mapping[str, tuple[float, float]],
    tenants: Sequence[TenantChoice],
    limits: Limits,
    seed: int,
    inputs: str,
) -> Measured:
    """Estimate new weights against the old ones.

    Args:
        patterns: decisions that did not choose the new weights.
        new, old: (X, K) weights of every tenant over the patterns' arms.
        by_features: the same decisions one by one, with a model of their rewards.
        weights: each arm's weight before and after, for tenants without their own.
        tenants: weights tried for single tenants.
        inputs: digest of everything that went in.
    """
    model = None if by_features is None else by_features.model
    patterns = patterns if by_features is None else by_features.patterns
    candidate = estimate(patterns, new, "dr", model)
    dr, snips = (improvement(patterns, new, old, name, model) for name in ("dr", "snips"))
    document = evidence_document(
        active=active,
        decisions=decisions,
        patterns=patterns,
        weights=weights,
        dr=dr,
        snips=snips,
        candidate=candidate,
        report=evaluate(
            patterns,
            importance(patterns, new[None]),
            importance(patterns, old[None]),
            baseline_name=active.ref,
            model=model,
        ),
        features=None if by_features is None else by_features.use,
        tenants=tenants,
        limits=asdict(limits),
        seed=seed,
        inputs=inputs,
        created_at=datetime.now(UTC),
    )
    return Measured(candidate, dr, snips, document)
