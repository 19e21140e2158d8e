"""The evidence document: what a proposal rests on, in numbers that a reader can follow and repeat.

Stored with the version; approval by rule reads `ci95`, lineage reads `reward`, `hours` and `sources`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.evaluation.document import estimators_document, slices_document
from cogorch_dagster.evaluation.estimators import Estimate
from cogorch_dagster.evaluation.improvement import Improvement
from cogorch_dagster.evaluation.known_features import FeatureUse
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.evaluation.report import Report
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.proposals.slices import TenantChoice


def evidence_document(
    *,
    active: PolicyVersion,
    decisions: Decisions,
    patterns: Patterns,
    weights: Mapping[str, tuple[float, float]],
    dr: Improvement,
    snips: Improvement,
    candidate: Estimate,
    report: Report,
    tenants: Sequence[TenantChoice],
    limits: Mapping[str, float],
    seed: int,
    inputs: str,
    created_at: datetime,
    features: FeatureUse | None = None,
) -> dict[str, Any]:
    """The evidence for a candidate.

    Args:
        patterns: the half of the decisions that did not choose the weights.
        weights: each arm's weight before and after.
        candidate: the candidate's doubly robust estimate, for effective sample size and largest weight.
        report: every estimator and every slice, against the active version, on the same half.
        tenants: weights tried for single tenants.
        inputs: digest of everything that went in: the same inputs give the same proposal.
        features: that the doubly robust estimates rest on; where there are none, the document does not speak of them.
    """
    measured = decisions.of_version(active.version)
    return {
        "method": "off_policy",
        "estimator": dr.estimator,
        "estimate": dr.value,
        "ci95": list(dr.ci95),
        "expected_ci95": list(dr.expected_ci95),
        "baseline": {"version": active.version, "value": dr.baseline, "se": dr.baseline_se},
        "candidate": {"value": dr.candidate, "se": dr.candidate_se},
        "on_policy": None
        if measured is None
        else {"version": active.version, "value": measured.value, "se": measured.se, "decisions": measured.decisions},
        "dr": _estimator(dr),
        "snips": _estimator(snips),
        "decisions": candidate.decisions,
        "decisions_usable": decisions.usable,
        "decisions_left_out": decisions.left_out,
        "decisions_by_version": {str(each.version): each.usable for each in decisions.versions},
        "effective_sample_size": candidate.effective_sample_size,
        "largest_weight": candidate.largest_weight,
        "overlap": overlap(patterns, weights),
        "estimators": estimators_document(report.overall),
        "slices": slices_document(report),
        **({} if features is None else {"features": features.document()}),
        "tenants": [_tenant(each, patterns) for each in tenants],
        "feedback": {
            "delay_s": decisions.feedback.delay_s,
            "successes": decisions.feedback.successes,
            "judged": decisions.feedback.judged,
        },
        "period": {"from": _iso(decisions.first), "to": _iso(decisions.last)},
        "hours": [_iso(hour) for hour in decisions.hours],
        "sources": decisions.sources,
        "reward": decisions.reward and {"policy_id": decisions.reward.policy_id, "version": decisions.reward.version},
        "limits": dict(limits),
        "seed": seed,
        "inputs": inputs,
        "created_at": _iso(created_at),
    }


def overlap(patterns: Patterns, weights: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Per arm: logged attempts, their share, and the weight before and after."""
    attempts = patterns.attempts_by_arm()
    total = max(int(attempts.sum()), 1)
    return {
        arm: {
            "n": int(attempts[patterns.arms.index(arm)]),
            "share": float(attempts[patterns.arms.index(arm)]) / total,
            "weight_before": before,
            "weight_after": after,
        }
        for arm, (before, after) in sorted(weights.items())
    }


def by_arm(patterns: Patterns, weights: Floats, arms: Mapping[str, float]) -> dict[str, float]:
    """A vector over the patterns' arms as a document over `arms`."""
    return {arm: float(np.round(weights[patterns.arms.index(arm)], 12)) for arm in arms}


def _tenant(choice: TenantChoice, patterns: Patterns) -> dict[str, Any]:
    return {
        "tenant": choice.tenant,
        "weights": dict(zip(patterns.arms, choice.weights.tolist(), strict=True)),
        "gain": choice.gain,
        "interval": list(choice.interval),
        "p": choice.p,
        "decisions": choice.decisions,
        "effective_sample_size": choice.effective_sample_size,
        "used": choice.used,
    }


def _estimator(found: Improvement) -> dict[str, Any]:
    return {
        "estimate": found.value,
        "ci95": list(found.ci95),
        "expected_ci95": list(found.expected_ci95),
        "baseline": {"value": found.baseline, "se": found.baseline_se},
        "candidate": {"value": found.candidate, "se": found.candidate_se},
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
