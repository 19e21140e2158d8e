"""What a router's parameters, in force or not, would have been worth on the decisions that its policy logged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cogorch_dagster.evaluation.decision_rows import read_log
from cogorch_dagster.evaluation.decisions import Decisions
from cogorch_dagster.evaluation.importance import importance
from cogorch_dagster.evaluation.known_features import FeatureUse, KnownFeatures, featured
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.evaluation.report import Report, evaluate
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class RouterEvaluation:
    """A report, the decisions that it rests on, and the features where there were any."""

    report: Report
    decisions: Decisions
    features: FeatureUse | None = None


def evaluate_router(
    settings: Settings,
    policy_id: str,
    params: Mapping[str, Any],
    since: datetime,
    until: datetime,
    *,
    baseline: Mapping[str, Any] | None = None,
    baseline_name: str = "",
    context_key: str | None = None,
    feedback_delay: timedelta | None = None,
    features: KnownFeatures | None = None,
) -> RouterEvaluation:
    """Evaluate parameters of kind router on the decisions in [since, until), by tenant and by a key of the context.

    Args:
        baseline: parameters that differences are from; None: the decisions as they were logged.
        feedback_delay: as in `read_decisions`.
        features: of the decisions, for the model of the reward; None: it knows arm, attempt and tenant.

    Raises:
        InvalidInput: an empty period, or a context key with a quotation mark.
    """
    both = [params] if baseline is None else [params, baseline]
    arms = tuple(arm for each in both for arm in weights_of(each))
    found, rows = read_log(
        settings,
        policy_id,
        since,
        until,
        feedback_delay=feedback_delay,
        tenants={tenant for each in both for tenant in tenant_weights_of(each)},
        context_key=context_key,
        one_by_one=features is not None,
    )
    by_features = None if features is None or rows is None else featured(rows, features, since, until, arms=arms)
    patterns = found.patterns(arms=arms) if by_features is None else by_features.patterns
    ratios = [importance(patterns, table(patterns, each)[None]) for each in both]
    against = ratios[1] if baseline is not None else None
    model = None if by_features is None else by_features.model
    report = evaluate(patterns, ratios[0], against, baseline_name=baseline_name, model=model)
    return RouterEvaluation(report, found, None if by_features is None else by_features.use)


def table(patterns: Patterns, params: Mapping[str, Any]) -> Floats:
    """(X, K) the weights that a router's parameters give to each tenant of a log."""
    return patterns.table(weights_of(params), tenant_weights_of(params))


def weights_of(params: Mapping[str, Any]) -> dict[str, float]:
    """`modelWeights` of a router's parameters as plain numbers."""
    return {str(arm): float(weight) for arm, weight in params["modelWeights"].items()}


def tenant_weights_of(params: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """`tenantWeights` of a router's parameters as plain numbers; empty when it has none."""
    return {
        str(tenant): {str(arm): float(weight) for arm, weight in weights.items()}
        for tenant, weights in (params.get("tenantWeights") or {}).items()
    }
